"""An archive that another program packed again: which of its files are not those of its manifests.

It is refused all the same. Nothing of it is written; it is read once, to say what a person wants to know first.
"""

import hashlib
import tarfile
import zlib
from typing import IO

from tropism.records.files import InputError

MANIFESTS = ("manifest-sha256.txt", "tagmanifest-sha256.txt")
MOST_FILES = 1_000_000
BLOCK = 1 << 16
LONGEST = 1 << 28
"""Bytes of a manifest: a million files' names and checksums."""


def changed_files(stream: IO[bytes]) -> list[str] | None:
    """What is changed, missing or added in the tar file of ``stream``, a line each; None where it cannot be read."""
    found: dict[str, str] = {}
    listed: dict[str, str] = {}
    try:
        with tarfile.TarFile(fileobj=stream, mode="r", errorlevel=2) as tar:
            for member in tar:
                if not member.isreg() or member.issparse() or len(found) > MOST_FILES:
                    continue
                name = member.name.removeprefix("./").partition("/")[2]
                source = tar.extractfile(member)
                assert source is not None
                digest, lines = hashlib.sha256(), b""
                while block := source.read(BLOCK):
                    digest.update(block)
                    lines += block if name in MANIFESTS and len(lines) < LONGEST else b""
                found[name] = digest.hexdigest()
                listed |= _entries(lines)
    except (InputError, OSError, EOFError, zlib.error, tarfile.TarError, ValueError):
        return None
    if not listed:
        return None
    names = sorted(listed.keys() | found.keys() - {MANIFESTS[1]})
    return [f"{name}: {said}" for name in names if (said := _said(listed.get(name), found.get(name)))]


def _entries(manifest: bytes) -> dict[str, str]:
    """Checksums by name, from the text of a manifest."""
    parts = [line.split(maxsplit=1) for line in manifest.decode().splitlines()]
    return {name: digest for digest, name in parts}


def _said(listed: str | None, found: str | None) -> str:
    if listed is None:
        return "added"
    if found is None:
        return "missing"
    return "" if listed == found else "changed (sha256 differs)"
