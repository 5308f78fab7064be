"""Every published number of two runs, side by side: its change, and whether the two intervals part."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ESTIMATES = {"detector_curves": "y"}
"""The column that ``low`` and ``high`` are of, where it is not the one before them."""
BOUNDS = ["low_a", "high_a", "low_b", "high_b"]
COLUMNS = ["table", "row", "column", "a", "b", "change", *BOUNDS, "intervals", "words_a", "words_b"]
CELL = ["value", "low", "high", "words"]
SHOWN = 12


def compare_tables(
    a: Mapping[str, Path], b: Mapping[str, Path], keys: Mapping[str, Sequence[str]] | None = None
) -> pd.DataFrame:
    """Every cell of the tables that both have, ``COLUMNS``; ``keys`` are the columns that name a row, by table.

    ``intervals`` is ``part`` where those of the two runs have no value in common, ``overlap`` where they have,
    ``bound`` for the end of an interval, empty where a number has none. Cells of text stand in ``words_*``. A row of
    one run alone is empty on the other side.
    """
    known = keys or {}
    parts = [
        _compare(name, read_table(a[name]), read_table(b[name]), known.get(name, ()))
        for name in sorted(set(a) & set(b))
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def read_table(path: Path) -> pd.DataFrame:
    """A published table; only an empty cell is missing, since `none` and `nan` are words."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""], low_memory=False)


def row_key(table: pd.DataFrame, key: Sequence[str]) -> list[str]:
    """The columns that name a row: ``key``, or the columns of text where a table has none."""
    return [column for column in key if column in table] or [c for c in table if not _is_number(table[c])]


def _compare(name: str, a: pd.DataFrame, b: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    shared = [column for column in a if column in b]
    named = row_key(a[shared], key)
    values = [column for column in shared if column not in named]
    long = [_long(name, table, named, values) for table in (a, b)]
    both = long[0].merge(long[1], on=["row", "column"], how="outer", suffixes=("_a", "_b"), sort=False)
    both = both.rename(columns={"value_a": "a", "value_b": "b"})
    both.insert(0, "table", name)
    both["change"] = both["b"] - both["a"]
    known = both[BOUNDS].notna().all(axis=1)
    parted = (both["high_a"] < both["low_b"]) | (both["high_b"] < both["low_a"])
    ends = both["column"].isin({end for pair in interval_columns(name, a).values() for end in pair})
    both["intervals"] = np.select([ends, known & parted, known], ["bound", "part", "overlap"], "")
    return both[COLUMNS]


def _is_number(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def interval_columns(name: str, table: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Of each estimate the columns of its interval: ``<estimate>_low``; ``low`` is of the column before it."""
    columns = list(table)
    found = {c: (f"{c}_low", f"{c}_high") for c in columns if {f"{c}_low", f"{c}_high"} <= set(columns)}
    if {"low", "high"} <= set(columns) and columns.index("low"):
        found[ESTIMATES.get(name, columns[columns.index("low") - 1])] = ("low", "high")
    return found


def _long(name: str, table: pd.DataFrame, key: list[str], values: list[str]) -> pd.DataFrame:
    """One line a cell; rows of equal keys are numbered, so that none is compared with another's."""
    labels = pd.Series("", index=table.index)
    for place, column in enumerate(key):
        labels = labels + (" | " if place else "") + _words(table[column])
    repeats = table.groupby(labels).cumcount()
    labels = labels + repeats.map(lambda i: f" | {i + 1}" if i else "")
    intervals = interval_columns(name, table)
    lines = []
    for column in values:
        numeric = _is_number(table[column])
        low, high = (table[end] for end in intervals[column]) if column in intervals else (np.nan, np.nan)
        number, words = (table[column], "") if numeric else (np.nan, _words(table[column]))
        cells = {"row": labels, "column": column, "value": number, "low": low, "high": high, "words": words}
        lines.append(pd.DataFrame(cells).astype({"value": float, "low": float, "high": float, "words": object}))
    return pd.concat(lines, ignore_index=True) if lines else pd.DataFrame(columns=["row", "column", *CELL])


def _words(column: pd.Series) -> pd.Series:
    """Cells as text; a number reads the same whether the other cells of its column made it whole or not."""
    texts = [
        "" if pd.isna(value) else f"{value:.10g}" if isinstance(value, float) else str(value)
        for value in column.tolist()
    ]
    return pd.Series(texts, index=column.index, dtype=object)


def describe(numbers: pd.DataFrame, key: Sequence[str]) -> Iterator[str]:
    """Lines on one table's ``numbers``: how many moved, and first those whose intervals part, then the largest."""
    name = numbers["table"].iloc[0] if len(numbers) else ""
    there = {
        side: set(numbers.loc[numbers[side].notna() | (numbers[f"words_{side}"].fillna("") != ""), "row"])
        for side in "ab"
    }
    alone = {side: there[side] - there[other] for side, other in (("a", "b"), ("b", "a"))}
    both = numbers[~numbers["row"].isin(alone["a"] | alone["b"])]
    moved = both[_moved(both, "a", "b") | (both["words_a"] != both["words_b"])]
    only = [f"{len(rows)} rows only in {side.upper()}" for side, rows in alone.items() if rows]
    if moved.empty:
        yield f"table {name}: {'; '.join([f'{len(both)} cells, all equal', *only])}"
        return
    parted = int((both["intervals"] == "part").sum())
    counts = [f"{len(moved)} of {len(both)} cells differ", f"intervals part in {parted}", *only]
    yield f"table {name}: {'; '.join(counts)}" + (f"  ({' | '.join(key)})" if key else "")
    ends = _moved(both, "low_a", "low_b") | _moved(both, "high_a", "high_b")
    shown = both[(both.index.isin(moved.index) | ends) & (both["intervals"] != "bound")]
    half = ((shown["high_a"] - shown["low_a"]) + (shown["high_b"] - shown["low_b"])) / 4
    relative = shown["change"].abs() / shown[["a", "b"]].abs().max(axis=1)
    order = pd.DataFrame(
        {
            "part": shown["intervals"] != "part",
            "ends": shown["change"] == 0,
            "bare": half.isna(),
            "size": -(shown["change"].abs() / half).where(half > 0, relative),
        }
    )
    order = order.sort_values(["part", "ends", "bare", "size"], kind="stable")
    for row in shown.loc[order.index[:SHOWN]].itertuples():
        yield f"  {row.row}: {_line(row)}"
    if len(shown) > SHOWN:
        yield f"  ... {len(shown) - SHOWN} more; --output writes every cell"


def _moved(numbers: pd.DataFrame, a: str, b: str) -> pd.Series:
    return (numbers[a] != numbers[b]) & ~(numbers[a].isna() & numbers[b].isna())


def _line(row: Any) -> str:
    if row.words_a != row.words_b:
        return f"{row.column} {row.words_a or 'empty'} -> {row.words_b or 'empty'}"
    sides = [_number(row.a, row.low_a, row.high_a), _number(row.b, row.low_b, row.high_b)]
    change = f" ({row.change:+.4g})" if pd.notna(row.change) else ""
    change = " (its interval alone)" if row.change == 0 else change
    note = f" [{row.intervals}]" if row.intervals else ""
    return f"{row.column} {' -> '.join(sides)}{change}{note}"


def _number(value: float, low: float, high: float) -> str:
    if pd.isna(value):
        return "empty"
    return f"{value:.6g}" + (f" [{low:.4g}, {high:.4g}]" if pd.notna(low) and pd.notna(high) else "")
