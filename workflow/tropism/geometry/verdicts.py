"""A statistic in one plain line: the value, what random directions give, and only then what a threshold would say."""

import math
from typing import Any

from tropism.geometry.statistic import Statistic

NULLS = {"random": "random directions", "covariance": "random directions with the vectors' covariance"}


def verdict(statistic: Statistic, row: dict[str, Any]) -> str:
    """One sentence; ``row`` has the value, the range and p of either null."""
    value = row["value"]
    if math.isnan(value):
        return f"{statistic.subject}: {statistic.method}, {statistic.name} is undefined here"
    said = f"{statistic.subject}: {statistic.method}, {statistic.name} {number(value)}{_unit(statistic.unit)}"
    if not math.isnan(row["low"]):
        said += f" [{number(row['low'])}, {number(row['high'])}]"
    said += "; " + "; ".join(_against(statistic, row, null) for null in NULLS)
    if statistic.criterion:
        said += f"; published criterion {statistic.criterion} ({statistic.meets}): {_meets(statistic, row)}"
    return said


def _against(statistic: Statistic, row: dict[str, Any], null: str) -> str:
    mean, low, high = (row[f"{null}_{part}"] for part in ("mean", "low", "high"))
    if math.isnan(mean):
        return f"{NULLS[null]}: undefined"
    around = f"{NULLS[null]} {number(mean)} [{number(low)}, {number(high)}]"
    if math.isnan(row[f"p_{null}"]):
        return f"{around}, for reference"
    around += f", p {row[f'p_{null}']:.3g}"
    if low <= row["value"] <= high:
        return f"{around}: within their range"
    return f"{around}: {statistic.above if row['value'] > high else statistic.below}"


def _meets(statistic: Statistic, row: dict[str, Any]) -> str:
    bound = float(statistic.criterion.removeprefix("> "))
    own = row["value"] > bound
    usual = row["random_mean"] > bound
    return ("met" if own else "not met") + (", as random directions do on average" if own and usual else "")


def number(value: float) -> str:
    """Three significant digits, or whole degrees and more where large."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 100 else f"{value:.1f}"


def _unit(unit: str) -> str:
    return " degrees" if unit == "degrees" else ""
