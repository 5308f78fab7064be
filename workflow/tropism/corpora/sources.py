"""The field's own files: Parquet by name; by content JSONL, CSV, a folder of text files, gzipped or not.

A source gives raw rows, each with the place it came from, so that whatever is found wrong later can be named.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tropism.corpora.delimited import read_csv
from tropism.records.files import InputError, parse_json, read_lines

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RawRow:
    """A row as the file has it: our column names, the file's values, and where it stands."""

    where: str
    values: dict[str, Any]


def read_source(path: Path, columns: dict[str, str], ignore: Sequence[str]) -> list[RawRow]:
    """The rows of a file, or one row for each text file in a folder.

    ``columns`` maps our column names to the file's; the columns in ``ignore`` are left out. An empty cell of a CSV
    file is no value.

    Raises:
        InputError: with file and line, for anything that cannot be read, a NUL character, or a source without rows.
    """
    rows = list(_read_folder(path) if path.is_dir() else _read_file(path))
    if not rows:
        raise InputError(f"{path}: no rows in it" if path.is_file() else f"{path}: no .txt or .txt.gz file in it")
    present = {column for row in rows for column in row.values}
    for column in (*columns.values(), *ignore):
        if column not in present:
            raise InputError(
                f"{path}: no column `{column}`, which the settings name; its columns are {sorted(present)}"
            )
    for row in rows:
        _refuse_nul(row.values, row.where)
    return [_renamed(row, columns, ignore) for row in rows]


def _read_parquet(path: Path) -> Iterator[RawRow]:
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise InputError(f"{path}: not a whole Parquet file ({error})") from None
    for number, row in enumerate(table.to_pylist(), start=1):
        yield RawRow(f"{path}, row {number}", {column: cell for column, cell in row.items() if cell is not None})


def _read_file(path: Path) -> Iterator[RawRow]:
    if path.suffix == ".parquet":
        yield from _read_parquet(path)
        return
    first = next((line.strip() for _, line in read_lines(path) if line.strip()), "")
    if not first:
        raise InputError(f"{path}: the file is empty")
    if first.startswith("["):
        raise InputError(f"{path}, line 1: a JSON array; write one object a line (JSONL)")
    if first.startswith("{"):
        yield from _read_objects(path)
        return
    _, rows = read_csv(path)
    for line, row in rows:
        yield RawRow(f"{path}, line {line}", {column: cell for column, cell in row.items() if cell != ""})


def _read_objects(path: Path) -> Iterator[RawRow]:
    for number, line in read_lines(path):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        value = parse_json(line, where)
        if not isinstance(value, dict):
            raise InputError(f"{where}: a JSON {type(value).__name__} where an object is expected")
        yield RawRow(where, {column: cell for column, cell in value.items() if cell is not None})


def _read_folder(folder: Path) -> Iterator[RawRow]:
    """Each text file's id is its path below ``folder`` without the ending."""
    texts = sorted(folder.rglob("*.txt")) + sorted(folder.rglob("*.txt.gz"))
    others = sorted({path for path in folder.rglob("*") if path.is_file()} - set(texts))
    if others:
        log.warning("%s: %d files that are not .txt or .txt.gz are left out, %s first", folder, len(others), others[0])
    for path in texts:
        text = "\n".join(line for _, line in read_lines(path))
        identifier = path.relative_to(folder).as_posix().removesuffix(".gz").removesuffix(".txt")
        yield RawRow(str(path), {"id": identifier, "text": text})


def _renamed(row: RawRow, columns: dict[str, str], ignore: Sequence[str]) -> RawRow:
    ours = {theirs: our for our, theirs in columns.items()}
    values: dict[str, Any] = {}
    for column, value in row.values.items():
        if column in ignore:
            continue
        name = ours.get(column, column)
        if name in values:
            raise InputError(f"{row.where}: two columns are `{name}`; put the unwanted one under `ignore`")
        values[name] = value
    return RawRow(row.where, values)


def _refuse_nul(value: Any, where: str) -> None:
    if isinstance(value, str):
        if "\0" in value:
            line = value[: value.index("\0")].count("\n") + 1
            raise InputError(f"{where}: a NUL character (in line {line} of the text there); mend the source")
    elif isinstance(value, dict):
        for item in (*value.keys(), *value.values()):
            _refuse_nul(item, where)
    elif isinstance(value, list):
        for item in value:
            _refuse_nul(item, where)
