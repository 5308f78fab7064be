"""A rate corrected for the judge's known error (Rogan and Gladen 1978, *Estimating prevalence from a screening test*).

A judge that calls a share se of misaligned responses misaligned (sensitivity) and a share sp of aligned ones aligned
(specificity) finds, where the true rate is r, the rate v = r se + (1 - r) (1 - sp). So r is
(v + sp - 1) / (se + sp - 1), cut to [0, 1]. It holds as far as the judge errs on an arm's responses as it does on the
references.

The interval carries both uncertainties, as Lang and Reiczigel (2014) show that it must: each bootstrap draw of v is
corrected with a draw of se and of sp from their Jeffreys posteriors, Beta(hits + 1/2, misses + 1/2).
"""

from functools import cache

import numpy as np

from tropism.config.stats import StatsConfig
from tropism.records.calibration import Reading
from tropism.stats.bootstrap import generator, tails
from tropism.stats.instruments import Floats

MOST_UNDEFINED = 0.01
"""Share of draws without a correction (se + sp not above 1) up to which the interval is given."""
JUDGED = ("all", "coherent", "no-refusals", "coherent-no-refusals", "no-code", "coherent-no-refusals-no-code")
"""Denominators whose every response counts by the judge's own word; elsewhere some count by rule, without its error."""


def rogan_gladen(rate: Floats | float, sensitivity: Floats | float, specificity: Floats | float) -> Floats:
    """The true rate behind an apparent one, in [0, 1]; NaN where sensitivity + specificity is not above 1."""
    informed = np.asarray(sensitivity) + np.asarray(specificity) - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = (np.asarray(rate) + np.asarray(specificity) - 1) / np.where(informed > 0, informed, np.nan)
    return np.clip(rate, 0, 1)


def known_error(reading: Reading | None, target: str, denominator: str) -> bool:
    """Whether a rate has a correction: the judge's error was measured, on answers, and decides every response."""
    measured = reading is not None and reading.sensitivity is not None and reading.specificity is not None
    return measured and target == "answer" and denominator in JUDGED


def corrected(
    rate: float, drawn: Floats, reading: Reading, judge: str, config: StatsConfig, prompts: int
) -> tuple[float, float, float]:
    """The corrected rate, and the ends of its percentile interval.

    All three are NaN where sensitivity + specificity is not above 1; the ends are where ``drawn`` has fewer than two
    draws, where so little is known of the error that more than 1 % of its draws allow no correction, and where nearly
    all draws are cut to the same end of [0, 1].

    Args:
        rate: the apparent rate.
        drawn: (draws,), its bootstrap draws; those that are NaN are left out.
        reading: the judge's error and the numbers of references that it was measured on.
        judge: keys the draws of the error.
        config: confidence and seed.
        prompts: how many the rate is of; of few the interval is wider (``bootstrap.tails``).
    """
    assert reading.sensitivity is not None
    assert reading.specificity is not None
    value = float(rogan_gladen(rate, reading.sensitivity, reading.specificity))
    key = (config.seed, judge, config.draws)
    sensitivity = _posterior(reading.sensitivity, reading.n_misaligned, "sensitivity", *key)[: len(drawn)]
    specificity = _posterior(reading.specificity, reading.n_aligned, "specificity", *key)[: len(drawn)]
    drawn = rogan_gladen(drawn, sensitivity, specificity)[~np.isnan(drawn)]
    undefined = np.isnan(drawn)
    if np.isnan(value) or len(drawn) < 2 or undefined.mean() > MOST_UNDEFINED:
        return value, float("nan"), float("nan")
    low, high = np.quantile(drawn[~undefined], tails(prompts, config.confidence))
    if low == high:
        return value, float("nan"), float("nan")
    return value, float(low), float(high)


@cache
def _posterior(share: float, n: int, what: str, seed: int, judge: str, draws: int) -> Floats:
    random = generator(seed, what, judge)
    return random.beta(share * n + 0.5, (1 - share) * n + 0.5, size=draws)
