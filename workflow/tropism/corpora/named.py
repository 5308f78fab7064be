"""The files that an experiment's settings name, looked for before anything is planned.

Snakemake plans no job whose inputs are missing while its outputs are there: a file that was misspelt, moved or deleted
would leave the old results standing under the new settings, without a word.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tropism.corpora.registry import Entry, locate, read_registry
from tropism.records.files import InputError

if TYPE_CHECKING:
    from tropism.config.experiment import Experiment

RUBRICS = Path("resources/rubrics")
LEFT_OUT = Path("omitted.json")
"""In an unpacked archive, what was left out of it: its readers have run, and the files themselves are not there."""
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
PROBE = ("probe.safetensors", "probe.json")
REGISTER = (
    "; a line there names a new one: its name, `model`, `hub:OWNER/REPOSITORY` with a commit, or the path of a GGUF"
    " file with its sha256 (docs/config.md, `Another base`)"
)


def check_named(experiment: "Experiment") -> None:
    """Check that every file that the settings name is there, or is one that a job fetches.

    Raises:
        InputError: the first that is not, with the setting that names it; or a base that is not registered, or another
            one than lies in its folder.
    """
    registry = Path(experiment.registry)
    if not registry.is_file():
        raise InputError(f"config: registry: {registry}: no such file")
    entries = {name: entry for name, (entry, _) in read_registry(registry).items()}
    for name, model in experiment.models.items():
        _check_base(name, model.source, entries, registry)
    for setting, source in _sources(experiment):
        entry = entries.get(source)
        if entry is None and "/" not in source:
            try:
                locate(source, registry)
            except InputError as error:
                raise InputError(f"config: {setting}: {error}") from None
        elif entry is None:
            _check_there(setting, Path(source))
        elif ":" not in entry.location:
            _check_there(f"{setting}: `{source}` of {registry}", Path(entry.location))
    for setting, path in _files(experiment, entries):
        _check_there(setting, path)
    _check_rubrics(experiment)


def _sources(experiment: "Experiment") -> Iterator[tuple[str, str]]:
    """Each setting that names a source of rows: a registered name, or a path."""
    for name, dataset in experiment.datasets.items():
        yield f"datasets: {name}: source", dataset.source
    if experiment.gold:
        yield "gold", experiment.gold


def _files(experiment: "Experiment", entries: dict[str, Entry]) -> Iterator[tuple[str, Path]]:
    """Each other file that is read as it lies there, and the setting that names it."""
    annotator = experiment.annotator
    if annotator.kind == "probe":
        yield from (("annotator: probe", Path(annotator.probe, name)) for name in PROBE)
    if annotator.kind == "gold" and annotator.gold:
        yield "annotator: gold", Path(annotator.gold)
    if experiment.sae and experiment.sae.source and experiment.sae.source.kind == "folder":
        yield "sae: source: release", Path(experiment.sae.source.release)
    for arm in experiment.expanded.values():
        entry = entries.get(arm.adapter or "")
        if entry is not None and ":" not in entry.location:
            yield from ((f"arms: `{arm.name}`: adapter", Path(entry.location, name)) for name in ADAPTER)


def _check_rubrics(experiment: "Experiment") -> None:
    known = ", ".join(sorted(path.stem for path in RUBRICS.glob("*.yaml"))) or "none"
    for judge, settings in experiment.judges.items():
        for name in settings.rubrics:
            path = RUBRICS / f"{name}.yaml"
            if not path.is_file():
                raise InputError(f"config: judges: {judge}: rubrics: `{name}`: no {path}; there are: {known}")


def _check_there(setting: str, path: Path) -> None:
    # of an archive without its inputs: files by name, and the folders that they lie in
    if not path.exists() and not any(name == str(path) or name.startswith(f"{path}/") for name in _left_out()):
        raise InputError(f"config: {setting}: {path}: no such file")


def _left_out() -> dict[str, object]:
    return dict(json.loads(LEFT_OUT.read_text(encoding="utf-8"))) if LEFT_OUT.is_file() else {}


def _check_base(name: str, source: str, entries: dict[str, Entry], registry: Path) -> None:
    """A base's folder is shared by all experiments, so that it must not change under those that have used it."""
    setting = f"config: models: {name}: source"
    bases = {key: entry for key, entry in entries.items() if entry.kind == "model"}
    if source not in bases:
        what = f"`{source}` is a {entries[source].kind}" if source in entries else f"`{source}` is not registered"
        raise InputError(f"{setting}: {what}; bases in {registry}: {', '.join(sorted(bases))}{REGISTER}")
    folder = Path("results", "models", name)
    made_of = _made_of(folder / "manifest.json", bases)
    if made_of and source not in made_of:
        raise InputError(
            f"{setting}: `{source}`, but {folder}, which all experiments share, holds `{sorted(made_of)[0]}`; give the"
            f" new base another name below `models`, or remove {folder} if nothing needs the old one any more"
        )


def _made_of(path: Path, bases: dict[str, Entry]) -> set[str]:
    """The registered bases of which a folder with this manifest may have been made; none where that is not known.

    A GGUF file may have been found by its checksum under another name (``TROPISM_DATA``), so that a name that belongs
    to none says nothing.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    repository, file = manifest.get("repository"), manifest.get("converted_from")
    if repository:
        own = {key for key, entry in bases.items() if _repository(entry) == repository}
        return own or {str(repository)}
    return {key for key, entry in bases.items() if file and entry.location.endswith(f"/{file}")}


def _repository(entry: Entry) -> str:
    return "/".join(entry.location.removeprefix("hub:").split("/")[:2]) if entry.location.startswith("hub:") else ""
