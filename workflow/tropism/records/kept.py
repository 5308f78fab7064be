"""Files of many arms that one job makes, since it loads their base once.

Beside each file stands a note of what it was made from. A job that is run again, because one arm changed or because it
was killed, makes only what is missing. What reads the files goes by the job's list, since they belong to whichever job
wrote last.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from tropism.records.files import InputError, sha256_file, write_json

ARMS = "arms"


@dataclass(frozen=True)
class Kept:
    """A file, and what it has to be made from, as one hash."""

    path: Path
    made_from: str

    @classmethod
    def of(cls, path: Path, facts: Sequence[Any]) -> Self:
        """``facts`` are what decides the file, as JSON can hold it: settings, code, hashes of what is read."""
        return cls(path, sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest())

    @property
    def note(self) -> Path:
        """JSON: ``made_from``, and the ``sha256`` of the file."""
        return self.path.with_suffix(".json")

    def is_there(self) -> bool:
        """Whether the file is there, whole, and made from the same."""
        if not (self.path.is_file() and self.note.is_file()):
            return False
        return bool(json.loads(self.note.read_text(encoding="utf-8")) == self._facts())

    def noted(self) -> None:
        """Write the note, after the file."""
        write_json(self.note, self._facts())

    def _facts(self) -> dict[str, str]:
        return {"made_from": self.made_from, "sha256": sha256_file(self.path)}


def weights_of(adapter: Path | None) -> str:
    """What tells an arm's weights from others on one base: the hash of its adapter, or that it has none."""
    return sha256_file(adapter / "adapter_model.safetensors") if adapter else "base"


def listing(files: Mapping[str, Path]) -> dict[str, list[dict[str, str]]]:
    """The list of arms' files, each with its sha256; it is written beside them."""
    return {ARMS: [{"arm": arm, "sha256": sha256_file(path)} for arm, path in files.items()]}


def listed(path: Path, what: str) -> dict[str, Path]:
    """The files ``ARM.safetensors`` that a list tells of, by arm; ``what`` is what an error calls them.

    Raises:
        InputError: a file is missing, or is not the one that the list tells of.
    """
    found = {}
    for entry in json.loads(path.read_text(encoding="utf-8"))[ARMS]:
        file = path.with_name(f"{entry['arm']}.safetensors")
        if not file.is_file() or sha256_file(file) != entry["sha256"]:
            raise InputError(
                f"{file}: not the {what} that {path} tells of; make them anew, by removing that list and running"
                " Snakemake again: arms that are right are kept"
            )
        found[entry["arm"]] = file
    return found


def of_arms(lists: Iterable[Path], arms: Iterable[str], what: str) -> dict[str, Path]:
    """The files of these arms, by what lists tell of.

    Raises:
        InputError: no list tells of an arm, or as :func:`listed`.
    """
    lists, arms = list(lists), list(arms)
    found = {arm: file for path in lists for arm, file in listed(path, what).items()}
    missing = [arm for arm in arms if arm not in found]
    if missing:
        raise InputError(
            f"{', '.join(map(str, lists))}: no {what} of {', '.join(missing)}; give the lists with these arms"
        )
    return {arm: found[arm] for arm in arms}
