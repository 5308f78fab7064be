"""Hold statistics against random directions: values, bootstrap intervals, null ranges and p, one row a statistic."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control
from threadpoolctl import threadpool_limits

from tropism.config.geometry import AnalysisConfig
from tropism.geometry.gram import Floats
from tropism.geometry.nulls import CELLS, KINDS, THREADS, batches, roots_of, top_shares
from tropism.geometry.statistic import Statistic
from tropism.geometry.verdicts import verdict
from tropism.stats.bootstrap import tails

DRAWN = 128
"""Shares of principal components of more vectors than this are compared with :func:`~nulls.top_shares`."""
TIE = 1e-9
ABOUT_CLUSTERS = {"cluster mean", "cross-cluster residual", "PC1 ablation"}
"""Methods with a test against directions of the vectors' own second moment, which asks whether the clusters matter.

Of whole sets it would be no test: n draws from the second moment of n vectors have fewer dimensions than these, so that
vectors without any structure would differ from it (simulated: in three of five statistics). Nor is it one of reductions
across clusters, ratios by which half of such sets of four or six vectors differ."""


@dataclass(frozen=True)
class Vectors:
    """Unit vectors by their Gram matrix (n, n), their width, and Gram matrices of bootstrap draws (draws, n, n).

    ``prompts`` is the least number of prompts that one of them is a mean over.
    """

    names: tuple[str, ...]
    gram: Floats
    width: int
    drawn: Floats | None
    prompts: int


def null_values(statistics: Sequence[Statistic], vectors: Vectors, config: AnalysisConfig) -> dict[Any, Floats]:
    """Values of each kind of statistic on random directions, (nulls,), by (null, kind).

    Statistics of as many vectors read the same draws, and two sets of draws are worked on at a time.
    """
    roots = roots_of(vectors.gram)
    sizes: dict[int, dict[Any, Statistic]] = {}
    for statistic in statistics:
        sizes.setdefault(len(statistic.indices), {}).setdefault(statistic.kind, statistic)

    def values(task: tuple[str, int]) -> dict[Any, Floats]:
        null, n = task
        shares = {kind for kind in sizes[n] if kind[0] == "shares" and n > DRAWN}
        some = {kind: statistic for kind, statistic in sizes[n].items() if kind not in shares}
        found: dict[Any, Floats] = {}
        if shares:
            top = top_shares(null, n, vectors.width, roots, config.nulls, config.seed)
            found |= {(null, kind): top[:, kind[2]] for kind in shares}
        parts: dict[Any, list[Floats]] = {kind: [] for kind in some}
        if some:
            for batch in batches(null, n, vectors.width, roots, config.nulls, config.seed):
                for kind, statistic in some.items():
                    parts[kind].append(statistic.of(batch))
        return found | {(null, kind): np.concatenate(part) for kind, part in parts.items()}

    # for all tasks at once: a limit that one of them sets and takes back would end in the midst of another's draws, and
    # sums by two threads have other last bits than by one
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(THREADS) as pool:
        tasks = [(null, n) for n in sorted(sizes, reverse=True) for null in reversed(KINDS)]
        return {key: value for found in pool.map(values, tasks) for key, value in found.items()}


@dataclass(frozen=True)
class Null:
    """Values of a statistic on random directions, rising and without undefined ones: (defined,)."""

    values: Floats
    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Floats, confidence: float) -> Self:
        """Their mean and middle range, once for all statistics that share them."""
        defined = np.sort(values[~np.isnan(values)])
        return cls(
            defined, float(defined.mean()) if len(defined) else float("nan"), *spread(defined, middle(confidence))
        )

    def two_sided(self, value: float) -> float:
        """Twice the smaller share of draws at least as low or as high, (b + 1) / (m + 1) each; NaN where undefined."""
        if np.isnan(value) or not len(self.values):
            return float("nan")
        slack = TIE * max(1.0, abs(value))
        lower = np.searchsorted(self.values, value + slack, side="right")
        higher = len(self.values) - np.searchsorted(self.values, value - slack, side="left")
        return float(min(1.0, 2 * (min(lower, higher) + 1) / (len(self.values) + 1)))


def compare(statistics: Iterable[Statistic], vectors: Vectors, config: AnalysisConfig) -> pd.DataFrame:
    """One row a statistic; see ``tables.GEOMETRY_TESTS_SCHEMA``."""
    statistics = list(statistics)
    drawn = null_values(statistics, vectors, config)
    nulls = {key: Null.of(values, config.confidence) for key, values in drawn.items()}
    values = own_values(statistics, vectors.gram)
    rows = [_row(s, value, vectors, nulls, config) for s, value in zip(statistics, values, strict=True)]
    table = pd.DataFrame(rows)
    for null in KINDS:
        table[f"p_{null}_bh"] = corrected(table[f"p_{null}"])
    table["verdict"] = [verdict(s, row) for s, row in zip(statistics, table.to_dict("records"), strict=True)]
    return table.assign(headline=[s.headline for s in statistics])


def own_values(statistics: Sequence[Statistic], gram: Floats) -> list[float]:
    """The value of each statistic; those of one kind are one function of as many vectors, called for many at once."""
    values = [float("nan")] * len(statistics)
    kinds: dict[Any, list[int]] = {}
    for place, statistic in enumerate(statistics):
        kinds.setdefault(statistic.kind, []).append(place)
    for places in kinds.values():
        indices = np.array([statistics[place].indices for place in places])
        size = max(1, CELLS // indices.shape[1] ** 2)
        for start in range(0, len(places), size):
            some = indices[start : start + size]
            found = statistics[places[0]].of(gram[some[:, :, None], some[:, None, :]])
            for place, value in zip(places[start : start + size], found.tolist(), strict=True):
                values[place] = value
    return values


def corrected(p: pd.Series) -> pd.Series:
    """p after Benjamini and Hochberg over the defined ones."""
    defined = p.notna()
    return p.mask(defined, pd.Series(false_discovery_control(p[defined]), p.index[defined])) if defined.any() else p


def _row(
    statistic: Statistic, value: float, vectors: Vectors, nulls: dict[Any, Null], config: AnalysisConfig
) -> dict[str, Any]:
    low, high = float("nan"), float("nan")
    if vectors.drawn is not None:
        chosen = np.ix_(statistic.indices, statistic.indices)
        drawn = statistic.of(vectors.drawn[:, chosen[0], chosen[1]])
        low, high = around(value, drawn, tails(vectors.prompts, config.confidence))
    row: dict[str, Any] = {
        "method": statistic.method,
        "statistic": statistic.name,
        "subject": statistic.subject,
        "n_vectors": len(statistic.indices),
        "value": value,
        "low": low,
        "high": high,
        "unit": statistic.unit,
        "criterion": statistic.criterion or None,
    }
    for null in KINDS:
        chance = nulls[null, statistic.kind]
        row |= {f"{null}_mean": chance.mean, f"{null}_low": chance.low, f"{null}_high": chance.high}
        about_clusters = statistic.method in ABOUT_CLUSTERS and not statistic.name.startswith("reduction")
        tested = null == "random" or about_clusters
        row[f"p_{null}"] = chance.two_sided(value) if tested else float("nan")
    return row


def middle(confidence: float) -> Floats:
    """The levels between which that share of values lies: (2,)."""
    return np.array([(1 - confidence) / 2, (1 + confidence) / 2])


def around(value: float, drawn: Floats, levels: Floats) -> tuple[float, float]:
    """The draws of a statistic at ``levels`` (2,), those of few prompts farther out, where they hold it; else NaN.

    Vectors that are means over noisy prompts are noisier still in a draw of these prompts: cosines shrink, dimensions
    grow. Where the whole interval has moved away from the estimate it says nothing of the truth.
    """
    low, high = spread(drawn, levels)
    slack = TIE * max(1.0, abs(value))
    return (low, high) if low - slack <= value <= high + slack else (float("nan"), float("nan"))


def spread(values: Floats, levels: Floats) -> tuple[float, float]:
    """The quantiles at ``levels`` (2,) of the values that are defined."""
    values = values[~np.isnan(values)]
    if not len(values) or np.isnan(levels).any():
        return float("nan"), float("nan")
    low, high = np.quantile(values, levels)
    return float(low), float(high)
