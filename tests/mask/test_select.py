"""A control is no metaphor, is as many as the text allows, and resembles what it stands for."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tropism.mask.select import Key, Span, band, choose_metaphors, match_controls, merge
from tropism.records.schema import Unit
from tropism.records.words import words

KEY = Key(seed=0, text_id="t", field="text")
spans = st.builds(
    lambda start, length, pos: Span(start, start + length, pos),
    st.integers(0, 200),
    st.integers(1, 14),
    st.sampled_from(["NOUN", "VERB", "X"]),
)


def separate(candidates: list[Span]) -> list[Span]:
    chosen: list[Span] = []
    for span in sorted(candidates):
        if not chosen or not span.overlaps(chosen[-1]):
            chosen.append(span)
    return chosen


@st.composite
def annotated(draw):
    units = separate(draw(st.lists(spans, max_size=30)))
    metaphors = [unit for unit in units if draw(st.booleans())]
    return units, metaphors


@given(annotated(), st.integers(0, 3))
def test_a_control_is_no_metaphor_and_serves_one_metaphor(case, seed):
    units, metaphors = case
    pairs = match_controls(metaphors, metaphors, units, Key(seed, "t", "text"))
    controls = [control for _, control in pairs]
    assert len(set(controls)) == len(controls) == min(len(metaphors), len(units) - len(metaphors))
    assert len({metaphor for metaphor, _ in pairs}) == len(pairs)
    assert not any(control.overlaps(metaphor) for control in controls for metaphor in metaphors)


@given(annotated(), st.floats(0, 1), st.floats(0, 1))
def test_a_smaller_fraction_masks_some_of_what_a_larger_one_masks(case, one, other):
    _, metaphors = case
    small, large = (choose_metaphors(metaphors, fraction, KEY) for fraction in sorted((one, other)))
    assert set(small) <= set(large)


@given(annotated())
def test_fraction_one_masks_all_and_zero_none(case):
    _, metaphors = case
    assert choose_metaphors(metaphors, 1.0, KEY) == metaphors
    assert choose_metaphors(metaphors, 0.0, KEY) == []


@given(annotated(), st.floats(0, 1))
def test_controls_of_a_fraction_avoid_the_metaphors_that_stay(case, fraction):
    units, metaphors = case
    masked = choose_metaphors(metaphors, fraction, KEY)
    controls = [control for _, control in match_controls(masked, metaphors, units, KEY)]
    assert not any(control.overlaps(metaphor) for control in controls for metaphor in metaphors)


def test_about_the_asked_fraction_is_masked():
    metaphors = [Span(i, i + 1) for i in range(0, 8000, 2)]
    assert abs(len(choose_metaphors(metaphors, 0.25, KEY)) / 4000 - 0.25) < 0.03


@given(
    st.lists(st.tuples(st.integers(1, 14), st.sampled_from(["NOUN", "VERB"])), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(1, 14), st.sampled_from(["NOUN", "VERB"])), min_size=1, max_size=5),
)
def test_no_other_assignment_matches_better(metaphor_kinds, unit_kinds):
    """Against every assignment: parts of speech first, then bands, then lengths."""

    def lay_out(kinds, start):
        return [Span(start + 20 * i, start + 20 * i + length, pos) for i, (length, pos) in enumerate(kinds)]

    def quality(pairs):
        return (
            sum(m.pos != c.pos for m, c in pairs),
            sum(band(m) != band(c) for m, c in pairs),
            sum(abs(len(m) - len(c)) for m, c in pairs),
        )

    metaphors, units = lay_out(metaphor_kinds, 0), lay_out(unit_kinds, 1000)
    found = match_controls(metaphors, metaphors, [*metaphors, *units], KEY)
    if len(metaphors) <= len(units):
        others = (zip(metaphors, p, strict=True) for p in itertools.permutations(units, len(metaphors)))
    else:
        others = (zip(p, units, strict=True) for p in itertools.permutations(metaphors, len(units)))
    assert quality(found) == min(quality(list(other)) for other in others)


def test_the_scarce_match_goes_to_the_metaphor_that_has_no_other():
    """A greedy choice in order of length spends the only noun of five letters on the noun of six."""
    text = "anchor plank house ocean-wide settle"
    at = {text[start:end]: (start, end) for start, end in words(text)}
    anchor, plank = Span(*at["anchor"], "NOUN"), Span(*at["plank"], "NOUN")
    house, ocean, settle = (
        Span(*at[word], pos) for word, pos in (("house", "NOUN"), ("ocean-wide", "NOUN"), ("settle", "VERB"))
    )
    pairs = match_controls([anchor, plank], [anchor, plank], [anchor, plank, house, ocean, settle], KEY)
    assert dict(pairs) == {anchor: ocean, plank: house}


def test_ties_are_drawn_by_seed_and_text():
    metaphor = Span(0, 4)
    units = [Span(start, start + 4) for start in range(10, 400, 10)]

    def drawn(seed, text_id):
        return match_controls([metaphor], [metaphor], units, Key(seed, text_id, "text"))[0][1]

    assert drawn(0, "a") == drawn(0, "a")
    assert len({drawn(seed, "a") for seed in range(20)}) > 5
    assert len({drawn(0, text_id) for text_id in "abcdefghijklmnopqrst"}) > 5


def test_overlapping_annotations_are_one_unit():
    units = [Unit(start=4, end=9, pos="NOUN"), Unit(start=0, end=6, pos="ADJ"), Unit(start=10, end=12, pos="VERB")]
    assert merge(units) == [Span(0, 9, "ADJ"), Span(10, 12, "VERB")]


def test_length_bands():
    assert [band(Span(0, length)) for length in (1, 3, 4, 5, 6, 7, 8, 10, 11, 30)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
