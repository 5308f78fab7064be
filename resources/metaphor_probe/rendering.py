"""Gold sentences as texts: joined by single spaces, or as paragraphs of ordinary English; and their features."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from tropism.annotate.features import Pieces, Reader
from tropism.annotate.gold import GoldSentence
from tropism.records.files import replacing

ENCLITICS = re.compile(r"^(?:['’]\w+|n['’]t|[.,;:!?)\]%]|\.\.\.|['’])$", re.IGNORECASE)
OPENERS = {"(", "[", "£", "$"}
PARAGRAPH_TOKENS = 60
HELD_OUT = 0.1


@dataclass
class Rendered:
    """A text, and what is known of it.

    Of gold text: where each token lies, its label and part of speech, and for each unit its first and past-the-last
    token. Of other text: ``pos`` for each unit, by a teacher. ``taught`` is a teacher's score for each unit.
    """

    text: str
    spans: list[tuple[int, int]]
    labels: list[int]
    pos: list[str]
    document: str
    features: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    pieces: Pieces = field(default_factory=lambda: Pieces([], [], []))
    tokens: list[tuple[int, int]] = field(default_factory=list)
    taught: list[float] | None = None

    @property
    def unit_pos(self) -> list[str]:
        """The part of speech of each unit: of gold text that of its first token."""
        return [self.pos[first] for first, _ in self.tokens] if self.labels else self.pos

    def place_units(self) -> None:
        """Find for each unit of gold text its first and past-the-last token."""
        if not self.labels:
            return
        starts, ends = np.array(self.spans).T
        self.tokens = [
            (int(np.searchsorted(ends, start, side="right")), int(np.searchsorted(starts, end, side="left")))
            for start, end in self.pieces.units
        ]


def document(sentence: GoldSentence) -> str:
    """The document that a sentence is from, by its id ``document-fragment-number``."""
    return sentence.id.split("-")[0]


def render(tokens: Sequence[str], natural: bool) -> tuple[str, list[tuple[int, int]]]:
    """Tokens as a text with their offsets: joined by single spaces, or with the spaces of ordinary English."""
    text, spans = "", []
    for before, token in zip(["", *tokens], tokens, strict=False):
        glued = natural and (ENCLITICS.match(token) or before in OPENERS)
        text += "" if glued or not text else " "
        spans.append((len(text), len(text) + len(token)))
        text += token
    return text, spans


def sentences_apart(sentences: Sequence[GoldSentence]) -> list[Rendered]:
    """Each sentence by itself, its tokens joined by single spaces."""
    return [Rendered(*render(s.tokens, False), list(s.labels), s.pos, document(s)) for s in sentences]


def paragraphs(sentences: Sequence[GoldSentence]) -> list[Rendered]:
    """Neighbouring sentences of a fragment run together as ordinary text."""

    def place(sentence: GoldSentence) -> tuple[str, int]:
        fragment, _, number = sentence.id.rpartition("-")
        return fragment, int(re.sub(r"\D", "", number) or 0)

    merged: list[list[GoldSentence]] = []
    for sentence in sorted(sentences, key=place):
        near = merged and place(merged[-1][0])[0] == place(sentence)[0]
        if near and sum(len(s.tokens) for s in merged[-1]) < PARAGRAPH_TOKENS:
            merged[-1].append(sentence)
        else:
            merged.append([sentence])
    return [
        Rendered(
            *render([token for s in group for token in s.tokens], True),
            [label for s in group for label in s.labels],
            [pos for s in group for pos in s.pos],
            document(group[0]),
        )
        for group in merged
    ]


def digest(parts: Iterable[str]) -> str:
    """A short name for what a file was made from."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def read_features(reader: Reader, base: str, texts: list[Rendered], folder: Path) -> list[Rendered]:
    """Give every text its pieces and features; texts without a unit go.

    What was read once of these texts, with the weights whose checksum is ``base``, is kept in ``folder``.
    """
    for text in texts:
        text.pieces = reader.pieces(text.text)
        text.place_units()
    cache = folder / f"features-{digest([base, str(reader.layers), *(text.text for text in texts)])}.safetensors"
    if not cache.is_file():
        found: dict[int, torch.Tensor] = {}
        for index, features in tqdm(reader.read([t.pieces for t in texts]), total=len(texts), desc=cache.stem):
            found[index] = features.half()
        with replacing(cache) as temporary:
            save_file({"features": torch.cat([found[index] for index in range(len(texts))])}, temporary)
    features = load_file(cache)["features"]
    for text, part in zip(texts, features.split([len(t.pieces.ids) for t in texts]), strict=True):
        text.features = part
    return [text for text in texts if text.pieces.units]


def embed(reader: Reader, texts: list[Rendered]) -> list[Rendered]:
    """Give every text its pieces and of its features the embeddings alone; texts without a unit go."""
    for text in texts:
        text.pieces = reader.pieces(text.text)
        text.place_units()
        text.features = reader.alone(text.pieces)
    return [text for text in texts if text.pieces.units]


def divided(sentences: Sequence[GoldSentence], seed: int) -> tuple[list[GoldSentence], list[GoldSentence]]:
    """The sentences to train on, and those of a tenth of the documents, held out whole."""
    documents = sorted({document(sentence) for sentence in sentences})
    chosen = np.random.default_rng(seed).permutation(len(documents))[: round(HELD_OUT * len(documents))]
    held = {documents[index] for index in chosen}
    return [s for s in sentences if document(s) not in held], [s for s in sentences if document(s) in held]


def batches(texts: Sequence[Rendered], size: int, rng: np.random.Generator | None) -> Iterator[list[Rendered]]:
    """Batches of like length, of about ``size`` pieces; with ``rng`` in random order."""
    jitter = rng.random(len(texts)) * 6 if rng else np.zeros(len(texts))
    found: list[list[Rendered]] = [[]]
    for index in np.argsort([len(t.features) + j for t, j in zip(texts, jitter, strict=True)], kind="stable"):
        if found[-1] and (len(found[-1]) + 1) * len(texts[index].features) > size:
            found.append([])
        found[-1].append(texts[index])
    for index in rng.permutation(len(found)) if rng else range(len(found)):
        yield found[index]
