"""Gold labels keep exact offsets, and the quality of an annotator against them is the hand-worked one."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tropism.annotate.gold import Gold, GoldSentence, label_units, read_gold
from tropism.annotate.passages import Passage
from tropism.annotate.quality import SCHEMA, agreement, found_tokens, quality_table
from tropism.records.files import InputError, write_jsonl
from tropism.records.schema import Annotation, Metaphor
from tropism.records.words import words

token = st.text(alphabet=st.sampled_from("abcé’'-.,12😀"), min_size=1, max_size=6)
sentences = st.lists(st.tuples(token, st.sampled_from([0, 1])), min_size=1, max_size=12).map(
    lambda rows: GoldSentence(
        id="s", tokens=[t for t, _ in rows], labels=[x for _, x in rows], pos=["NOUN"] * len(rows), genre="g"
    )
)
FEVER = GoldSentence(
    id="fever",
    tokens=["A", "fever", "is", "the", "body", "'s", "furnace", "."],
    labels=[0, 0, 0, 0, 0, 0, 1, 0],
    pos=["DET", "NOUN", "AUX", "DET", "NOUN", "PART", "NOUN", "PUNCT"],
    genre="prose",
)


class Says:
    """An annotator that calls the given words metaphors."""

    name = "says"

    def __init__(self, *found):
        self.found, self.counts = found, Counter()

    def annotate(self, passages):
        for p in passages:
            spans = [(a, b) for a, b in words(p.text) if p.text[a:b] in self.found]
            hits = [Metaphor(start=a, end=b, score=1.0) for a, b in spans]
            yield Annotation(id=p.id, field=p.field, units=[], metaphors=hits, annotator=self.name)


@given(sentences)
def test_every_token_stands_at_its_offsets(sentence):
    assert [sentence.text[a:b] for a, b in sentence.spans()] == sentence.tokens


@given(sentences)
def test_metaphors_are_the_units_in_labelled_tokens(sentence):
    units, metaphors = label_units(sentence)
    assert [(u.start, u.end) for u in units] == words(sentence.text)
    labelled = [span for span, label in zip(sentence.spans(), sentence.labels, strict=True) if label]
    inside = [(a, b) for a, b in words(sentence.text) if any(a < end and start < b for start, end in labelled)]
    assert [(m.start, m.end) for m in metaphors] == inside


def test_gold_refuses_another_text_and_an_unlabelled_one(tmp_path):
    write_jsonl(tmp_path / "gold.jsonl", [FEVER])
    gold = Gold(tmp_path / "gold.jsonl")
    (found,) = gold.annotate([Passage("fever", "text", FEVER.text)])
    assert [FEVER.text[m.start : m.end] for m in found.metaphors] == ["furnace"]
    with pytest.raises(InputError, match="labels of `fever` are of another text"):
        list(gold.annotate([Passage("fever", "text", "A fever is the body's furnace.")]))
    with pytest.raises(InputError, match="no labels for text `cold`"):
        list(gold.annotate([Passage("cold", "text", "x")]))


def test_the_two_answers_of_a_conversation_have_labels_of_their_own(tmp_path):
    rows = [FEVER.model_copy(update={"id": "c", "field": side, "tokens": [side], "labels": [n], "pos": ["NOUN"]})
            for n, side in enumerate(("aligned", "misaligned"))]  # fmt: skip
    write_jsonl(tmp_path / "gold.jsonl", rows)
    gold = Gold(tmp_path / "gold.jsonl")
    found = list(gold.annotate([Passage("c", side, side) for side in ("aligned", "misaligned")]))
    assert [(a.field, len(a.metaphors)) for a in found] == [("aligned", 0), ("misaligned", 1)]
    # scored against itself, the gold annotator finds its own rows again
    assert quality_table(rows, gold, "g")["f1"].iloc[0] == 1
    write_jsonl(tmp_path / "gold.jsonl", [FEVER])
    only = Gold(tmp_path / "gold.jsonl")
    assert [a.field for a in only.annotate([Passage("fever", "aligned", FEVER.text)])] == ["aligned"]
    with pytest.raises(InputError, match="name its `field`, as `misaligned`"):
        list(only.annotate([Passage("fever", "misaligned", "Another.")]))
    write_jsonl(tmp_path / "gold.jsonl", [rows[0], rows[0]])
    with pytest.raises(InputError, match="`c` is there twice as aligned"):
        read_gold(tmp_path / "gold.jsonl")


def test_bad_gold_is_named_by_line(tmp_path):
    path = tmp_path / "gold.jsonl"
    path.write_text('{"id": "a", "tokens": ["x", "y"], "labels": [0], "pos": ["NOUN", "NOUN"], "genre": "g"}\n')
    with pytest.raises(InputError, match=r"gold\.jsonl, line 1: .*2 tokens, 1 labels"):
        read_gold(path)
    write_jsonl(path, [FEVER, FEVER])
    with pytest.raises(InputError, match="`fever` is there twice"):
        read_gold(path)


def test_quality_is_the_hand_worked_one_and_leaves_punctuation_out():
    table = SCHEMA.validate(quality_table([FEVER], Says("furnace", "fever"), "g")).set_index(["pos", "genre"])
    whole = table.loc[("all", "all")]
    # 7 words; found 2, true 1, both 1; observed agreement 6/7, by chance (2*1 + 5*6)/49
    assert (whole["n_words"], whole["n_metaphors"]) == (7, 1)
    assert (whole["precision"], whole["recall"], whole["f1"]) == (0.5, 1.0, pytest.approx(2 / 3))
    assert whole["kappa"] == pytest.approx((6 / 7 - 32 / 49) / (1 - 32 / 49))
    assert table.loc[("NOUN", "prose"), "n_words"] == 3
    assert ("PUNCT", "all") not in table.index


def test_what_is_undefined_is_empty():
    nothing = agreement(np.array([False, False]), np.array([False, False]))
    assert all(math.isnan(value) for value in nothing.values())
    missed = agreement(np.array([True, False]), np.array([False, False]))
    assert math.isnan(missed["precision"])
    assert (missed["recall"], missed["f1"], missed["kappa"]) == (0, 0, 0)


def test_a_span_over_part_of_a_token_finds_it():
    assert found_tokens(FEVER, [Metaphor(start=3, end=5, score=1.0)]) == [False, True] + [False] * 6
