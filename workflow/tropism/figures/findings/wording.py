"""Numbers of a finding in words."""

import pandas as pd

from tropism.stats.units import in_print

ALPHA = 0.05
MOST = 8
"""Sentences about single tests."""


def share(row: pd.Series) -> str:
    """A rate with its interval and what it is of."""
    return f"{interval(row, form='.1%')} of {row['n_denominator']:.0f}"


def interval(
    row: pd.Series, column: str = "value", low: str = "low", high: str = "high", form: str = ".3g", scale: float = 1
) -> str:
    """A number with its interval, if it has one, each times ``scale`` in the format ``form``."""
    value, *ends = (float(row[name]) * scale for name in (column, low, high))
    if pd.isna(value):
        return "not measured"
    return f"{value:{form}}" + ("" if any(map(pd.isna, ends)) else f" [{ends[0]:{form}}, {ends[1]:{form}}]")


def change(row: pd.Series) -> str:
    """A change from the base with its unit."""
    scale, unit = in_print(row["unit"])
    return f"{row['change'] * scale:+.3g} {unit}"
