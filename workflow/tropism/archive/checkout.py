"""The code at the commit, taken from git itself."""

import io
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tropism.records.files import InputError

DIFF = "uncommitted.diff"
"""Of the archive: what :func:`difference` gives."""


@dataclass(frozen=True)
class Commit:
    """A commit, its time (seconds since 1970), and what the checkout changed in it: paths, none if it is clean."""

    name: str
    seconds: int
    changed: tuple[str, ...]


def read_commit(project: Path) -> Commit:
    """The checkout's commit.

    Raises:
        InputError: not the root of a git checkout, or no commit yet.
    """
    if not (project / ".git").exists():
        raise InputError(f"{project.resolve()}: not the root of a git checkout, so there is no commit to archive")
    name, seconds = _git(project, "log", "-1", "--format=%H %ct").decode().split()
    status = _git(project, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all")
    changed = sorted(entry[3:] for entry in status.decode().split("\0") if entry)
    return Commit(name, int(seconds), tuple(changed))


def export(project: Path, commit: Commit, folder: Path, dirty: str) -> None:
    """Write the code below ``folder``, at the commit or, if that is recorded, as it is; links within it become what
    they point to.

    Raises:
        InputError: the checkout differs from the commit and ``dirty`` is not ``record``, or a link leads outside.
    """
    if commit.changed and dirty != "record":
        shown = "\n  ".join(commit.changed[:20])
        raise InputError(
            "the checkout differs from its commit, so the archive could not say which code made the results:\n"
            f"  {shown}\ncommit, stash or remove these, or record the difference: `archive: {{dirty: record}}`"
        )
    links = {}
    with tarfile.open(fileobj=io.BytesIO(_git(project, "archive", "--format=tar", commit.name))) as tar:
        for member in tar:
            if member.issym():
                links[member.name] = member.linkname
            elif member.isreg():
                source = tar.extractfile(member)
                assert source is not None
                _put(folder / member.name, source.read(), bool(member.mode & 0o100))
    if commit.changed:
        _record(project, commit, folder)
    for name, target in sorted(links.items()):
        _follow(folder, name, target)


def committed(project: Path, commit: Commit, folder: Path) -> dict[str, Path]:
    """The changed files as they were committed, by name, written below ``folder``; new ones were not."""
    listed = set(_git(project, "ls-tree", "-r", "-z", "--name-only", commit.name).decode().split("\0"))
    found = {name: folder / name for name in commit.changed if name in listed}
    for name, path in found.items():
        _put(path, _git(project, "cat-file", "blob", f"{commit.name}:{name}"), False)
    return found


def difference(project: Path, without: Iterable[str]) -> bytes:
    """What the checkout changed in its commit, as a patch, but for the files ``without``."""
    left_out = [f":(top,exclude,literal){name}" for name in without]
    return _git(project, "diff", "--binary", "--no-renames", "HEAD", "--", ":(top)", *left_out)


def _record(project: Path, commit: Commit, folder: Path) -> None:
    """Lay the checkout's changes on the exported commit."""
    for name in commit.changed:
        path = project / name
        if path.is_file() and not path.is_symlink():
            _put(folder / name, path.read_bytes(), bool(path.stat().st_mode & 0o100))
        else:
            (folder / name).unlink(missing_ok=True)


def _follow(folder: Path, name: str, target: str) -> None:
    place = (folder / name).parent / target
    if not place.resolve().is_relative_to(folder.resolve()) or not place.exists():
        raise InputError(f"{name}: a link that leads outside the project; an archive holds none")
    found = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    for path in found:
        copy = folder / name if place.is_file() else folder / name / path.relative_to(place)
        _put(copy, path.read_bytes(), bool(path.stat().st_mode & 0o100))


def _put(path: Path, content: bytes, executable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755 if executable else 0o644)


def _git(project: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(project), *arguments], capture_output=True, check=True)
    except subprocess.CalledProcessError as error:
        raise InputError(f"git {arguments[0]}: {error.stderr.decode(errors='replace').strip()}") from None
    return done.stdout
