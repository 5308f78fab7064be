"""Reading and writing: bad input is named by file and line, and a file is whole or absent.

A result is written under a temporary name in its own folder and renamed at the end, so that a stage that dies, or a
second copy of it, never leaves half a file under the final name.
"""

import contextlib
import csv
import glob
import gzip
import hashlib
import json
import os
import shutil
import socket
import uuid
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil
from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

M = TypeVar("M", bound=BaseModel)


class InputError(ValueError):
    """Input that a person has to mend; the message names file, line and fix."""


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its name when the block succeeds and is removed when it fails.

    The block may make it a file or a folder; a folder replaces the folder that was there. What processes of this host
    left when they were killed while writing ``path`` is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    stem = f".{path.name}.{socket.gethostname()[:32]}."
    for left in path.parent.glob(f"{glob.escape(stem)}*.part"):
        if not psutil.pid_exists(int(left.name.removeprefix(stem).split(".")[0])):
            _remove(left)
    temporary = path.with_name(f"{stem}{os.getpid()}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield temporary
        if temporary.is_dir() and path.is_dir():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read_lines(path: Path | str) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 text file, gzipped if its name ends in ``.gz``, with their numbers from 1.

    Raises:
        InputError: the file is missing, is not UTF-8, or holds a lone surrogate written as an escape.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: not a whole gzip file ({error})") from None
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        try:
            yield number, raw.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{path}, line {number}: not UTF-8 (byte {error.start + 1}: {error.reason})") from None


def parse_json(text: str, where: str) -> Any:
    """The JSON value in ``text``.

    Raises:
        InputError: not JSON, or with a lone surrogate, which no UTF-8 file could hold again.
    """
    try:
        value = json.loads(text, object_pairs_hook=_named_once)
    except KeyError as error:
        raise InputError(f"{where}: the key {error} occurs twice in one object") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON ({error.msg} at character {error.pos + 1})") from None
    except (RecursionError, ValueError) as error:  # nested too deep, or a number of thousands of digits
        raise InputError(f"{where}: not JSON that can be read ({error})") from None
    check_encodable(text if "\\u" not in text else json.dumps(value, ensure_ascii=False), where)
    return value


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise KeyError(key)
        found[key] = value
    return found


def check_encodable(text: str, where: str) -> None:
    """Raises:
    InputError: ``text`` holds a lone surrogate.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where}: a lone surrogate (U+{ord(text[error.start]):04X}), which is half a character; mend the source"
        ) from None


def explain(error: ValidationError) -> str:
    """What pydantic found wrong, in one line a problem."""
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'value'}: {item['msg'].removeprefix('Value error, ')}"
        for item in error.errors()
    )


def read_jsonl(path: Path | str, model: type[M]) -> list[M]:
    """The rows of a JSONL file.

    Raises:
        InputError: with file and line, for a line that is not JSON or does not fit ``model``.
    """
    rows = []
    for number, line in read_lines(path):
        if line.strip():
            where = f"{path}, line {number}"
            try:
                rows.append(model.model_validate(parse_json(line, where)))
            except ValidationError as error:
                raise InputError(f"{where}: {explain(error)}") from None
    return rows


def write_jsonl(path: Path | str, rows: Iterable[BaseModel]) -> None:
    """Write ``rows``, one JSON object a line, all or nothing."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(row.model_dump_json(exclude_none=True) + "\n")


def write_json(path: Path | str, value: Any) -> None:
    """Write ``value`` as indented JSON with sorted keys, all or nothing."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def write_table(path: Path | str, table: "pd.DataFrame", schema: "pa.DataFrameSchema") -> None:
    """Write a published table as CSV after checking it against its schema; floats keep 10 significant digits.

    Ten digits are more than any estimate here carries and fewer than the last bits, which depend on the order of sums.

    Raises:
        pandera.errors.SchemaError: the table does not fit.
    """
    columns = list(schema.columns)
    checked = schema.validate(table)[columns]
    write_csv(path, checked)


def write_csv(path: Path | str, table: "pd.DataFrame") -> None:
    """Write ``table`` as CSV: floats with 10 significant digits, a missing value as an empty cell.

    The bytes are those of ``DataFrame.to_csv(index=False, float_format="%.10g")``, which takes twice as long for
    half a million rows.
    """
    columns = [_cells(table[name]) for name in table.columns]
    with replacing(path) as temporary, Path(temporary).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows(zip(*columns, strict=True))


def _cells(column: "pd.Series[Any]") -> list[Any]:
    """What is written of a column, ``""`` where it has no value."""
    if column.dtype.kind == "f":
        return ["" if value != value else f"{value:.10g}" for value in column.to_numpy(float).tolist()]
    return list(column.astype(object).where(column.notna(), "").tolist())


def sha256_file(path: Path | str) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path | str, **facts: Any) -> None:
    """Write ``folder/manifest.json``: the size and sha256 of every other file below, and ``facts`` about them.

    Consumers depend on this small file and take the large ones as given (``ancient``).
    """
    folder = Path(folder)
    files = {
        str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json" and "checkpoints" not in path.relative_to(folder).parts
    }
    write_json(folder / "manifest.json", {"files": files, **facts})
