"""Published tables for the page, column by column, with what each column means from ``docs/tables.md``."""

import math
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from tropism.records.notes import Note
from tropism.site.scripts import number, write_script
from tropism.stats.read import POOLED
from tropism.stats.units import in_print

DIGITS = 10  # as in the CSV; the page rounds what it shows, once
SCALED = ("difference", "low", "high", "minimum_detectable_effect")


def write_tables(folder: Path, paths: list[Path], notes: dict[str, Note]) -> list[dict[str, Any]]:
    """Write ``data/tables/<name>.js`` for each and copy its CSV; name, description and size of each, for the menu."""
    listed = []
    (folder / "tables").mkdir(exist_ok=True)
    for path in paths:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
        note = notes.get(path.stem, Note("", (), {}))
        columns = [
            {
                "name": name,
                "about": note.columns.get(str(name), ""),
                "numeric": _numeric(column),
                "cells": _cells(column),
            }
            for name, column in table.items()
        ]
        write_script(folder / "data", f"tables/{path.stem}", columns)
        shutil.copyfile(path, folder / "tables" / path.name)
        listed.append({"name": path.stem, "about": note.about.replace("`", ""), "rows": len(table)})
    return listed


def headline(misalignment: Path) -> list[dict[str, Any]]:
    """The rates to quote: headline denominator, answers, by judge, instrument, domain and arm; pooled first."""
    table = pd.read_csv(misalignment, keep_default_na=False, na_values=[""])
    rows = table[(table["statistic"] == "rate") & (table["target"] == "answer") & table["headline"]]
    kept = ["arm", "domain", "judge", "instrument", "denominator", "value", "low", "high", "n_denominator"]
    ordered = rows.assign(first=rows["domain"] != POOLED).sort_values(["first", "judge", "instrument", "domain", "arm"])
    return [
        {name: _cell(value) for name, value in zip(kept, row, strict=True)}
        for row in ordered[kept].itertuples(index=False)
    ]


def planned(contrasts: Path) -> list[dict[str, Any]]:
    """The planned contrasts over all domains, answers and references, each with its interval and Holm's p.

    Differences are in the unit in which they are printed.
    """
    table = pd.read_csv(contrasts, keep_default_na=False, na_values=[""])
    rows = table[(table["domain"] == POOLED) & (table["target"] != "reasoning")]
    kept = [
        "contrast",
        "treatment",
        "control",
        "judge",
        "instrument",
        "statistic",
        "calibration",
        "n_prompts",
        "p_holm",
    ]
    listed = []
    for _, row in rows.iterrows():
        scale, unit = in_print(row["unit"])
        scaled = {name: _cell(float(row[name]) * scale) for name in SCALED}
        listed.append({name: _cell(row[name]) for name in kept} | scaled | {"unit": unit})
    return listed


def _numeric(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def _cells(column: pd.Series) -> list[Any]:
    return [_cell(value) for value in column.tolist()]


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return str(value) if math.isinf(value) else number(value, DIGITS)  # JSON has no infinity
    return value if isinstance(value, bool | int) else str(value)
