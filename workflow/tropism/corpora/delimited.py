"""CSV files, read strictly: a quote that is never closed or a cell too many is an error with its line, not a guess."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tropism.records.files import InputError, read_lines

if TYPE_CHECKING:
    from _csv import Reader


def read_csv(path: Path) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """The columns of a CSV file and its rows, each with the number of the line on which it begins.

    Raises:
        InputError: with file and line, for an empty file, a column given twice, a cell too many or too few, or a
            quote that is never closed.
    """
    csv.field_size_limit(2**31 - 1)  # a cell may be a book
    reader = csv.reader((line + "\n" for _, line in read_lines(path)), strict=True)
    _, columns = _next_row(reader, path) or (1, [])
    if not columns:
        raise InputError(f"{path}, line 1: no column names; the first line of a CSV file names its columns")
    for character, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(columns) == 1 and character in columns[0]:
            raise InputError(
                f"{path}, line 1: its cells are divided by {name}, not by commas; save it as CSV with commas"
            )
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise InputError(f"{path}, line 1: the column `{twice[0]}` is given twice")
    return columns, _rows(reader, columns, path)


def _rows(reader: "Reader", columns: list[str], path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    while (found := _next_row(reader, path)) is not None:
        line, cells = found
        if not "".join(cells).strip():
            continue
        if len(cells) != len(columns):
            raise InputError(
                f"{path}, line {line}: {len(cells)} cells under {len(columns)} columns; a comma inside a cell needs"
                " quotes around the cell"
            )
        yield line, dict(zip(columns, cells, strict=True))


def _next_row(reader: "Reader", path: Path) -> tuple[int, list[str]] | None:
    line = reader.line_num + 1
    try:
        return line, next(reader)
    except StopIteration:
        return None
    except csv.Error as error:
        raise InputError(
            f"{path}, line {line}: not CSV ({error}); look for a quote that is not closed, or not doubled inside a"
            " quoted cell, in the row that begins here"
        ) from None
