"""Pack a finished experiment: choose, leave out, describe, and write one file."""

import importlib.metadata
import json
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bagit
import yaml

from tropism.archive.bundle import write_bundle
from tropism.archive.checkout import DIFF, Commit, committed, difference, export, read_commit
from tropism.archive.crate import write_crate
from tropism.archive.harm import DATA, UNKNOWN_ADAPTER, Harm, Sources, kind
from tropism.archive.jobs import iso, read_jobs, record_files
from tropism.archive.locked import CANARY, lock
from tropism.archive.scan import refuse_secrets
from tropism.archive.traces import Traces
from tropism.config.archive import ArchiveConfig
from tropism.config.experiment import Experiment
from tropism.records.files import InputError, sha256_file, write_json

SKIPPED = {"archive", "shards", "checkpoints"}
"""Folders of an experiment that are no results: made from the others, or left by a run under way."""
OWN = {("logs", "archive", "pack.log"), ("benchmarks", "archive", "pack.tsv")}
"""What packing itself leaves; the next archive of the same results must not differ by it."""
OF_ARMS = {("features",), ("states",), ("geometry", "states")}
"""Folders of files that one job makes for many arms; Snakemake knows the job's list of them alone."""
LOCKED = "harm.zip"
SETTINGS = "experiment.yaml"


def pack(project: Path, settings: str, output: Path) -> None:
    """Archive the experiment with these ``settings`` (the whole effective config as JSON) to ``output``.

    Raises:
        InputError: nothing to archive, unfinished, a dirty checkout, a secret.
    """
    config = json.loads(settings)
    experiment = Experiment.parse(config)
    choice = experiment.archive
    commit = read_commit(project)
    folders = (f"results/{experiment.experiment}/", *(f"results/models/{name}/" for name in experiment.models))
    if not record_files(project, folders):
        raise InputError(
            f"{project}: Snakemake recorded no outputs of `{experiment.experiment}`; run the workflow first"
        )
    with tempfile.TemporaryDirectory(dir=_beside(output)) as scratch:
        bag = Path(scratch) / output.name.removesuffix(".tar.gz")
        stage = _Stage(project, bag, experiment)
        export(project, commit, bag, choice.dirty)
        (bag / SETTINGS).write_text(
            yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8"
        )
        stage.take_sources()
        stage.take_results(folders)
        stage.take_traces(commit)
        stage.finish(choice)
        versions = _versions()
        _describe(stage, commit, choice, folders, versions)
        refuse_secrets({path.relative_to(bag).as_posix(): path for path in _files(bag)})
        bagit.make_bag(str(bag), _bag_info(experiment, commit), checksums=["sha256"])
        write_bundle(bag, output, commit.seconds)


class _Stage:
    """What goes into the bag's payload and what stays behind."""

    def __init__(self, project: Path, bag: Path, experiment: Experiment) -> None:
        self.project, self.bag, self.experiment = project, bag, experiment
        self.results = project / "results" / experiment.experiment
        self.omitted: dict[str, dict[str, Any]] = {}
        self.weights: dict[str, dict[str, Any]] = {}
        self.harmful: dict[str, Path] = {}
        self.harm = Harm(experiment, self.results)
        self.sources = Sources(experiment, project)
        bag.mkdir()

    def take_sources(self) -> None:
        """Take harmful texts, and adapters of unknown origin, out of the exported code."""
        for path in list(_files(self.bag)):
            if path.name.startswith("adapter_model"):
                name = path.relative_to(self.bag).as_posix()
                self.weights[name] = {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
                self._leave(name, path, UNKNOWN_ADAPTER)
                path.rename(self._aside(name))
                if self.experiment.archive.weights:
                    self.harmful[name] = self._aside(name)
        tracked = {path.relative_to(self.bag).as_posix(): path for path in _files(self.bag)}
        for name, reason in self.sources.harmful(tracked).items():
            self._leave(name, tracked[name], reason)
            tracked[name].rename(self._aside(name))
            self.harmful[name] = self._aside(name)

    def take_traces(self, commit: Commit) -> None:
        """Take out whatever else quotes a text that was left out, and write what the checkout changed of the rest."""
        harmful: list[str] = []
        shown: list[str] = []
        for name, path in self.harmful.items():
            if path.is_relative_to(self.results):
                for into, texts in zip((harmful, shown), self.harm.texts(path), strict=True):
                    into += texts
            else:
                harmful += self.sources.texts(name, path)
        traces = Traces(harmful, shown)
        for path in _files(self.bag):
            name = path.relative_to(self.bag).as_posix()
            if self._may_quote(name, path, commit) and traces.found_in(path):
                self._leave(name, path, "quotes an answer that was left out", release=False)
                path.rename(self._aside(name))
                self.harmful[name] = self._aside(name)
        if commit.changed:
            (self.bag / DIFF).write_bytes(difference(self.project, self._hidden(commit, traces)))

    def _may_quote(self, name: str, path: Path, commit: Commit) -> bool:
        """Whether a file is searched: results, and of the project's own what was not committed, tables and rows.

        An answer may recite the licence, or the poems that it was trained on or that have gold labels.
        """
        if name.split("/")[0] in ("results", "release", ".snakemake"):
            return name.startswith("results/")
        own = name in self.sources.gold or self.sources.of(name, path)
        return (name in commit.changed or kind(path) in DATA) and not own

    def _hidden(self, commit: Commit, traces: Traces) -> list[str]:
        """Changed files of which the difference would show what is left out, as they are or as they were committed."""
        before = committed(self.project, commit, self.bag.parent / "committed")
        hidden = self.omitted.keys() & set(commit.changed) | self.sources.harmful(before).keys()
        hidden |= {name for name in before if Path(name).name.startswith("adapter_model")}
        return sorted(hidden | {name for name in before.keys() - hidden if traces.found_in(before[name])})

    def _aside(self, name: str) -> Path:
        path = self.bag.parent / "aside" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def take_results(self, folders: tuple[str, ...]) -> None:
        """Copy results, or list them as left out."""
        for name, record in record_files(self.project, folders).items():
            if not set(name.split("/")[2:3]) & SKIPPED:
                self._copy(record.relative_to(self.project).as_posix(), record)
        for folder in folders:
            for path in _files(self.project / folder):
                parts = path.relative_to(self.project / folder).parts
                stray = _is_stray(parts) or self._is_of_a_gone_arm(parts)
                if parts[0] not in SKIPPED and parts not in OWN and not stray:
                    self._take(path.relative_to(self.project).as_posix(), path)

    def _is_of_a_gone_arm(self, parts: tuple[str, ...]) -> bool:
        """Whether a path is of an arm that the settings no longer have, and of no job's output, so that it stays."""
        name, _, ending = parts[-1].rpartition(".")
        if parts[:-1] not in OF_ARMS or ending not in ("safetensors", "json"):
            return False
        return "." not in name and name not in self.experiment.expanded  # a job's list has a dot in its name

    def _take(self, name: str, path: Path) -> None:
        weights = _is_weights(path, self.project)
        if weights:
            self.weights[name] = {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
        reason = self.harm.reason(path, weights) if path.is_relative_to(self.results) else None
        if reason:
            self._leave(name, path, reason)
            if not weights or self.experiment.archive.weights:
                self.harmful[name] = path
        elif weights and not self.experiment.archive.weights:
            self._leave(name, path, "weights")
        else:
            self._copy(name, path)

    def _leave(self, name: str, path: Path, reason: str, release: bool = True) -> None:
        entry: dict[str, Any] = {"bytes": path.stat().st_size, "sha256": sha256_file(path), "reason": reason}
        rows = release and name.startswith("results/") and path.suffix == ".jsonl"
        lines = self.harm.releasable(path) if rows else None
        if lines:
            part = f"release/{name.split('/', 2)[2]}"
            target = self.bag / part
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
            entry |= {"released": part, "rows_released": len(lines)}
        self.omitted[name] = entry

    def _copy(self, name: str, path: Path) -> None:
        target = self.bag / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)

    def finish(self, choice: ArchiveConfig) -> None:
        """Encrypt what was left out as harmful, if that was asked for."""
        if choice.harm == "encrypt" and self.harmful:
            refuse_secrets(self.harmful)
            lock(self.harmful, self.bag / LOCKED, choice.password)
            for name in self.harmful:
                self.omitted[name]["encrypted"] = LOCKED


def _describe(
    stage: _Stage, commit: Commit, choice: ArchiveConfig, folders: tuple[str, ...], versions: dict[str, str]
) -> None:
    name = stage.experiment.experiment
    jobs = read_jobs(stage.bag, folders)
    locked = {"password": choice.password, "canary": CANARY} if (stage.bag / LOCKED).exists() else {}
    about = {
        "format": 1,
        "experiment": name,
        "commit": commit.name,
        "committed": iso(commit.seconds),
        "uncommitted": list(commit.changed),
        "folders": list(folders),
        "jobs": len(jobs),
        "harm": choice.harm,
        "weights": choice.weights,
        "report": (stage.bag / "results" / name / "report.html").is_file(),
        **locked,
    }
    environment = {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "machine": platform.machine(),
        "packages": versions,
    }
    write_json(stage.bag / "archive.json", about)
    write_json(stage.bag / "omitted.json", stage.omitted)
    write_json(stage.bag / "weights.json", stage.weights)
    write_json(stage.bag / "environment.json", environment)
    facts = {
        "name": f"Tropism experiment {name}",
        "description": f"Code, settings, data, judgments, tables and figures of the experiment {name}.",
        "seconds": commit.seconds,
        "commit": commit.name,
        "experiment": name,
        "snakemake": versions.get("snakemake", "unknown"),
    }
    omitted = {path: entry["sha256"] for path, entry in stage.omitted.items()}
    write_crate(stage.bag, facts, jobs, omitted, {"python": platform.python_version(), **versions})


def _is_stray(parts: tuple[str, ...]) -> bool:
    """Whether a path was left by a run under way; Snakemake's stamp of a folder is none."""
    return any(part.startswith(".") and part != ".snakemake_timestamp" for part in parts)


def _is_weights(path: Path, project: Path) -> bool:
    """Whether a safetensors file is an adapter, or a manifest beside or above it lists it, as those of models do."""
    if path.suffix != ".safetensors":
        return False
    if path.name.startswith("adapter_model"):
        return True
    for folder in path.parents:
        if folder == project:
            return False
        manifest = folder / "manifest.json"
        if manifest.is_file():
            return path.relative_to(folder).as_posix() in json.loads(manifest.read_text(encoding="utf-8"))["files"]
    return False


def _bag_info(experiment: Experiment, commit: Commit) -> dict[str, str]:
    return {
        "Bagging-Date": iso(commit.seconds)[:10],
        "External-Identifier": f"{experiment.experiment}-{commit.name}",
        "External-Description": "A Tropism experiment. The folder data is its project: `snakemake -n` works in it.",
    }


def _versions() -> dict[str, str]:
    found = {dist.metadata["Name"]: dist.version for dist in importlib.metadata.distributions()}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _beside(output: Path) -> Path:
    output.parent.mkdir(parents=True, exist_ok=True)
    return output.parent
