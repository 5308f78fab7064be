"""The file itself: a tar.gz whose bytes depend on its content alone, and the refusal of one that would do harm.

All members are plain files in one folder, sorted, with one time and no owner. That is also what is checked when a file
is opened: nothing else is ever written, so nothing else is accepted.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from tropism.archive.repacked import changed_files
from tropism.records.files import InputError, replacing

HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
"""gzip without a name and without a time."""
MOST_FILES = 1_000_000
MOST_AT_ONCE = 1 << 24
RATIO = 200
FREE_BYTES = 1 << 30
"""A file may unpack to ``FREE_BYTES`` or to ``RATIO`` times its own size, whichever is more."""
LONGEST_NAME = 1024
SHOWN = 20
"""Changed files that are named."""


class RefusedError(InputError):
    """The archive is hostile or damaged, and was not unpacked."""


def write_bundle(folder: Path, output: Path, seconds: int) -> None:
    """Pack ``folder``, under its own name, into ``output``; ``seconds`` since 1970 is the time of every member."""
    with (
        replacing(output) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(path for path in folder.rglob("*") if not path.is_dir()):
            member = tarfile.TarInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}")
            member.size, member.mtime, member.mode = path.stat().st_size, seconds, _mode(path)
            with path.open("rb") as file:
                tar.addfile(member, file)


def _mode(path: Path) -> int:
    return 0o755 if path.stat().st_mode & 0o100 else 0o644


class _Bounded(io.RawIOBase):
    """An unpacked stream that ends in a refusal when it grows past ``limit``, or when a header asks for too much."""

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        self.stream, self.limit = stream, limit

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MOST_AT_ONCE:
            raise RefusedError(f"a header of {size} bytes: no archive of ours has one")
        data = self.stream.read(size)
        self._check()
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        if offset > self.limit:
            raise RefusedError(f"unpacks to more than {self.limit:,} bytes: a bomb, or give a higher --max-bytes")
        return self.stream.seek(offset, whence)

    def tell(self) -> int:
        return self.stream.tell()

    def _check(self) -> None:
        if self.stream.tell() > self.limit:
            raise RefusedError(f"unpacks to more than {self.limit:,} bytes: a bomb, or give a higher --max-bytes")


def unpack(archive: Path, folder: Path, most_bytes: int | None = None) -> Path:
    """Unpack ``archive`` into the empty ``folder`` and give back the one folder that it holds.

    Raises:
        RefusedError: a path outside, a link, a device, a name twice, a bomb, damage; names the member.
    """
    limit = most_bytes or max(FREE_BYTES, RATIO * archive.stat().st_size)
    place = "its beginning"
    with archive.open("rb") as raw:
        if raw.read(len(HEADER)) != HEADER:
            raise RefusedError(f"{archive}: {_packed_again(archive, limit)}")
        raw.seek(0)
        try:
            with gzip.GzipFile(fileobj=raw, mode="rb") as packed:
                for place in _write_members(_Bounded(packed, limit), folder):  # noqa: B007 - named if the next one fails
                    pass
                place = "its end"
                while block := packed.read(1 << 16):
                    if block.strip(b"\0"):
                        raise RefusedError("bytes after the last member")
        except RefusedError as error:
            raise RefusedError(f"{archive}: {error}") from None
        except (OSError, EOFError, zlib.error, tarfile.TarError, UnicodeError, ValueError) as error:
            raise RefusedError(f"{archive}: damaged at or after {place} ({error})") from None
    tops = list(folder.iterdir())
    if len(tops) != 1:
        raise RefusedError(f"{archive}: holds {len(tops)} folders, one is expected")
    return tops[0]


def _packed_again(archive: Path, limit: int) -> str:
    """What is said of an archive that does not begin as ours do: first which of its files were changed."""
    with archive.open("rb") as raw, gzip.GzipFile(fileobj=raw, mode="rb") as packed:
        changed = changed_files(_Bounded(packed, limit))  # type: ignore[arg-type]  # as TarFile reads it
    header = "does not begin as an archive of ours does (gzip header changed)"
    if changed is None:
        return header
    if not changed:
        return f"was packed again by another program: its files are those of its manifests, but it {header}"
    more = [f"and {len(changed) - SHOWN} more"] if len(changed) > SHOWN else []
    return "\n  ".join(["files were changed:", *changed[:SHOWN], *more, f"and it {header}"])


def _write_members(stream: _Bounded, folder: Path) -> Iterator[str]:
    seen: set[str] = set()
    top, time = None, None
    with tarfile.TarFile(fileobj=stream, mode="r", errorlevel=2) as tar:
        for member in tar:
            _refuse(member)
            parts = PurePosixPath(member.name).parts
            top, time = top or parts[0], member.mtime if time is None else time
            if parts[0] != top or len(parts) < 2:
                raise RefusedError(f"{member.name}: outside the folder {top}")
            if member.mtime != time:
                raise RefusedError(f"{member.name}: its time was changed")
            if member.name.casefold() in seen:
                raise RefusedError(f"{member.name}: there twice")
            seen.add(member.name.casefold())
            if len(seen) > MOST_FILES:
                raise RefusedError(f"more than {MOST_FILES:,} files")
            target = folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            source = tar.extractfile(member)
            assert source is not None
            with target.open("xb") as file:
                _copy(source, file)
            target.chmod(member.mode)
            yield member.name


def _refuse(member: tarfile.TarInfo) -> None:
    name = member.name
    if not member.isreg() or member.issparse():
        raise RefusedError(f"{name}: a link, a device or another thing that is no plain file")
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or "\0" in name or {"", ".", ".."} & set(parts) or ":" in parts[0]:
        raise RefusedError(f"{name}: a path that leads outside")
    if len(name) > LONGEST_NAME:
        raise RefusedError(f"{name[:80]}...: a name of {len(name)} characters")
    if (member.uid, member.gid, member.uname, member.gname) != (0, 0, "", "") or member.mode not in (0o644, 0o755):
        raise RefusedError(f"{name}: its owner or mode was changed")


def _copy(source: IO[bytes], target: BinaryIO) -> None:
    while block := source.read(1 << 20):
        target.write(block)
