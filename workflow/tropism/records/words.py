"""Lexical units: what annotation labels and masking hides."""

import re

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def words(text: str) -> list[tuple[int, int]]:
    """Offsets ``(start, end)`` of the lexical units of ``text``, in order; ``end`` is exclusive."""
    return [match.span() for match in WORD.finditer(text)]
