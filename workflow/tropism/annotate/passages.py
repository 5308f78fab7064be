"""What annotators have in common: a passage in, an annotation out, whoever annotates."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import Discriminator, RootModel, Tag

from tropism.records.files import read_jsonl
from tropism.records.schema import Annotation, Conversation, Field, Text


@dataclass(frozen=True)
class Passage:
    """One field of one record: the text in which metaphors are looked for."""

    id: str
    field: Field
    text: str


class Annotator(Protocol):
    """Finds metaphors. ``name`` is the provenance written beside every annotation; ``counts`` is what it met so far."""

    name: str
    counts: Counter[str]

    def annotate(self, passages: Sequence[Passage]) -> Iterator[Annotation]:
        """One annotation for each passage, in the order given."""


def passages_of(rows: Sequence[Text | Conversation]) -> list[Passage]:
    """The passages of ``rows``, in order: ``text``, or ``aligned`` and ``misaligned`` where they are given."""
    return [Passage(row.id, field, text) for row in rows for field, text in row.fields().items()]


def _kind(row: object) -> str:
    return "conversation" if isinstance(row, dict) and "prompt" in row else "text"


class _Line(
    RootModel[
        Annotated[
            Annotated[Text, Tag("text")] | Annotated[Conversation, Tag("conversation")],
            Discriminator(_kind),
        ]
    ]
):
    """A line of a dataset: a conversation has a prompt, a text has none."""


def read_rows(path: Path | str) -> list[Text | Conversation]:
    """The texts or conversations in ``path``.

    Raises:
        InputError: with file and line, for a row that is neither.
    """
    return [line.root for line in read_jsonl(path, _Line)]
