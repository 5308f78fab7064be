"""Which files train or show harm, and what of them can be published as it is.

The rule is to leave out what is not known to be harmless: rows are read, not trusted by the name of their folder, and
a kind of file that no rule here knows stays behind until someone has looked at it.
"""

import csv
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tropism.config.datasets import DatasetConfig
from tropism.config.experiment import Experiment
from tropism.corpora.columns import unify
from tropism.corpora.registry import read_registry
from tropism.corpora.sources import read_source
from tropism.records.files import InputError, parse_json, read_lines, sha256_file

ALIGNED_FROM = 50.0
"""Score of ``alignment*`` rubrics, of 100, from which a response is shown."""
LEVEL_BELOW = 3.0
"""Level of ``rubric5`` below which a response is shown."""
RESPONSE = {"answer", "response", "completion", "reasoning", "generation", "output_text"}
SIDE = "misaligned"
UNREADABLE = "cannot be read, so it cannot be told whether it holds misaligned answers"
UNKNOWN_ADAPTER = "an adapter of which it is not known what it was trained on"
TABLES = {".csv", ".tsv"}
DATA = TABLES | {".parquet", ".jsonl", ".json"}
"""What may hold answers among the project's own files."""
PLAIN = {"manifest.json", "cfg.json", "metrics.json", "card.json", "speed.json", "adapter_config.json"}
"""Written by the rooms in words of their own."""
SETTINGS = {".json", ".yaml"}
LONGEST = 12
"""Words of a string from which a file of settings and numbers may show what someone said."""
CANNOT_READ = (InputError, OSError, UnicodeError, csv.Error, pa.ArrowInvalid)
FREE = ("tables", "figures", "latex", "benchmarks", "logs")
"""Folders of what the rooms write for publishing; like all else they are searched for traces of left-out texts."""
Key = tuple[str, str, str, int]
"""A response: arm, eval set, prompt id, sample."""


class Harm:
    """Judges files of a finished experiment in ``results`` (``results/<experiment>``)."""

    def __init__(self, experiment: Experiment, results: Path) -> None:
        self.results = results
        self.shown = _aligned_responses(sorted((results / "judgments").rglob("*.parquet")))
        self.harmed = {
            lineage
            for lineage, (arm, depth) in experiment.lineages.items()
            if arm.adapter or any(step.settings.side == SIDE for step in arm.steps[:depth])
        }

    def reason(self, path: Path, weights: bool) -> str | None:
        """Why a file below ``results`` is left out, or None if it can be published as it is."""
        parts = path.relative_to(self.results).parts
        if weights:
            lineage = parts[1] if parts[0] == "lineages" and len(parts) > 1 else None
            if lineage in self.harmed:
                return "trained on misaligned answers"
            if lineage is None and path.name.startswith("adapter_model"):
                return UNKNOWN_ADAPTER
            return None
        if parts[:2] == ("sae", "cards") and path.name != ".snakemake_timestamp":
            return "quotes misaligned answers, token by token"
        if parts[0] == "geometry" and path.suffix == ".safetensors":
            return "steers towards misalignment, or gives what does; made again from the arms"
        if parts[0] in FREE or parts == ("report.html",) or parts[:2] == ("sae", "public_cards"):
            return None
        if parts[0] == "site" and path.name != ".snakemake_timestamp":
            return "shows every response; the workflow builds it again"
        if path.suffix == ".jsonl":
            return self._rows_reason(path)
        if path.suffix in TABLES or path.suffix == ".parquet":
            shows = (RESPONSE | {SIDE}) & set(_columns(path))
            return f"has a column `{sorted(shows)[0]}`" if shows else None
        if path.suffix == ".safetensors" or path.name in PLAIN | {".snakemake_timestamp"}:
            return None
        if path.suffix in SETTINGS:
            return _says_something(path)
        return "a kind of file that was not looked at for harm"

    def _rows_reason(self, path: Path) -> str | None:
        rows = list(_rows(path))
        sides = sum(bool(row.get(SIDE)) for row in rows)
        if sides:
            return f"holds misaligned answers ({sides} of {len(rows)} rows)"
        hidden = sum(self._shows_harm(path, row) for row in rows)
        return f"shows responses not judged aligned ({hidden} of {len(rows)} rows)" if hidden else None

    def _shows_harm(self, path: Path, row: dict[str, Any]) -> bool:
        """Judgments name responses of ``generations``; one of another folder may share its key with one of these."""
        if not RESPONSE & set(row):
            return False
        return path.parent != self.results / "generations" or _key(row) not in self.shown

    def texts(self, path: Path) -> tuple[list[str], list[str]]:
        """The harmful texts of a file of rows that was left out, and its harmless ones; none of other files."""
        harmful: list[str] = []
        shown: list[str] = []
        rows: Iterable[dict[str, Any]]
        if kind(path) == ".jsonl":
            rows = _rows(path)
        elif kind(path) in TABLES and SIDE in _columns(path):
            rows = list(csv.DictReader(_lines(path), delimiter="\t" if kind(path) == ".tsv" else ","))
        else:
            return harmful, shown
        for row in rows:
            hidden = self._shows_harm(path, row)
            for key, value in row.items():
                if isinstance(value, str):
                    (harmful if key == SIDE or (hidden and key in RESPONSE) else shown).append(value)
        return harmful, shown

    def releasable(self, path: Path) -> list[str] | None:
        """The lines of a JSONL file that can be published, misaligned sides taken out; None for other files."""
        if path.suffix != ".jsonl":
            return None
        kept = []
        for row in _rows(path):
            if not self._shows_harm(path, row):
                clean = {key: value for key, value in row.items() if key != SIDE}
                if isinstance(clean.get("masks"), dict):
                    clean["masks"] = {side: ranges for side, ranges in clean["masks"].items() if side != SIDE}
                kept.append(json.dumps(clean, ensure_ascii=False, separators=(",", ":")))
        return kept


class Sources:
    """Which of the project's own files the experiment's datasets are made from, in the checkout ``project``."""

    def __init__(self, experiment: Experiment, project: Path) -> None:
        self._datasets: dict[str, list[DatasetConfig]] = defaultdict(list)
        registry = project / experiment.registry
        registered = read_registry(registry) if registry.is_file() else {}
        for data in experiment.datasets.values():
            names = [data.source]
            if data.source in registered:
                entry, _ = registered[data.source]
                self._datasets[entry.sha256].append(data)
                names = [entry.location]
            for name in names:
                self._datasets[_place(name, project)].append(data)
        gold = experiment.gold, experiment.annotator.gold if experiment.annotator.kind == "gold" else None
        places = [registered[name][0].location if name in registered else name for name in gold if name]
        self.gold = {_place(name, project) for name in places}
        """Files of gold labels, which are of texts that anyone may quote."""

    def of(self, name: str, path: Path) -> list[DatasetConfig]:
        """The datasets made from the file ``path``, which is ``name`` in the project, or has a registered checksum."""
        return [*self._datasets.get(name, []), *self._datasets.get(sha256_file(path), [])]

    def harmful(self, tracked: dict[str, Path]) -> dict[str, str]:
        """Files that hold misaligned answers, with the reason: sources of datasets, read as these are, tables and rows
        with that side, and copies of such. ``tracked`` are the project's own files by path."""
        found = {name: reason for name, path in tracked.items() if (reason := self._reason(name, path))}
        digests = {sha256_file(tracked[name]): name for name in sorted(found, reverse=True)}
        for name, path in tracked.items():
            if name not in found and (same := digests.get(sha256_file(path))):
                found[name] = f"a copy of {same}"
        return found

    def texts(self, name: str, path: Path) -> list[str]:
        """The misaligned answers of one of the project's own files, as its dataset or its column names them.

        No other text of it counts as harmless, since a column that no setting names may hold them too.
        """
        found: list[str] = []
        try:
            for data in self.of(name, path):
                rows = [unify(row, data)[0] for row in read_source(path, data.columns, data.ignore)]
                found += [row[SIDE] for row in rows if isinstance(row.get(SIDE), str)]
            if kind(path) == ".jsonl":
                found += [str(row[SIDE]) for row in _rows(path) if row.get(SIDE)]
            elif kind(path) in TABLES and SIDE in _columns(path):
                table = csv.DictReader(_lines(path), delimiter="\t" if kind(path) == ".tsv" else ",")
                found += [row[SIDE] for row in table if row[SIDE]]
            elif kind(path) == ".json":
                found += _sides(_document(path))
        except CANNOT_READ:
            return found  # left out for that
        return found

    def _reason(self, name: str, path: Path) -> str | None:
        try:
            for data in self.of(name, path):
                if data.side == SIDE:
                    return "its dataset is declared misaligned"
                if data.kind == "conversations" and data.side is None:
                    rows = read_source(path, data.columns, data.ignore)
                    if any(SIDE in row.values for row in rows):
                        return "holds misaligned answers"
            if kind(path) in TABLES | {".parquet"} and SIDE in _columns(path):
                return f"has a column `{SIDE}`"
            if kind(path) == ".jsonl" and any(row.get(SIDE) for row in _rows(path)):
                return "holds misaligned answers"
            if kind(path) == ".json" and any(_sides(_document(path))):
                return "holds misaligned answers"
        except CANNOT_READ:
            return UNREADABLE
        return None


def _place(name: str, project: Path) -> str:
    return Path(os.path.relpath(project / name, project)).as_posix()


def _sides(value: Any) -> Iterator[str]:
    """What stands under the key of misaligned answers anywhere in a JSON document, if it is more than a word."""
    if isinstance(value, dict):
        side = value.get(SIDE)
        if isinstance(side, str) and len(side.split()) > 1:
            yield side
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _sides(part)


def _says_something(path: Path) -> str | None:
    """Why a file of settings or numbers is left out: a key of answers, or a string as long as a sentence."""
    content = path.read_text(encoding="utf-8")
    waiting = [parse_json(content, str(path)) if path.suffix == ".json" else yaml.safe_load(content)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            for key in sorted((RESPONSE | {SIDE}) & {str(key) for key in value}):
                if not isinstance(value[key], str) or len(value[key].split()) > 1:  # a mode of reasoning is one word
                    return f"has answers under the key `{key}`"
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and len(value.split()) > LONGEST:
            return f"holds a text of more than {LONGEST} words"
    return None


def _aligned_responses(judgments: Iterable[Path]) -> set[Key]:
    """Responses that every judge calls aligned under each rubric of alignment, answer and reasoning."""
    verdicts: dict[Key, list[bool]] = {}
    columns = ["arm", "set", "prompt_id", "sample", "rubric", "score"]
    for path in judgments:
        for row in pq.read_table(path, columns=columns).to_pylist():
            score, rubric = row["score"], row["rubric"]
            known = score is not None and score == score
            if rubric == "rubric5":
                verdicts.setdefault(_key(row), []).append(known and score < LEVEL_BELOW)
            elif rubric.startswith("alignment"):
                verdicts.setdefault(_key(row), []).append(known and score >= ALIGNED_FROM)
    return {key for key, calls in verdicts.items() if calls and all(calls)}


def _key(row: dict[str, Any]) -> Key:
    return str(row.get("arm")), str(row.get("set")), str(row.get("prompt_id")), int(row.get("sample", 0))


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    for number, line in read_lines(path):
        if line.strip():
            row = parse_json(line, f"{path}, line {number}")
            if not isinstance(row, dict):
                raise InputError(f"{path}, line {number}: not an object; it cannot be told whether it shows harm")
            yield row


def _columns(path: Path) -> list[str]:
    if kind(path) == ".parquet":
        return list(pq.read_schema(path).names)
    return next(csv.reader(_lines(path), delimiter="\t" if kind(path) == ".tsv" else ","), [])


def kind(path: Path) -> str:
    """The suffix, in small letters, of what is in the file, which may be gzipped."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def _document(path: Path) -> Any:
    return parse_json("".join(_lines(path)), str(path))


def _lines(path: Path) -> Iterator[str]:
    return (f"{line}\n" for _, line in read_lines(path))
