"""Compare two runs: what was set, which code and packages ran, and how far each published number moved."""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from tropism.archive.described import read_description, read_omitted
from tropism.archive.numbers import compare_tables, describe, read_table, row_key
from tropism.archive.verify import unpack_to
from tropism.records.files import InputError, parse_json, replacing, sha256_file
from tropism.records.notes import read_notes

CODE = re.compile(r"(?:workflow/.*|Snakefile|resources/.*|envs/.*)$")
TABLES_PAGE = Path(__file__).resolve().parents[3] / "docs" / "tables.md"


@dataclass(frozen=True)
class Run:
    """One side of a comparison; all but ``tables`` is empty for a bare folder of results.

    ``code`` and ``weights`` are checksums by path, of files that the archive leaves out as well.
    """

    name: str
    tables: Mapping[str, Path]
    settings: Mapping[str, str]
    code: Mapping[str, str]
    environment: Mapping[str, str]
    weights: Mapping[str, str]
    commit: str


def compare(a: Path, b: Path, output: Path | None) -> Iterator[str]:
    """Lines that say how run ``b`` differs from run ``a``; every compared cell goes to ``output``.

    Raises:
        InputError: not an archive, an unpacked archive or a folder with tables.
    """
    with tempfile.TemporaryDirectory(prefix="tropism-diff-") as scratch:
        first, second = _open(a, Path(scratch) / "a"), _open(b, Path(scratch) / "b")
        yield f"A: {first.name} {first.commit}".rstrip()
        yield f"B: {second.name} {second.commit}".rstrip()
        if first.commit and second.commit:
            for title in ("settings", "code", "environment", "weights"):
                yield from _changes(title, getattr(first, title), getattr(second, title))
        else:
            yield "settings, code, environment and weights: not compared, a bare folder of results does not hold them"
        keys = {name: note.key for name, note in read_notes(TABLES_PAGE).items()}
        numbers = compare_tables(first.tables, second.tables, keys)
        for name in sorted(set(first.tables) ^ set(second.tables)):
            yield f"table {name}: only in {'A' if name in first.tables else 'B'}"
        yield from _columns_apart(first.tables, second.tables)
        yield from _about(numbers, first.tables, keys)
        if output is not None:
            with replacing(output) as temporary:
                numbers.to_csv(temporary, index=False, float_format="%.10g", lineterminator="\n")


def _open(path: Path, scratch: Path) -> Run:
    project = unpack_to(path, scratch) if path.is_file() else path / "data" if (path / "bagit.txt").exists() else path
    if not (project / "archive.json").is_file():
        return Run(str(path), _tables(project, path), {}, {}, {}, {}, "")
    about, omitted = read_description(project), read_omitted(project)
    environment, weights = (
        parse_json((project / name).read_text(encoding="utf-8"), name) for name in ("environment.json", "weights.json")
    )
    packed = {file.relative_to(project).as_posix(): file for file in sorted(project.rglob("*")) if file.is_file()}
    code = {name: sha256_file(file) for name, file in packed.items() if CODE.match(name)}
    code |= {name: entry.sha256 for name, entry in omitted.items() if CODE.match(name)}
    settings = yaml.safe_load((project / "experiment.yaml").read_text(encoding="utf-8"))
    changed = " with uncommitted changes" if about.uncommitted else ""
    return Run(
        str(path),
        _tables(project / "results" / about.experiment, path),
        dict(_flat(settings)),
        code,
        dict(_flat(environment)),
        {name: entry["sha256"] for name, entry in weights.items()},
        about.commit + changed,
    )


def _tables(results: Path, path: Path) -> dict[str, Path]:
    tables = {file.stem: file for file in sorted((results / "tables").glob("*.csv"))}
    if not tables:
        raise InputError(f"{path}: neither an archive nor a folder with tables")
    return tables


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _flat(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for position, item in enumerate(value):
            label = item.get("name", position) if isinstance(item, dict) else position
            yield from _flat(item, f"{key}[{label}]")
    else:
        yield key, json.dumps(value, ensure_ascii=False)


def _changes(title: str, a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[str]:
    differing = sorted(key for key in {*a, *b} if a.get(key) != b.get(key))
    yield f"{title}: {len(differing)} of {len({*a, *b})} differ" if differing else f"{title}: equal"
    for key in differing:
        if title in ("code", "weights"):
            yield f"  {key}: {'changed' if key in a and key in b else 'only in A' if key in a else 'only in B'}"
        else:
            yield f"  {key}: {a.get(key, 'absent')} -> {b.get(key, 'absent')}"


def _columns_apart(a: Mapping[str, Path], b: Mapping[str, Path]) -> Iterator[str]:
    """Columns of one run alone: they are not compared, and rows that only these tell apart are paired by place."""
    for name in sorted(set(a) & set(b)):
        first, second = (list(read_table(tables[name]).columns) for tables in (a, b))
        for side, own, other in (("A", first, second), ("B", second, first)):
            if alone := [column for column in own if column not in other]:
                yield f"table {name}: columns only in {side}, not compared: {', '.join(alone)}"


def _about(numbers: pd.DataFrame, tables: Mapping[str, Path], keys: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for name, table in numbers.groupby("table", sort=True):
        yield from describe(table, row_key(read_table(tables[str(name)]), keys.get(str(name), ())))
    parted = int((numbers["intervals"] == "part").sum())
    known = int(numbers["intervals"].isin(["part", "overlap"]).sum())
    yield f"all tables: intervals part in {parted} of the {known} numbers that have one in both runs"
