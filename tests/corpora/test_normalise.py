"""Cleaned text has one spelling and keeps its words and lines."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tropism.corpora.normalise import clean_text

characters = st.characters(exclude_categories=["Cs"]) | st.sampled_from("\r\n\t \u00a0\u2028\u0085\ufeffe\u0301\f\v")


@given(st.text(characters, max_size=60))
def test_cleaning_twice_is_cleaning_once(text):
    once = clean_text(text)
    assert clean_text(once) == once


@given(st.text(characters, max_size=60))
def test_clean_text_is_nfc_without_trailing_blanks_or_gaps(text):
    clean = clean_text(text)
    assert unicodedata.is_normalized("NFC", clean)
    assert "\r" not in clean
    assert "\n\n\n" not in clean
    assert all(line == line.rstrip() for line in clean.split("\n"))


def test_a_poem_keeps_its_lines_stanzas_and_indents():
    assert clean_text("\r\n\r\none  \r\n  two\t\r\n\r\n\r\n\r\nthree\r\n") == "one\n  two\n\nthree"


def test_equal_looking_words_become_equal():
    assert clean_text("cafe\u0301") == clean_text("caf\u00e9") == "café"
