"""A word is whole: marks on its letters, and what joins it unseen, are its own."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tropism.records.words import words


def said(text: str) -> list[str]:
    return [text[start:end] for start, end in words(text)]


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("Don't cross the well-known café, l’amour!", ["Don't", "cross", "the", "well-known", "café", "l’amour"]),
        ("B2B in 1994, _and_ more", ["B", "B", "in", "and", "more"]),
        ("a sea\u200bof 🔥fire🔥", ["a", "sea", "of", "fire"]),
        ("w\u1ecd\u0301n \u1ecd\u0300r\u1ecd\u0300", ["w\u1ecd\u0301n", "\u1ecd\u0300r\u1ecd\u0300"]),  # Yoruba, in NFC
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("مَرْحَبًا بك", ["مَرْحَبًا", "بك"]),
        ("meta\u00adphor, may\u200dbe, well\u2011known", ["meta\u00adphor", "may\u200dbe", "well\u2011known"]),
    ],
)
def test_words_are_whole_in_every_script(text: str, whole: list[str]):
    assert unicodedata.is_normalized("NFC", text)
    assert said(text) == whole


@given(st.text(alphabet=st.sampled_from("abé \u0301\u093f\u00ad'’-1🌊"), max_size=40))
def test_a_mark_is_never_parted_from_its_letter(text: str):
    found = words(text)
    assert all(end <= start for (_, end), (start, _) in pairwise(found))
    for start, end in found:
        assert text[start].isalpha()
        assert end == len(text) or not unicodedata.category(text[end]).startswith("M")
