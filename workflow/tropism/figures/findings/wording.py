"""Numbers of a finding in words."""

import pandas as pd

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
    is_share = row["unit"] == "share"
    return f"{row['change'] * (100 if is_share else 1):+.3g} {'points of %' if is_share else row['unit']}"
