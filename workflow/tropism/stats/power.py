"""The smallest effect that a contrast could have shown."""

from functools import cache

import numpy as np
from statsmodels.stats.power import TTestPower

from tropism.stats.bootstrap import TIE
from tropism.stats.instruments import Floats

POWER = 0.8


@cache
def detectable_size(n: int, alpha: float) -> float:
    """The standardised mean difference that ``n`` prompts show with power 0.8.

    To show it is to be significant at two-sided level ``alpha`` in a paired t-test, in the direction that is true: one
    tail at alpha/2, which statsmodels solves well, while its two-sided ``solve_power`` may end at the negative
    root. For large n it tends to (z[1 - alpha/2] + z[0.8]) / sqrt(n) = 2.80 / sqrt(n) at alpha 0.05. NaN for n < 2.
    """
    if n < 2:
        return float("nan")
    return float(TTestPower().solve_power(nobs=n, alpha=alpha / 2, power=POWER, alternative="larger"))


def minimum_detectable_effect(differences: Floats, alpha: float) -> float:
    """The smallest true mean difference that as many prompts with this spread would show at 80 % power.

    ``detectable_size(n) * sd``, sd the standard deviation (ddof 1) of the paired differences and in their unit; as if
    differences were normal. NaN for fewer than two prompts, for no spread, of which nothing follows, and for so few
    prompts that no effect reaches the level: of n prompts the smallest p of the sign flips is 2 / 2^n.
    """
    n = len(differences)
    if n < 2 or 2.0 ** (1 - n) > alpha or np.ptp(differences) <= TIE * np.abs(differences).max():
        return float("nan")
    return detectable_size(n, round(alpha, 12)) * float(np.std(differences, ddof=1))
