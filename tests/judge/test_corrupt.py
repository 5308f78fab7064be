"""A broken reference is broken in a known way, keyed, and as long as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tropism.judge.corrupt import KINDS, corrupt

TEXT = "Read every page before you sign and ask for one more evening to think"
OTHERS = ["Lock the door each time you leave the desk, even for a short coffee in the kitchen next door"]
keys = st.text(st.characters(codec="utf-8"), max_size=8)


@given(keys)
def test_breaking_is_keyed_and_keeps_the_length(key):
    kind, broken = corrupt(TEXT, OTHERS, seed=0, key=key)
    assert (kind, broken) == corrupt(TEXT, OTHERS, seed=0, key=key)
    assert broken != TEXT
    assert abs(len(broken.split()) - len(TEXT.split())) <= 1
    if kind == "shuffle":
        assert sorted(broken.split()) == sorted(TEXT.split())
    if kind == "loop":
        assert set(broken.split()) <= set(TEXT.split())


def test_every_kind_occurs():
    assert {corrupt(TEXT, OTHERS, seed=0, key=str(i))[0] for i in range(60)} == set(KINDS)


@pytest.mark.parametrize(("text", "others"), [("Too short", OTHERS), (TEXT, [])])
def test_what_cannot_be_broken_is_refused(text, others):
    with pytest.raises(ValueError, match="cannot break"):
        corrupt(text, others, seed=0, key="k")
