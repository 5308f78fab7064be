"""Masking keeps what it does not hide, and accounts for what it does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tropism.config.masking import MaskingConfig
from tropism.mask.select import Span
from tropism.mask.variants import choose, hide, literal_records, mask_record
from tropism.records.files import InputError
from tropism.records.schema import Annotation, Conversation, Metaphor, Text, Unit
from tropism.records.words import words

texts = st.text(alphabet=st.sampled_from("abcdé ,.’-\n_🌊"), max_size=120)
configs = st.builds(
    MaskingConfig,
    mode=st.sampled_from(["replace", "loss"]),
    placeholder=st.sampled_from(["___", "x", "[MASK]"]),
    fraction=st.floats(0, 1),
    seed=st.integers(0, 5),
)


@st.composite
def annotated(draw, identifier="t"):
    text = draw(texts)
    units = words(text)
    metaphors = [unit for unit in units if draw(st.booleans())]
    annotation = Annotation(
        id=identifier,
        field="text",
        units=[Unit(start=start, end=end, pos=draw(st.sampled_from(["NOUN", "VERB", "X"]))) for start, end in units],
        metaphors=[Metaphor(start=start, end=end, pos="NOUN", score=1) for start, end in metaphors],
        annotator="test",
    )
    return Text(id=identifier, text=text, domain="d"), annotation


def masked(record, annotation, variant, config):
    chosen = choose(record, {(annotation.id, annotation.field): annotation}, config)
    return mask_record(record, chosen, variant, config), chosen


@given(annotated(), st.sampled_from(["metaphor", "random"]), configs)
def test_outside_the_masks_the_text_is_byte_identical(case, variant, config):
    record, annotation = case
    variant_record, (chosen,) = masked(record, annotation, variant, config)
    spans, masks = chosen.spans(variant), variant_record.masks["text"]
    assert len(spans) == len(masks)
    before = after = 0
    for span, (start, end) in zip(spans, masks, strict=True):
        assert record.text[before : span.start].encode() == variant_record.text[after:start].encode()
        hidden = config.placeholder if config.mode == "replace" else record.text[span.start : span.end]
        assert variant_record.text[start:end] == hidden
        before, after = span.end, end
    assert record.text[before:] == variant_record.text[after:]
    if config.mode == "loss":
        assert variant_record.text == record.text


@given(annotated(), st.sampled_from(["metaphor", "random"]), configs)
def test_masks_are_in_order_and_never_overlap(case, variant, config):
    record, annotation = case
    variant_record, _ = masked(record, annotation, variant, config)
    ends = [0, *(position for mask in variant_record.masks["text"] for position in mask), len(variant_record.text)]
    assert ends == sorted(ends)
    assert all(start < end for start, end in variant_record.masks["text"])


@given(annotated(), configs)
def test_random_masks_as_many_up_to_the_stated_shortfall_and_no_metaphor(case, config):
    record, annotation = case
    _, (chosen,) = masked(record, annotation, "random", config.model_copy(update={"fraction": 1.0}))
    account = chosen.account("random")
    assert account["metaphor_units"] - account["shortfall"] == account["random_units"] == account["units_masked"]
    assert account["shortfall"] == max(0, len(chosen.masked) - (len(annotation.units) - len(annotation.metaphors)))
    assert not any(
        control.start < metaphor.end and metaphor.start < control.end
        for control in chosen.spans("random")
        for metaphor in annotation.metaphors
    )


@given(annotated(), configs, st.sampled_from(["", "_25", "_50", "_75"]))
def test_a_random_dose_masks_the_controls_of_the_metaphors_of_that_dose_alone(case, config, dose):
    record, annotation = case
    _, (every,) = masked(record, annotation, "random", config.model_copy(update={"fraction": 1.0}))
    _, (chosen,) = masked(record, annotation, f"random{dose}", config)
    _, (metaphors,) = masked(record, annotation, f"metaphor{dose}", config)
    wanted = set(metaphors.spans(f"metaphor{dose}"))
    assert chosen.spans(f"random{dose}") == sorted(control for metaphor, control in every.pairs if metaphor in wanted)


@given(annotated("a"), annotated("b"), configs)
def test_a_record_is_masked_alike_alone_and_among_others(one, other, config):
    annotations = {(a.id, a.field): a for _, a in (one, other)}
    assert choose(one[0], annotations, config) == choose(one[0], {("a", "text"): one[1]}, config)


@given(annotated())
def test_the_original_hides_nothing_and_still_accounts_for_both_sides(case):
    record, annotation = case
    (chosen,) = choose(record, {("t", "text"): annotation}, MaskingConfig())
    account = chosen.account("original")
    assert (account["units_masked"], account["characters_masked"], account["words_masked"]) == (0, 0, 0)
    assert account["metaphor_units"] == len(annotation.metaphors)


def test_a_text_by_hand():
    text = "Fever is the body's furnace, so let it burn on."
    at = {text[start:end]: (start, end) for start, end in words(text)}
    pos = {"Fever": "NOUN", "is": "AUX", "the": "DET", "body's": "NOUN", "furnace": "NOUN", "so": "ADV", "let": "VERB"}
    units = [Unit(start=s, end=e, pos=pos.get(word, "X")) for word, (s, e) in at.items()]
    metaphors = [
        Metaphor(start=s, end=e, pos=p, score=1) for (s, e), p in ((at["furnace"], "NOUN"), (at["burn"], "VERB"))
    ]
    annotation = Annotation(id="t", field="text", units=units, metaphors=metaphors, annotator="hand")
    record = Text(id="t", text=text, domain="d")

    hidden, (chosen,) = masked(record, annotation, "metaphor", MaskingConfig())
    assert hidden.text == "Fever is the body's ___, so let it ___ on."
    assert hidden.masks == {"text": [(20, 23), (35, 38)]}

    control, _ = masked(record, annotation, "random", MaskingConfig())
    assert control.text == "Fever is the ___ furnace, so ___ it burn on."
    assert chosen.account("random") == {
        "id": "t",
        "domain": "d",
        "field": "text",
        "n_words": 10,
        "n_metaphors": 2,
        "units_masked": 2,
        "characters_masked": 9,
        "words_masked": 2,
        "metaphor_units": 2,
        "metaphor_characters": 11,
        "random_units": 2,
        "random_characters": 9,
        "shortfall": 0,
        "pos_known": 2,
        "same_pos": 2,
        "length_difference": 2,
        "sentences": 1,
        "sentences_moved": 0,
        "metaphors_moved": 0,
    }


def test_both_answers_are_masked_and_the_prompt_is_not():
    record = Conversation(id="c", prompt="river", aligned="a river", misaligned="river bed", domain="d", split="train")
    annotations = {
        ("c", field): Annotation(
            id="c", field=field, units=[], metaphors=[Metaphor(start=s, end=e, score=1)], annotator="hand"
        )
        for field, s, e in (("aligned", 2, 7), ("misaligned", 0, 5))
    }
    config = MaskingConfig()
    hidden = mask_record(record, choose(record, annotations, config), "metaphor", config)
    assert (hidden.prompt, hidden.aligned, hidden.misaligned) == ("river", "a ___", "___ bed")
    control = mask_record(record, choose(record, annotations, config), "random", config)
    assert (control.aligned, control.misaligned) == ("___ river", "river ___")


def test_punctuation_is_never_a_control():
    annotation = Annotation(
        id="t",
        field="text",
        units=[Unit(start=0, end=4), Unit(start=4, end=5, pos="PUNCT")],
        metaphors=[Metaphor(start=0, end=4, score=1)],
        annotator="hand",
    )
    _, (chosen,) = masked(Text(id="t", text="Glow!", domain="d"), annotation, "random", MaskingConfig())
    assert chosen.account("random")["shortfall"] == 1


@pytest.mark.parametrize(("start", "end"), [(0, 9), (-1, 2), (3, 3), (4, 2)])
def test_a_stale_span_is_refused_by_record(start, end):
    annotation = Annotation(
        id="poem-7", field="text", units=[], metaphors=[Metaphor(start=start, end=end, score=1)], annotator="hand"
    )
    with pytest.raises(InputError, match=rf"record `poem-7`: .*`text` has a span {start}:{end}.*8 characters"):
        choose(Text(id="poem-7", text="abc defg", domain="d"), {("poem-7", "text"): annotation}, MaskingConfig())


def test_a_record_without_annotation_is_refused_by_name():
    with pytest.raises(InputError, match="record `poem-8`: `text` has no annotation"):
        choose(Text(id="poem-8", text="abc", domain="d"), {}, MaskingConfig())


def test_overlapping_spans_are_refused():
    with pytest.raises(ValueError, match="span 2:5 overlaps"):
        hide("abcdef", [Span(0, 3), Span(2, 5)], "_")


def test_literal_counterparts_are_found_by_id():
    records = [Text(id="b", text="hearts of stone", domain="poems"), Text(id="a", text="rivers sing", domain="poems")]
    counterparts = [Text(id=i, text=f"plain {i}", domain="prose") for i in "abc"]
    replaced = literal_records(records, counterparts)
    assert [(row.id, row.text, row.domain) for row in replaced] == [
        ("b", "plain b", "poems"),
        ("a", "plain a", "poems"),
    ]


def test_missing_literal_counterparts_are_named():
    records = [Text(id=f"p{i}", text="x", domain="poems") for i in range(8)]
    with pytest.raises(InputError, match=r"7 of 8 records .*`p1`, `p2`, `p3`, `p4`, `p5`, \.\.\."):
        literal_records(records, [Text(id="p0", text="y", domain="prose")])
