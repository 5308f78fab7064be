"""The bootstrap over prompts and, where there are three or more, over trainings that differ in their seed alone.

Prompts and trainings are crossed: every training is asked the same prompts. A draw takes prompts with replacement and,
independently, trainings with replacement, and weighs a response by how often its prompt and its training were taken
(Owen 2007, *The pigeonhole bootstrap*). With few trainings the interval is too narrow rather than too wide: the
variance of S of them is underestimated by a factor of (S - 1) / S. Ends are percentiles; BCa is not defined for crossed
levels.
"""

from collections.abc import Sequence

import numpy as np

from tropism.config.stats import StatsConfig
from tropism.stats.bootstrap import CELLS, generator, resampled_counts
from tropism.stats.instruments import Floats
from tropism.stats.pairs import Term

FEWEST = 3
"""Trainings from which on they are a level of their own."""


def drawn_trainings(n: int, name: str, config: StatsConfig) -> Floats:
    """How often each of ``n`` trainings of the group ``name`` is taken in each draw: (draws, n); once each below 3."""
    if n < FEWEST:
        return np.ones((config.draws, n))
    return resampled_counts(n, config.draws, generator(config.seed, "trainings", name)).astype(np.float64)


def drawn_ratios(numerator: Floats, count: Floats, name: str, prompts: object, config: StatsConfig) -> Floats:
    """A ratio of sums over trainings and prompts in each draw: (draws,); NaN in a draw that counts no response.

    Args:
        numerator: (trainings, prompts).
        count: (trainings, prompts).
        name: what the trainings are; keys their draws.
        prompts: what the prompts are; keys theirs.
        config: draws and seed.
    """
    taken = drawn_trainings(len(numerator), name, config)
    counts = resampled_counts(numerator.shape[1], config.draws, generator(config.seed, "bootstrap", prompts))
    values = np.empty(config.draws)
    rows = max(1, CELLS // numerator.shape[1])
    for start in range(0, config.draws, rows):
        here = slice(start, start + rows)
        weights = counts[here].astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            values[here] = (weights @ numerator.T * taken[here]).sum(1) / (weights @ count.T * taken[here]).sum(1)
    return values


def percentiles(values: Floats, config: StatsConfig) -> tuple[float, float]:
    """The ends of the percentile interval of the draws that are defined; NaN if none is."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - config.confidence) / 2, (1 + config.confidence) / 2])
    return float(low), float(high)


def resampled(groups: Sequence[Term]) -> bool:
    """Whether any of the terms has trainings enough to draw them."""
    return any(len(term.means) >= FEWEST for term in groups)
