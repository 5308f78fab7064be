"""What an archive says of itself in ``archive.json`` and ``omitted.json``; another program may have written these."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, ValidationError

from tropism.config.base import Name
from tropism.records.files import InputError

Read = TypeVar("Read")
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Description(BaseModel, frozen=True):
    """``archive.json``, as far as it is read: which experiment, of which commit, and what became of harmful files.

    ``folders`` are the folders of results whose jobs are described, such as ``results/demo/``.
    """

    experiment: Name
    commit: str
    uncommitted: tuple[str, ...]
    folders: tuple[str, ...] = Field(min_length=1)
    harm: str
    password: str | None = None


class LeftOut(BaseModel, frozen=True):
    """An entry of ``omitted.json``: the checksum of a file that was left out, why, and where it is encrypted."""

    sha256: Sha256
    reason: str
    encrypted: str | None = None


_DESCRIPTION = TypeAdapter(Description)
_OMITTED = TypeAdapter(dict[str, LeftOut])


def read_description(folder: Path) -> Description:
    """``archive.json`` in ``folder``.

    Raises:
        InputError: it is not there, or is not as this project writes it.
    """
    return _read(folder / "archive.json", _DESCRIPTION)


def read_omitted(folder: Path) -> dict[str, LeftOut]:
    """``omitted.json`` in ``folder``: what was left out, by path.

    Raises:
        InputError: it is not there, or is not as this project writes it.
    """
    return _read(folder / "omitted.json", _OMITTED)


def _read(path: Path, form: TypeAdapter[Read]) -> Read:
    if not path.is_file():
        raise InputError(f"{path.name}: not in the archive, so it is none of ours")
    try:
        return form.validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ": ".join([path.name, *map(str, first["loc"])])
        raise InputError(f"{place}: not as an archive of ours has it: {first['msg']}") from None
