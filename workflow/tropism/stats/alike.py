"""Intervals where every prompt has the same value, of which all bootstrap draws are alike.

Draws cannot tell of prompts that would differ but were not seen. How many there may be is known, though: with n
prompts, all alike, the share of others is below 1 - a^(1/n), a = (1 - confidence) / 2, the exact end of Clopper and
Pearson (1934) for none of n. These others may have any value of the instrument's range.
"""

import numpy as np

from tropism.stats.instruments import Floats

SAME = 1e-12
"""Values that differ by no more than this share of the largest, or of their scale, are the same but for rounding."""


def exact_interval(value: float, prompts: int, confidence: float, lowest: float, highest: float) -> tuple[float, float]:
    """The interval of a mean of ``prompts`` that all have ``value``, on a scale from ``lowest`` to ``highest``.

    Of a rate of 0 or 1 it is Clopper and Pearson's for one response a prompt. NaN for fewer than two prompts, and on a
    scale without ends, where prompts that were not seen may have any value.
    """
    if prompts < 2 or not np.isfinite(highest - lowest):
        return float("nan"), float("nan")
    reach = 1 - ((1 - confidence) / 2) ** (1 / prompts)
    return value - reach * (value - lowest), value + reach * (highest - value)


def with_exact_ends(
    numerator: Floats, count: Floats, ends: tuple[Floats, Floats], scales: Floats, confidence: float
) -> tuple[Floats, Floats]:
    """``ends`` (low and high, each (series,)), exact for the series of which every counted prompt has the same value.

    Args:
        numerator: (prompts, series), what each prompt adds to the numerator.
        count: (prompts, series), what it adds to the denominator.
        ends: of the bootstrap.
        scales: (series, 2), the lowest and the highest value that a prompt can have.
        confidence: of the intervals.
    """
    low, high = ends[0].copy(), ends[1].copy()
    for place in range(numerator.shape[1]):
        counted = count[:, place] > 0
        if np.count_nonzero(counted) < 2:
            continue
        values = numerator[counted, place] / count[counted, place]
        width = scales[place, 1] - scales[place, 0]
        # differences of sums in another order are not zero, but near it on their scale
        size = max(float(np.abs(values).max()), width if np.isfinite(width) else 0.0)
        if np.ptp(values) <= SAME * size:
            n = int(np.count_nonzero(counted))
            low[place], high[place] = exact_interval(float(values[0]), n, confidence, *scales[place].tolist())
    return low, high
