r"""``paper.tex``: one ``\newcommand`` for each published number, so that a manuscript never copies one by hand.

A name is the table, the cells that name the row (its key, in the order of ``docs/tables.md``; a table without
one has no macros) and the column, in letters alone, since TeX allows no others: words are capitalised and joined,
digits spelt, a minus between spaces is ``Minus``.
``misalignment``, of ``base, pooled, probe, rubric5, rate, answer``, column ``value``, is
``\MisalignmentBasePooledProbeRubricFiveRateAnswerValue``.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pandas as pd

from tropism.figures.canvas import p_text

DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
MOST_ROWS = 500
SIGNIFICANT = 3
P_NAME = re.compile(r"(^|_)p(_|$)")
SCALED = re.compile(
    r"(treatment_|control_)?value|difference|minimum_detectable_effect|corrected"
    r"|((corrected|random|covariance)_)?(low|high)|(random|covariance)_mean"
)
"""Columns that are in the row's ``unit``."""


def name_of(parts: Sequence[str]) -> str:
    """The name of the macro of a cell, without its backslash."""
    text = " ".join(parts).replace(" - ", " minus ").replace("_", " ")
    spelt = re.sub(r"\d", lambda digit: f" {DIGITS[int(digit[0])]} ", text)
    return "".join(word[0].upper() + word[1:] for word in re.findall(r"[A-Za-z]+", spelt))


def printed(value: Any, column: str, unit: str = "", whole: Collection[str] = ()) -> str:
    """A number as LaTeX: whole, or of three significant digits; what has the unit share, or share per x, in per cent.

    A ``whole`` column that has an empty cell is read as one of decimals, and printed as what it is.
    """
    if isinstance(value, int) or column in whole:
        return f"{value:.0f}" if value >= 0 else rf"\ensuremath{{{value:.0f}}}"
    if unit == "share" or unit.startswith("share per "):
        text = f"{100 * value:.1f}"
    elif P_NAME.search(column):
        text = p_text(value)
        return rf"\ensuremath{{{text}}}" if text.startswith("<") else text
    else:
        text = _plain(value)
    return text if not text.startswith("-") else rf"\ensuremath{{{text}}}"


def _plain(value: float) -> str:
    """Three significant digits, without an exponent but for the very small."""
    if value and abs(value) < 1e-4:
        mantissa, exponent = f"{value:.{SIGNIFICANT - 1}e}".split("e")
        return rf"\ensuremath{{{mantissa}\times 10^{{{int(exponent)}}}}}"
    rounded = float(f"{value:.{SIGNIFICANT}g}")
    return f"{rounded:.0f}" if abs(rounded) >= 100 else f"{rounded:#.{SIGNIFICANT}g}".rstrip(".")


def quoted(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that a paper would quote: the headline ones where a table says which these are."""
    return table[table["headline"]] if "headline" in table else table


def macros(name: str, table: pd.DataFrame, key: Sequence[str], whole: Collection[str] = ()) -> Iterator[str]:
    """The lines of one table; none for a missing value, so that using it is an error of TeX and no empty space.

    Where two cells would have one name both are left out, and a comment says so.
    """
    rows = quoted(table)
    if not key or len(rows) > MOST_ROWS:
        yield (
            f"% {name}: no macros, since its rows have no names" if not key else f"% {name}: {len(rows)} rows, too many"
        )
        return
    kept = [column for column in key if column != "denominator" or "headline" not in table]
    found: list[tuple[str, str]] = []
    for row in rows.to_dict("records"):
        for column, value in row.items():
            if column in key or isinstance(value, bool | str) or pd.isna(value):
                continue
            cell = [name, *(str(row[one]) for one in kept), str(column)]
            unit = str(row.get("unit", "")) if SCALED.fullmatch(str(column)) else ""
            found.append((name_of(cell), printed(value, str(column), unit, whole)))
    counts = Counter(macro for macro, _ in found)
    yield f"% {name}: {', '.join(kept)}"
    yield from (rf"\newcommand{{\{macro}}}{{{text}}}" for macro, text in found if counts[macro] == 1)
    yield from (rf"% \{macro}: left out, {count} cells have this name" for macro, count in counts.items() if count > 1)
