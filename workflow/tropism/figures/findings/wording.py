"""Numbers of a finding in words."""

import pandas as pd

from tropism.stats.units import in_print

ALPHA = 0.05
MOST = 8
"""Sentences about single tests."""


def share(row: pd.Series) -> str:
    """A rate with its interval and what it is of."""
    interval = "" if pd.isna(row["low"]) else f" [{row['low']:.1%}, {row['high']:.1%}]"
    return f"{row['value']:.1%}{interval} of {row['n_denominator']:.0f}"


def interval(row: pd.Series, column: str = "value", low: str = "low", high: str = "high") -> str:
    """A number with its interval, if it has one."""
    return f"{row[column]:.3g}" + ("" if pd.isna(row[low]) else f" [{row[low]:.3g}, {row[high]:.3g}]")


def change(row: pd.Series) -> str:
    """A change from the base with its unit."""
    scale, unit = in_print(row["unit"])
    return f"{row['change'] * scale:+.3g} {unit}"
