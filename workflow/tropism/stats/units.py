"""Units as they are printed beside an estimate; the tables keep the unit in which a number was computed."""

import re


def in_print(unit: str) -> tuple[int, str]:
    """By what to multiply a difference of that unit in print, and the unit that it then has.

    Shares become percentage points, as do slopes of them, such as ``share per share of metaphors masked``; the range of
    a score, in brackets, is left out. The quantity of a slope, after ``per``, stays as it is.
    """
    own, per, quantity = unit.partition(" per ")
    if own == "share":
        return 100, f"percentage points{per}{quantity}"
    return 1, re.sub(r" \(.*?\)", "", own) + per + quantity
