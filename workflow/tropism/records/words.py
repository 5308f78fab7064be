"""Lexical units: what annotation labels and masking hides."""

import re
import unicodedata
from collections.abc import Iterable
from itertools import groupby

LAST_MARK = 0x1F000
"""Above it stand no marks but selectors of the look of a character."""


def _ranges(points: Iterable[int]) -> str:
    """``points``, rising, as the inside of a class of characters."""
    runs = (list(run) for _, run in groupby(enumerate(points), lambda pair: pair[1] - pair[0]))
    return "".join(f"{chr(run[0][1])}-{chr(run[-1][1])}" for run in runs)


# What belongs to the letter before it though it is none: accents that NFC has no letter for (Yoruba), vowel signs
# (Hindi, Arabic), and what joins or may break a word without being seen (soft hyphen, joiners).
_MARKS = _ranges(c for c in range(LAST_MARK) if unicodedata.category(chr(c))[0] == "M" or c in (0xAD, 0x200C, 0x200D))
_LETTERS = rf"[^\W\d_]+(?:[{_MARKS}]+[^\W\d_]*)*"
WORD = re.compile(rf"{_LETTERS}(?:['’‐‑-]{_LETTERS})*")


def words(text: str) -> list[tuple[int, int]]:
    """Offsets ``(start, end)`` of the lexical units of ``text``, in order; ``end`` is exclusive."""
    return [match.span() for match in WORD.finditer(text)]
