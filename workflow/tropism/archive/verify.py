"""Verify an archive: its bytes, its description, and, unpacked, that its workflow has nothing left to do."""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import bagit

from tropism.archive.bundle import unpack
from tropism.archive.crate import check_crate
from tropism.archive.described import Description, LeftOut, read_description, read_omitted
from tropism.archive.jobs import Job, read_jobs
from tropism.archive.locked import unlock
from tropism.archive.report import run_snakemake
from tropism.records.files import InputError, replacing, sha256_file

TAGS = {"bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"}
LONG_AGO = 315532800  # 1980: older than any output, so that a placeholder counts as unchanged
PUBLISHED = ("tables", "figures")
SETTINGS = Path("experiment.yaml")


def verify(archive: Path, rerun: bool, static: bool, most_bytes: int | None) -> Iterator[str]:
    """Check ``archive`` and yield a line for each thing that holds.

    Raises:
        InputError: the first thing that does not hold, naming the files.
    """
    if not archive.is_file():
        raise InputError(f"{archive}: no such file")
    with tempfile.TemporaryDirectory(prefix="tropism-verify-") as scratch:
        bag = unpack(archive, Path(scratch), most_bytes)
        yield f"checksums: {_check_bag(bag)} files are as they were written"
        data = bag / "data"
        about, omitted = read_description(data), read_omitted(data)
        jobs = read_jobs(data, about.folders)
        yield f"crate: {check_crate(data, jobs)} actions, one for each job"
        yield _check_omitted(data, omitted, jobs)
        if static:
            yield "workflow: not run (--static)"
            return
        with _placeholders(data, omitted):
            yield _check_nothing_to_do(data, omitted)
            if rerun:
                yield from _rerun(data, about, jobs, omitted)


def unlock_folder(folder: Path, password: str | None) -> list[str]:
    """Restore the encrypted files of the unpacked archive in ``folder``; gives back their paths.

    Raises:
        InputError: nothing is encrypted in it, or the files are not those listed.
    """
    about, omitted = read_description(folder), read_omitted(folder)
    locked = {name: entry.sha256 for name, entry in omitted.items() if entry.encrypted}
    if not locked:
        raise InputError(f"{folder}: this archive holds no encrypted files (harm: {about.harm})")
    password = password or about.password
    if password is None:
        raise InputError(f"{folder / 'archive.json'}: names no password; give it with --password")
    return unlock(folder / "harm.zip", folder, password, locked)


def _check_bag(bag: Path) -> int:
    extra = {path.name for path in bag.iterdir()} - TAGS - {"data"}
    if extra:
        raise InputError(f"files that no manifest lists: {', '.join(sorted(extra))}")
    try:
        opened = bagit.Bag(str(bag))
        opened.validate()
    except bagit.BagValidationError as error:
        problems = _changed(opened) or [str(error)]
        raise InputError("\n  ".join(["files were changed:", *problems])) from None
    except (bagit.BagError, ValueError, OSError) as error:
        raise InputError(f"bagit.txt, bag-info.txt or a manifest was changed: {error}") from None
    unlisted = (
        {path.name for path in bag.iterdir() if path.is_file()}
        - set(opened.tagfile_entries())
        - {"tagmanifest-sha256.txt"}
    )
    if unlisted:
        raise InputError(f"files that no manifest lists: {', '.join(sorted(unlisted))}")
    return len(opened.entries)


def _changed(bag: bagit.Bag) -> list[str]:
    """What differs from the manifests, by name; a failed count of bytes, which bagit looks at first, names nothing."""
    missing, added = bag.compare_manifests_with_fs()
    listed = {name: hashes["sha256"] for name, hashes in bag.entries.items()}
    differing = [
        name
        for name, digest in listed.items()
        if (Path(bag.path) / name).is_file() and sha256_file(Path(bag.path) / name) != digest
    ]
    return [
        *(f"{name}: missing" for name in sorted(missing)),
        *(f"{name}: added" for name in sorted(added)),
        *(f"{name}: changed (sha256 differs)" for name in sorted(differing)),
    ]


def _check_omitted(data: Path, omitted: dict[str, LeftOut], jobs: list[Job]) -> str:
    """Files that were left out have the checksum under which the jobs that read them recorded them."""
    read = {path: value for job in jobs for path, value in job.checksums.items()}
    wrong = [name for name, entry in omitted.items() if name in read and read[name] != f"sha256:{entry.sha256}"]
    if wrong:
        raise InputError(f"omitted.json: not the files that the jobs read: {', '.join(sorted(wrong))}")
    for name in omitted:
        target = (data / name).resolve()
        if not target.is_relative_to(data.resolve()) or target.exists():
            raise InputError(f"omitted.json: {name} is not a path of a file that was left out")
    known = sum(name in read for name in omitted)
    return f"left out: {len(omitted)} files, of which {known} have the checksum that their readers recorded"


@contextlib.contextmanager
def _placeholders(data: Path, omitted: dict[str, LeftOut]) -> Iterator[None]:
    """Stand empty, old files in for what was left out, so that every job is looked at; no job may read one."""
    for name in omitted:
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (LONG_AGO, LONG_AGO))
    yield


def _check_nothing_to_do(data: Path, omitted: dict[str, LeftOut]) -> str:
    printed = run_snakemake(data, SETTINGS, "--dry-run", "--", "all")
    if "Nothing to be done" not in printed:
        reasons = re.findall(r"^(?:rule|Job) .*$|^Reason: .*$", printed, re.MULTILINE)
        raise InputError("snakemake -n would run jobs again:\n  " + "\n  ".join(line[:400] for line in reasons[:20]))
    return f"workflow: nothing to be done ({len(omitted)} files left out were taken as given)"


def _rerun(data: Path, about: Description, jobs: list[Job], omitted: dict[str, LeftOut]) -> Iterator[str]:
    """Make again every table and figure whose inputs are here, and compare bytes."""
    folders = tuple(f"results/{about.experiment}/{name}/" for name in PUBLISHED)
    published = [job for job in jobs if all(path.startswith(folders) for path in job.outputs)]
    again = [job for job in published if not set(job.inputs) & set(omitted)]
    behind = [job for job in published if job not in again]
    for job in behind:
        needed = sorted(set(job.inputs) & set(omitted))
        reasons = sorted({re.sub(r" \(.*", "", omitted[name].reason) for name in needed})
        names = ", ".join(needed[:3]) + (f" and {len(needed) - 3} more" if len(needed) > 3 else "")
        yield f"not made again: {', '.join(job.outputs)}\n  needs {names}, left out: {'; '.join(reasons)}"
    if behind:
        count = sum(len(job.outputs) for job in behind)
        yield f"not made again: {count} tables and figures, whose checksums alone were checked"
    targets = [path for job in again for path in job.outputs]
    if not targets:
        raise InputError("no table or figure can be made from what the archive holds")
    before = {path: sha256_file(data / path) for path in targets}
    for path in targets:
        (data / path).unlink()
    rules = sorted({job.rule for job in again})
    run_snakemake(data, SETTINGS, "--allowed-rules", *rules, "--", *targets)
    changed = [path for path in targets if sha256_file(data / path) != before[path]]
    if changed:
        raise InputError(f"made again with other bytes: {', '.join(changed)}")
    yield f"made again: {len(targets)} tables and figures, with equal bytes"


def unpack_to(archive: Path, folder: Path, most_bytes: int | None = None) -> Path:
    """Unpack a checked archive to ``folder``, which must not be there yet; gives back its project.

    Raises:
        InputError: the folder exists, or the archive is refused.
    """
    if folder.exists():
        raise InputError(f"{folder}: is there already")
    with replacing(folder) as temporary:
        temporary.mkdir(parents=True)
        bag = unpack(archive, temporary, most_bytes)
        _check_bag(bag)
        for path in bag.iterdir():
            shutil.move(path, temporary / path.name)
        bag.rmdir()
    return folder / "data"
