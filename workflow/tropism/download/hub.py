"""Fetch files of one revision of a hub repository, so that what is used is what was named.

A commit of the hub is a hash over its files' hashes. The list of a revision's files is asked for first; each file is
then held against it (sha256 of large files, git's blob hash of small ones) before it gets its final place.
"""

import fnmatch
import hashlib
import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from tropism.corpora.registry import Entry, read_registry
from tropism.records.files import InputError, sha256_file, write_manifest

log = logging.getLogger(__name__)

# weights as safetensors, settings and tokenizer; no pickle and no code
MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "LICENSE*")

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


@dataclass(frozen=True)
class Place:
    """A repository on the hub and what is wanted of it: everything below ``path``, or the file of that name."""

    kind: str
    repository: str
    path: str

    @classmethod
    def parse(cls, location: str) -> "Place":
        """From a registry's ``hub:[datasets/]OWNER/REPOSITORY[/PATH]``."""
        parts = location.removeprefix("hub:").split("/")
        kind = "dataset" if parts[0] == "datasets" else "model"
        parts = parts[1:] if kind == "dataset" else parts
        return cls(kind, "/".join(parts[:2]), "/".join(parts[2:]))

    @property
    def page(self) -> str:
        """The repository's page, where access is asked for."""
        return f"https://huggingface.co/{'datasets/' if self.kind == 'dataset' else ''}{self.repository}"


@dataclass(frozen=True)
class Remote:
    """A file of a revision as the hub lists it; ``sha256`` of large files, ``blob`` (git's hash) of the others."""

    name: str
    size: int
    sha256: str | None
    blob: str

    def matches(self, path: Path) -> bool:
        """Whether the file at ``path`` has this content."""
        if path.stat().st_size != self.size:
            return False
        return sha256_file(path) == self.sha256 if self.sha256 else git_blob(path) == self.blob


def git_blob(path: Path) -> str:
    """Git's hash of a file's content: SHA-1 of ``blob SIZE NUL`` and the bytes."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def wanted(place: Place, entry: Entry, files: list[Remote]) -> list[Remote]:
    """The files of a revision to fetch: of a model or adapter those that are loaded, else those at its path."""
    if entry.kind == "model":
        kept = [f for f in files if any(fnmatch.fnmatch(f.name, pattern) for pattern in MODEL_FILES)]
        return [f for f in kept if "/" not in f.name]
    if entry.kind == "adapter":  # beside it lie its checkpoints and the trainer's pickles
        kept = [f for f in files if f.name.rpartition("/")[0] == place.path]
        return [f for f in kept if f.name.rpartition("/")[2] in ADAPTER_FILES]
    return [
        f for f in files if f.name == place.path or f.name.startswith(place.path.rstrip("/") + "/") or not place.path
    ]


def fetch_source(source: str, registry: Path, output: Path) -> None:
    """Fetch a registered source into the folder ``output`` and write ``output/manifest.json``.

    Files arrive in a folder beside it that outlives a killed fetch, so that the next one goes on where it stopped.

    Raises:
        InputError: an unknown source, no access, a revision that is not there, or files that are not the listed ones.
    """
    entries = read_registry(registry)
    if source not in entries or not entries[source][0].location.startswith("hub:"):
        raise InputError(f"{registry}: `{source}` is not registered with a place on the hub (hub:OWNER/REPOSITORY)")
    entry, line = entries[source]
    where = f"{registry}, line {line} ({source})"
    place = Place.parse(entry.location)
    revision, files = listed(place, entry, where)
    staging = output.with_name(f".{output.name}.download")
    log.info("%s at %s: %d files, %.1f GB", place.page, revision, len(files), sum(f.size for f in files) / 1e9)
    try:
        snapshot_download(
            place.repository,
            repo_type=place.kind,
            revision=revision,
            local_dir=staging,
            allow_patterns=[f.name for f in files],
        )
    except (HfHubHTTPError, GatedRepoError) as error:
        raise explained(error, place, where) from error
    check(staging, files, where)
    shutil.rmtree(staging / ".cache", ignore_errors=True)
    remove_others(staging, files)
    if entry.sha256 and entry.sha256 != (actual := content_hash(staging, files)):
        raise InputError(
            f"{where}: the content has sha256 {actual}, registered is {entry.sha256}; is the revision right?"
        )
    write_manifest(staging, repository=place.repository, revision=revision, licence=entry.licence)
    if output.exists():
        shutil.rmtree(output)
    staging.rename(output)


def listed(place: Place, entry: Entry, where: str) -> tuple[str, list[Remote]]:
    """The commit that is fetched and its wanted files.

    Raises:
        InputError: no commit is registered; the message says which is the newest.
    """
    try:
        info: Any = HfApi().repo_info(
            place.repository, repo_type=place.kind, revision=entry.revision or None, files_metadata=True
        )
    except HfHubHTTPError as error:
        raise explained(error, place, where) from error
    if not entry.revision:
        raise InputError(
            f"{where}: no commit is registered, so another day might bring other files. Today's is {info.sha}: write it"
            " into the column `revision` of that line and start again"
        )
    files = [
        Remote(s.rfilename, s.size or 0, s.lfs.sha256 if s.lfs else None, s.blob_id or "") for s in info.siblings or []
    ]
    kept = wanted(place, entry, files)
    if not kept:
        raise InputError(f"{where}: nothing is at `{place.path}` in {place.page} at {info.sha}")
    return str(info.sha), kept


def check(folder: Path, files: list[Remote], where: str) -> None:
    """Hold every file against the hub's list; a wrong one is removed, so that the next fetch takes it anew.

    Raises:
        InputError: naming the files that are missing or have other content.
    """
    wrong = [f.name for f in files if not (folder / f.name).is_file() or not f.matches(folder / f.name)]
    for name in wrong:
        (folder / name).unlink(missing_ok=True)
    if wrong:
        raise InputError(
            f"{where}: not what the hub lists for this revision: {', '.join(wrong)}. Start again: only"
            " these are fetched anew"
        )


def remove_others(folder: Path, files: list[Remote]) -> None:
    """Remove what a fetch of another revision or repository left here: a loader would take it for this one's.

    Transformers prefers a lone ``model.safetensors`` to the parts that an index lists.
    """
    names = {f.name for f in files}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in names:
            log.info("%s is left of another fetch and is removed", path)
            path.unlink()


def content_hash(folder: Path, files: list[Remote]) -> str:
    """What the registry's sha256 stands for: a lone file's own, or that of all files' names and sha256 as JSON."""
    hashes = {f.name: sha256_file(folder / f.name) for f in files}
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def explained(error: HfHubHTTPError, place: Place, where: str) -> InputError:
    """The client's error as what a person has to do."""
    if isinstance(error, GatedRepoError) or (error.response is not None and error.response.status_code == 403):
        return InputError(
            f"{where}: {place.repository} is gated. Accept its terms at {place.page}, signed in, then give a token of"
            " that account: `export HF_TOKEN=...` (or `hf auth login`), and start again"
        )
    if isinstance(error, RevisionNotFoundError):
        return InputError(f"{where}: {place.page} has no such revision; correct the column `revision`")
    if isinstance(error, RepositoryNotFoundError):
        return InputError(
            f"{where}: the hub shows no {place.repository}. If it is private, give a token that may read it:"
            " `export HF_TOKEN=...` (or `hf auth login`); if not, correct the column `location`"
        )
    return InputError(f"{where}: the hub refused: {error}")
