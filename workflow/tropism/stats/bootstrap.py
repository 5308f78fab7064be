"""The cluster bootstrap: prompts are drawn with replacement, each with all its responses.

A draw is a count for each prompt, so all statistics over the same prompts share one matrix of counts and are two matrix
products: no loop over draws, arms or instruments. The draws depend on (seed, prompts) alone, not on what else is there.

Percentile and BCa intervals: Efron and Tibshirani, *An Introduction to the Bootstrap* (1993), chapters 13 and 14; the
clusters as units: Davison and Hinkley, *Bootstrap Methods and their Application* (1997), section 3.8; their widening
for few prompts: Hesterberg (2015), *What Teachers Should Know About the Bootstrap*, expanded percentiles.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from tropism.config.stats import StatsConfig
from tropism.records.keyed import keyed_seed
from tropism.stats.instruments import Floats, Mask

CELLS = 1 << 22
"""Numbers held at once in a chunk of work: 32 MiB of doubles."""
TIE = 1e-12
"""Two values of a statistic closer than this share of its range are the same but for the order of their sums."""


def generator(seed: int, purpose: str, prompts: object) -> np.random.Generator:
    """Random numbers that depend on the arguments alone."""
    return np.random.Generator(np.random.Philox(keyed_seed(seed, purpose, repr(prompts))))


def resampled_counts(n: int, draws: int, random: np.random.Generator) -> NDArray[np.uint16]:
    """How often each of ``n`` prompts is taken in each draw of ``n`` with replacement: (draws, n)."""
    rows = max(1, CELLS // n)
    counts = np.empty((draws, n), np.uint16)
    for start in range(0, draws, rows):
        some = min(rows, draws - start)
        taken = random.integers(0, n, size=(some, n)) + np.arange(some)[:, None] * n
        counts[start : start + some] = np.bincount(taken.ravel(), minlength=some * n).reshape(some, n)
    return counts


def resampled_values(numerator: Floats, count: Floats, counts: NDArray[np.uint16]) -> Floats:
    """The statistic in each draw: (series, draws); NaN in a draw that counts no response.

    Args:
        numerator: (prompts, series).
        count: (prompts, series).
        counts: (draws, prompts).
    """
    n, series = numerator.shape
    first, same = _distinct(count)
    sums, sizes = np.ascontiguousarray(numerator.T), np.ascontiguousarray(count[:, first].T)
    values = np.empty((series, len(counts)))
    rows = max(1, CELLS // n)
    with np.errstate(invalid="ignore", divide="ignore"):
        for start in range(0, len(counts), rows):
            weights = counts[start : start + rows].astype(np.float64).T
            np.divide(sums @ weights, (sizes @ weights)[same], out=values[:, start : start + rows])
    return values


def tails(prompts: NDArray[np.int_] | int, confidence: float) -> Floats:
    """Between which shares of the draws an interval lies: (..., 2).

    Of n prompts the draws spread by sqrt((n - 1) / n) too little, and a normal quantile is too near: the tail
    probability is not a = (1 - confidence) / 2 but ndtr(sqrt(n / (n - 1)) t), t the a-quantile of Student's t with
    n - 1 degrees of freedom. For many prompts that is a; of fewer than two it is NaN.
    """
    n = np.asarray(prompts, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        low = ndtr(np.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 - confidence) / 2))
    return np.stack([low, 1 - low], axis=-1)


def bca_levels(values: Floats, numerator: Floats, count: Floats, levels: Floats) -> Floats:
    """The BCa-corrected levels of each series: (series, levels).

    Bias z0 from the share of draws below the estimate (ties by half), acceleration a from the jackknife over prompts:
    ndtr(z0 + (z0 + z) / (1 - a (z0 + z))) with z = ndtri(level). NaN where all draws lie on one side of the estimate.

    Args:
        values: (series, draws), none NaN.
        numerator: (prompts, series).
        count: (prompts, series).
        levels: (series, levels), the tail probabilities.
    """
    estimate = numerator.sum(0) / count.sum(0)
    near = TIE * np.maximum(np.ptp(values, axis=1), np.abs(estimate))
    off = values - estimate[:, None]
    below = (off < -near[:, None]).mean(1) + (np.abs(off) <= near[:, None]).mean(1) / 2
    left_out = (numerator.sum(0) - numerator) / (count.sum(0) - count)
    skew = left_out.mean(0) - left_out
    spread = (skew**2).sum(0)
    acceleration = np.divide((skew**3).sum(0), 6 * spread**1.5, out=np.zeros_like(spread), where=spread > 0)
    z0 = np.where((below > 0) & (below < 1), ndtri(below), np.nan)[:, None]
    shifted = z0 + ndtri(levels)
    return ndtr(z0 + shifted / (1 - acceleration[:, None] * shifted))


def intervals(numerator: Floats, count: Floats, prompts: object, config: StatsConfig) -> tuple[Floats, Floats]:
    """Lower and upper ends of the interval of each statistic, both (series,).

    Where fewer than two prompts are counted there is nothing to resample: both ends are NaN. Where every counted prompt
    has the same value the ends equal it: the draws cannot tell what was not seen. Draws that count no response are left
    out. A series of which some draws count nothing, or all lie on one side of the estimate, has no BCa interval and
    takes the percentiles.

    Args:
        numerator: (prompts, series), what each prompt adds to the numerator.
        count: (prompts, series), what it adds to the denominator.
        prompts: what the prompts are; keys the draws.
        config: draws, confidence, method and seed.
    """
    low = np.full(numerator.shape[1], np.nan)
    high = low.copy()
    first, same = _distinct(np.vstack([numerator, count]))
    first_defined = [s for s in first if np.count_nonzero(count[:, s]) >= 2]
    if first_defined:
        counts = resampled_counts(len(numerator), config.draws, generator(config.seed, "bootstrap", prompts))
        for some in chunks(first_defined, max(1, CELLS // config.draws)):
            low[some], high[some] = _ends(numerator[:, some], count[:, some], counts, config)
    return low[first][same], high[first][same]


def _ends(numerator: Floats, count: Floats, counts: NDArray[np.uint16], config: StatsConfig) -> tuple[Floats, Floats]:
    values = resampled_values(numerator, count, counts)
    plain = tails(np.count_nonzero(count, axis=0), config.confidence)
    levels = plain.copy()
    undefined: Mask = np.isnan(values.sum(axis=1))
    if config.method == "bca":
        whole: Mask = ~undefined & (np.ptp(values, axis=1) > 0)
        if whole.any():
            levels[whole] = bca_levels(values[whole], numerator[:, whole], count[:, whole], plain[whole])
        lacking = np.isnan(levels).any(axis=1)
        levels[lacking] = plain[lacking]
    ends = np.empty((len(values), 2))
    for series, level in enumerate(levels):
        drawn = values[series]
        ends[series] = np.quantile(drawn[~np.isnan(drawn)] if undefined[series] else drawn, level)
    return ends[:, 0], ends[:, 1]


def _distinct(series: Floats) -> tuple[list[int], list[int]]:
    """The first column of each distinct kind, and for each column the position of its kind among them.

    Denominators often coincide (no refusals, all coherent), and equal series have equal intervals.
    """
    kinds: dict[bytes, int] = {}
    first: list[int] = []
    same: list[int] = []
    for position, column in enumerate(np.ascontiguousarray(series.T)):
        kind = kinds.setdefault(column.tobytes(), len(kinds))
        if kind == len(first):
            first.append(position)
        same.append(kind)
    return first, same


def chunks(items: list[int], size: int) -> Iterator[list[int]]:
    """``items`` in lists of at most ``size``."""
    return (items[start : start + size] for start in range(0, len(items), size))
