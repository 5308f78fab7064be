"""What the published tables mean, read from the page that is made of their schemas, ``docs/tables.md``.

A stage that shows tables of every room reads the page, and so imports none of their schemas.
"""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Note:
    """A table's first paragraph, the columns that name a row, the meaning of each column, and which hold integers."""

    about: str
    key: tuple[str, ...]
    columns: dict[str, str]
    whole: frozenset[str] = frozenset()


def read_notes(page: Path) -> dict[str, Note]:
    """The notes of each table by name."""
    notes = {}
    for section in re.split(r"^#{2,3} ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        name, _, body = section.partition("\n")
        rows = re.findall(r"^\| `(\w+)` \| [^|]* \| (.*) \|$", body, re.MULTILINE)
        about = body.strip().split("\n\n")[0]
        key = re.search(r"^One row for each (.*)\.$", body, re.MULTILINE)
        notes[name.strip()] = Note(
            about="" if about.startswith("|") else " ".join(about.split()),
            key=tuple(re.findall(r"`(\w+)`", key[1])) if key else (),
            whole=frozenset(re.findall(r"^\| `(\w+)` \| integer\b", body, re.MULTILINE)),
            columns={column: meaning.replace("\\|", "|").replace("`", "") for column, meaning in rows},
        )
    return notes
