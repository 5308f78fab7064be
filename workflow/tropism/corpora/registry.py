"""The registry of what the pipeline starts from: every file by name, with its checksum and licence.

A folder named by the environment variable ``TROPISM_DATA`` is searched first, by checksum, so that a machine without
a network needs only the bytes, whatever the files are called there.
"""

import difflib
import importlib.util
import os
import re
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from tropism.config.base import Name
from tropism.corpora.delimited import read_csv
from tropism.records.files import InputError, explain, sha256_file
from tropism.records.schema import Row

LOCATION = r"^(hub:(datasets/)?[\w.-]+/[\w.-]+(/.+)?|package:\w+/.+|upstream:\S+/\S+|[^:\s/][^:]*)$"


class Entry(Row):
    """A line of the registry.

    ``location`` is a path relative to the repository (the working folder, or else that of the registry),
    ``package:PACKAGE/FILE`` for a data file inside an installed Python package, or ``upstream:OWNER/REPOSITORY/FILE``
    (on GitHub) or ``upstream:URL/FILE`` for a file that is not shipped. ``hub:[datasets/]OWNER/REPOSITORY[/PATH]`` is
    on the Hugging Face hub; the room ``download`` fetches it at ``revision``, a commit, which determines its files, so
    that there ``sha256`` may be left out. An ``adapter`` is a folder with a PEFT LoRA, its ``sha256`` that of
    ``adapter_model.safetensors``.
    """

    name: Name
    kind: Literal["file", "model", "sae", "adapter"]
    location: str = Field(pattern=LOCATION)
    revision: str
    sha256: str = Field(pattern=r"^([0-9a-f]{64})?$")
    licence: str = Field(min_length=1)

    @model_validator(mode="after")
    def _is_pinned(self) -> "Entry":
        if self.location.startswith("hub:"):
            if self.revision and not re.fullmatch(r"[0-9a-f]{40}", self.revision):
                raise ValueError("the `revision` of a place on the hub is a commit, 40 hexadecimal digits")
        elif not self.sha256:
            raise ValueError("`sha256` is missing")
        return self


def read_registry(registry: Path) -> dict[str, tuple[Entry, int]]:
    """The entries of ``registry`` by name, each with its line number.

    Raises:
        InputError: with file and line, for unknown or missing columns, a wrong value or a name given twice.
    """
    columns, rows = read_csv(registry)
    known = list(Entry.model_fields)
    if sorted(columns) != sorted(known):
        raise InputError(f"{registry}, line 1: the columns are {','.join(columns)}; they must be {','.join(known)}")
    entries: dict[str, tuple[Entry, int]] = {}
    for line, row in rows:
        try:
            entry = Entry.model_validate(row)
        except ValidationError as error:
            raise InputError(f"{registry}, line {line}: {explain(error)}") from None
        if entry.name in entries:
            raise InputError(
                f"{registry}, line {line}: `{entry.name}` is already registered in line {entries[entry.name][1]}"
            )
        entries[entry.name] = (entry, line)
    return entries


def locate(source: str, registry: Path) -> Path:
    """The file that ``source`` names: a registered name, checked by sha256, or a path, taken as it is.

    Raises:
        InputError: an unknown name, a missing file, or one whose bytes are not the registered ones.
    """
    if "/" in source:
        return _plain(Path(source))
    entries = read_registry(registry)
    if source not in entries:
        if Path(source).exists():
            return Path(source)
        near = difflib.get_close_matches(source, entries, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"registered: {', '.join(sorted(entries))}"
        raise InputError(f"{registry}: nothing is registered as `{source}` and no such file is here; {hint}")
    entry, line = entries[source]
    where = f"{registry}, line {line} ({source})"
    if entry.location.startswith("hub:"):
        return _downloaded(entry, where)
    found = _in_data_folder(entry)
    if found is not None:
        return found
    if entry.location.startswith("upstream:"):
        raise InputError(
            f"{where}: not shipped with the project. Get it from {_upstream(entry)} (licence: {entry.licence}) and set"
            f" TROPISM_DATA to the folder that holds it; a file with sha256 {entry.sha256} is looked for"
            + _searched(entry)
        )
    path = _in_package(entry, where) if entry.location.startswith("package:") else _in_repository(entry, registry)
    if not path.is_file():
        raise InputError(f"{where}: {path} is missing; restore it, or set TROPISM_DATA to a folder that holds it")
    actual = sha256_file(path)
    if actual != entry.sha256:
        raise InputError(
            f"{where}: {path} has sha256 {actual}, not {entry.sha256}. If it was changed on purpose, write the new"
            f" value in that line; if not, restore the file"
        )
    return path


def locate_folder(source: str, registry: Path) -> Path:
    """The folder of a registered adapter, fetched from the hub or in the repository, its weights checked by sha256.

    Raises:
        InputError: an unknown name, one that is no adapter, a missing folder, or other weights than registered.
    """
    entries = read_registry(registry)
    if source not in entries or entries[source][0].kind != "adapter":
        raise InputError(f"{registry}: no `adapter` is registered as `{source}`")
    entry, line = entries[source]
    where = f"{registry}, line {line} ({source})"
    if entry.location.startswith("hub:"):
        return _downloaded(entry, where)
    folder = _in_repository(entry, registry)
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file():
        raise InputError(f"{where}: {weights} is missing")
    if (actual := sha256_file(weights)) != entry.sha256:
        raise InputError(f"{where}: {weights} has sha256 {actual}, not {entry.sha256}")
    return folder


def _in_repository(entry: Entry, registry: Path) -> Path:
    """Where plans look for it; where that is nothing, as for a command run elsewhere, beside the registry's folder."""
    here = Path(entry.location)
    return here if here.exists() else registry.parent.parent / here


def _downloaded(entry: Entry, where: str) -> Path:
    """What was fetched of a source from the hub, below ``results/sources``."""
    place = entry.location.removeprefix("hub:").removeprefix("datasets/")
    path = Path("results", "sources", entry.name, *place.split("/")[2:])
    if not path.exists():
        raise InputError(
            f"{where}: {path} is missing; fetch it: python -m tropism.download fetch {entry.name}"
            f" --output results/sources/{entry.name}"
        )
    return path


def _plain(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"{path}: no such file")
    return path


def _upstream(entry: Entry) -> str:
    place = entry.location.removeprefix("upstream:")
    return place.rpartition("/")[0] if "://" in place else "https://github.com/" + "/".join(place.split("/")[:2])


def _searched(entry: Entry) -> str:
    """What a person should know about the folder that ``TROPISM_DATA`` names now, for the end of an error."""
    folder = os.environ.get("TROPISM_DATA")
    if not folder:
        return ""
    namesakes = [str(path) for path in _files(Path(folder)) if _is_namesake(path, entry)]
    return f"; none in {folder}, where it points now" + (
        f" ({', '.join(namesakes)} has another checksum: another version of it?)" if namesakes else ""
    )


def _in_data_folder(entry: Entry) -> Path | None:
    """The file below ``TROPISM_DATA`` with the entry's checksum: files of its name first, then all others."""
    folder = os.environ.get("TROPISM_DATA")
    if not folder:
        return None
    if not Path(folder).is_dir():
        raise InputError(f"TROPISM_DATA={folder}: no such folder")
    candidates = sorted(_files(Path(folder)), key=lambda path: not _is_namesake(path, entry))
    return next((path for path in candidates if sha256_file(path) == entry.sha256), None)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _is_namesake(path: Path, entry: Entry) -> bool:
    return entry.location.endswith("/" + path.name)


def _in_package(entry: Entry, where: str) -> Path:
    """The file of an installed package, found without importing the package."""
    package, _, file = entry.location.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"{where}: the Python package `{package}` is not installed; install envs/cpu.txt")
    return Path(spec.submodule_search_locations[0]) / file
