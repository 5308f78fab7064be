"""Texts that nobody labelled, from which a probe learns what a larger one finds in them."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rendering import Rendered

from tropism.annotate.features import Reader
from tropism.records.files import InputError, parse_json, read_lines

SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n+")
NEGATION = re.compile(r"(n['’]t)\b")
ENCLITIC = re.compile(r"(\w)(['’](?:s|re|ve|ll|d|m))\b")
MARK = re.compile(r"([.,;:!?()\"“”\[\]])")
APART = 0.55
PARAGRAPH_WORDS = 45
PIECES = (4, 200)


def strings(path: Path) -> Iterator[str]:
    """The texts of a JSONL file: each row's ``text``, or its messages, prompts and answers alike.

    Raises:
        InputError: with file and line, for a row with neither.
    """
    for number, line in read_lines(path):
        if not line.strip():
            continue
        row: dict[str, Any] = parse_json(line, f"{path}, line {number}")
        try:
            yield from [message["content"] for message in row["messages"]] if "messages" in row else [row["text"]]
        except (KeyError, TypeError):
            raise InputError(f"{path}, line {number}: neither a `text` nor `messages` with `content`") from None


def spaced(sentence: str) -> str:
    """``sentence`` with a space before and after each token, as the tokens of a gold sentence are joined."""
    return " ".join(MARK.sub(r" \1 ", ENCLITIC.sub(r"\1 \2", NEGATION.sub(r" \1", sentence))).split())


def rendered(text: str, seen: set[str], rng: np.random.Generator) -> Iterator[str]:
    """New sentences of ``text``, some by themselves as gold sentences are, the others in paragraphs as they stand."""
    paragraph: list[str] = []
    for sentence in SENTENCE_END.split(text):
        if not sentence.strip() or sentence in seen:
            continue
        seen.add(sentence)
        if rng.random() < APART:
            yield spaced(sentence)
            continue
        paragraph.append(sentence)
        if sum(len(part.split()) for part in paragraph) > PARAGRAPH_WORDS:
            yield " ".join(paragraph)
            paragraph = []
    if paragraph:
        yield " ".join(paragraph)


def unlabelled(paths: Sequence[Path], reader: Reader, wanted: int, seed: int) -> list[Rendered]:
    """About ``wanted`` pieces of text from ``paths``, from each in equal parts, without those that hold code."""
    rng = np.random.default_rng(seed)
    texts: list[Rendered] = []
    for path in paths:
        rows, seen, taken = [text for text in strings(path) if "```" not in text], set[str](), 0
        for index in rng.permutation(len(rows)):
            if taken > wanted / len(paths):
                break
            for text in rendered(rows[index], seen, rng):
                pieces = reader.pieces(text)
                if pieces.units and PIECES[0] <= len(pieces.ids) <= PIECES[1]:
                    texts.append(Rendered(text, [], [], [], path.name, pieces=pieces))
                    taken += len(pieces.ids)
    return texts
