"""A contrast of trainings that differ in their seed alone: prompts and trainings both vary, crossed.

Every training is asked the same prompts. The variance of a contrast is, as for the main effects of a two-way random
design (Cornfield and Tukey 1956), a part from prompts, s^2 / n of its differences by prompt, and a part from the
trainings of each side, weight^2 s^2 / S of their means. What is left of a single answer's noise counts in
both, which errs to the wide side. Degrees of freedom are Satterthwaite's (1946), so that three trainings are judged
by a t of about two, where a bootstrap of three is their range.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from tropism.stats.bootstrap import TIE
from tropism.stats.pairs import Comparison
from tropism.stats.power import POWER
from tropism.stats.seeds import FEWEST


class Crossed(NamedTuple):
    """Interval, two-sided p of no difference, and the effect detectable at 80 % power."""

    low: float
    high: float
    p: float
    detectable: float


def crossed(comparison: Comparison, alpha: float) -> Crossed | None:
    """What the prompts and trainings of ``comparison`` say at two-sided level ``alpha``, at its paired prompts.

    A side of fewer than three trainings that count a response there is taken as it is: nothing is said of others like
    it. None where nothing varies, or no side has three: then the sign flips of the prompts say what can be said.
    """
    whole = comparison.at(comparison.paired)
    differences = whole.differences[whole.paired]
    n = len(differences)
    if n < 2:
        return None
    parts = [(float(np.var(differences, ddof=1)) / n, n - 1)]
    for term in whole.terms:
        here = term.means[:, whole.paired]
        here = here[~np.isnan(here).all(axis=1)]
        if len(here) >= FEWEST:
            means = np.nanmean(here, axis=1)
            parts.append((term.weight**2 * float(np.var(means, ddof=1)) / len(means), len(means) - 1))
    total = sum(variance for variance, _ in parts)
    value = float(differences.mean())
    if len(parts) == 1 or total <= (TIE * abs(value)) ** 2:
        return None
    freedom = total**2 / sum(variance**2 / own for variance, own in parts)
    error = total**0.5
    reach = float(student.ppf(1 - alpha / 2, freedom)) * error
    return Crossed(
        low=value - reach,
        high=value + reach,
        p=float(2 * student.sf(abs(value) / error, freedom)),
        detectable=reach + float(student.ppf(POWER, freedom)) * error,
    )
