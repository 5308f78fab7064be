"""Labels that people made: sentences as tokens, each with a label and a part of speech (the format of VUA releases).

A sentence is its tokens joined by single spaces, so that the offset of each is exact without guessing at the spaces of
the source.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import pydantic
from pydantic import model_validator

from tropism.annotate.passages import Passage
from tropism.records.files import InputError, read_jsonl
from tropism.records.schema import Annotation, Field, Metaphor, Row, Unit
from tropism.records.words import words


class GoldSentence(Row):
    """A sentence with, for each token, 1 for a metaphor and 0 for none, and its universal part of speech.

    ``field`` says which answer of the conversation ``id`` it is; a plain text, or an only answer, needs none.
    """

    id: str
    field: Field | None = None
    tokens: list[str] = pydantic.Field(min_length=1)
    labels: list[Literal[0, 1]]
    pos: list[str]
    genre: str

    @model_validator(mode="after")
    def _one_label_a_token(self) -> "GoldSentence":
        if not len(self.tokens) == len(self.labels) == len(self.pos):
            raise ValueError(
                f"{len(self.tokens)} tokens, {len(self.labels)} labels and {len(self.pos)} parts of speech: "
                "each token needs one of both"
            )
        if not all(self.tokens):
            raise ValueError("an empty token")
        return self

    @property
    def text(self) -> str:
        """The tokens joined by single spaces."""
        return " ".join(self.tokens)

    def spans(self) -> list[tuple[int, int]]:
        """Offsets ``(start, end)`` of the tokens in :attr:`text`."""
        spans, start = [], 0
        for token in self.tokens:
            spans.append((start, start + len(token)))
            start += len(token) + 1
        return spans


def read_gold(path: Path | str) -> list[GoldSentence]:
    """The sentences in ``path``.

    Raises:
        InputError: with file and line for a bad sentence; for an id that is there twice with one field; for a file
            without sentences.
    """
    sentences = read_jsonl(path, GoldSentence)
    if not sentences:
        raise InputError(f"{path}: no sentences")
    named = Counter((sentence.id, sentence.field or "text") for sentence in sentences)
    twice = [
        f"id `{name}` is there twice"
        + (f" as {field}" if field != "text" else "; a conversation's two answers are told apart by `field`")
        for (name, field), count in named.items()
        if count > 1
    ]
    if twice:
        raise InputError(f"{path}: {twice[0]}")
    return sentences


def label_units(sentence: GoldSentence) -> tuple[list[Unit], list[Metaphor]]:
    """The lexical units of a sentence and those of them that lie in a token labelled as a metaphor."""
    units, metaphors = [], []
    tokens = list(zip(sentence.spans(), sentence.labels, sentence.pos, strict=True))
    for start, end in words(sentence.text):
        inside = [(label, pos) for (first, past), label, pos in tokens if first < end and start < past]
        unit = Unit(start=start, end=end, pos=inside[0][1])
        units.append(unit)
        if any(label for label, _ in inside):
            metaphors.append(Metaphor(**unit.model_dump(), score=1.0))
    return units, metaphors


class Gold:
    """Annotates texts that are in the gold file, under the same id (and field) and with the same characters."""

    def __init__(self, path: Path | str) -> None:
        """Read the labels in ``path``."""
        self.path = path
        self.sentences = {(sentence.id, sentence.field): sentence for sentence in read_gold(path)}
        self.name = f"gold {Path(path).name}"
        self.counts: Counter[str] = Counter()

    def annotate(self, passages: Sequence[Passage]) -> Iterator[Annotation]:
        """One annotation for each passage, in order.

        Raises:
            InputError: a passage has no labels, or labels of another text.
        """
        for passage in passages:
            sentence = self.sentences.get((passage.id, passage.field)) or self.sentences.get((passage.id, None))
            if sentence is None:
                raise InputError(
                    f"{self.path}: no labels for {passage.field} `{passage.id}`; add them or use another annotator"
                )
            if sentence.text != passage.text:
                hint = "" if sentence.field or passage.field == "text" else f"; name its `field`, as `{passage.field}`"
                raise InputError(
                    f"{self.path}: the labels of `{passage.id}` are of another text; a labelled text is its tokens "
                    f"joined by single spaces, here {sentence.text[:60]!r}, not {passage.text[:60]!r}{hint}"
                )
            units, metaphors = label_units(sentence)
            self.counts.update(texts=1, units=len(units), metaphors=len(metaphors))
            yield Annotation(id=passage.id, field=passage.field, units=units, metaphors=metaphors, annotator=self.name)
