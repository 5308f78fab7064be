"""Exact and near duplicates among many texts, found without comparing each with each.

Two texts are near duplicates when the sets of their word pairs have a Jaccard similarity of at least a threshold.
Candidates come from prefix filtering (Chaudhuri, Ganti and Kaushik 2006; Bayardo, Ma and Srikant 2007): sets that
similar must share one of their few rarest members, so only those are indexed. Nothing is approximated or random, and
the answer for a pair does not depend on the other texts.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tropism.records.words import WORD

PIECE = re.compile(rf"{WORD.pattern}|\d+")
"""Numbers are told apart, which are no lexical units elsewhere: rows of arithmetic differ in nothing else."""


def shingles(text: str) -> list[str]:
    """The different pairs of neighbouring words and numbers in ``text``, case folded; the only one if there is one."""
    words = PIECE.findall(text.casefold())
    pairs = [f"{one} {following}" for one, following in pairwise(words)]
    return list(dict.fromkeys(pairs or words))


def jaccard(one: set[int], other: set[int]) -> float:
    """Shared members over all members; 0 for two empty sets."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if one or other else 0.0


@dataclass(frozen=True)
class Shingled:
    """A text with its shingles as numbers, rarest first; equal numbers mean equal shingles."""

    text: str
    members: list[int]


def shingle_all(texts: Sequence[str]) -> list[Shingled]:
    """``texts`` with their shingles, numbered so that a rarer one has a smaller number."""
    numbers: dict[str, int] = {}
    found = [[numbers.setdefault(shingle, len(numbers)) for shingle in shingles(text)] for text in texts]
    frequency = Counter(number for members in found for number in members)
    return [
        Shingled(text, sorted(frequency[number] << 32 | number for number in members))
        for text, members in zip(texts, found, strict=True)
    ]


class SimilarityIndex:
    """Texts, to be asked whether one of them is nearly another text.

    All texts, added or asked about, must come from one call of :func:`shingle_all`.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._sets: list[set[int]] = []
        self._postings: dict[int, list[int]] = defaultdict(list)

    def add(self, text: Shingled) -> None:
        """Put ``text`` into the index."""
        for member in self._prefix(text.members):
            self._postings[member].append(len(self._sets))
        self._sets.append(set(text.members))

    def has_similar(self, text: Shingled) -> bool:
        """Whether a near duplicate of ``text`` was added."""
        members = set(text.members)
        candidates = {i for member in self._prefix(text.members) for i in self._postings.get(member, ())}
        return any(jaccard(members, self._sets[i]) >= self._threshold for i in candidates)

    def _prefix(self, members: list[int]) -> list[int]:
        """The rarest members, so many that two sets at the threshold cannot have disjoint prefixes."""
        shared = math.ceil(self._threshold * len(members) - 1e-9)
        return members[: len(members) - shared + 1]


def find_duplicates(texts: Sequence[str], threshold: float | None) -> list[str | None]:
    """For each text ``"exact"`` or ``"near"`` if it repeats one before it, else None (kept).

    A text is nearly another only where that one was kept. ``threshold`` None finds exact copies only.
    """
    first: dict[str, int] = {}
    exact = [first.setdefault(text, i) != i for i, text in enumerate(texts)]
    if threshold is None:
        return ["exact" if is_copy else None for is_copy in exact]
    index = SimilarityIndex(threshold)
    found: list[str | None] = []
    for text, is_copy in zip(shingle_all(texts), exact, strict=True):
        if is_copy or index.has_similar(text):
            found.append("exact" if is_copy else "near")
        else:
            found.append(None)
            index.add(text)
    return found


def find_overlap(texts: Sequence[str], others: Sequence[str], threshold: float | None) -> list[bool]:
    """For each text whether it, or a near duplicate of it, is among ``others``."""
    equal = set(others)
    if threshold is None:
        return [text in equal for text in texts]
    index = SimilarityIndex(threshold)
    shingled = shingle_all([*others, *texts])
    for text in shingled[: len(others)]:
        index.add(text)
    return [text.text in equal or index.has_similar(text) for text in shingled[len(others) :]]
