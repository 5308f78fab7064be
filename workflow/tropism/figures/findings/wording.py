"""Numbers of a finding in words."""

import pandas as pd

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
    is_share = row["unit"] == "share"
    return f"{row['change'] * (100 if is_share else 1):+.3g} {'points of %' if is_share else row['unit']}"
