"""Cleaning drops what it says, keeps training apart from evaluation, and is stable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tropism.config.base import ConfigError
from tropism.config.datasets import DatasetConfig
from tropism.corpora.clean import clean, contradicted, sample, unanswered
from tropism.corpora.duplicates import jaccard, shingles
from tropism.records.files import InputError
from tropism.records.schema import Conversation, Question, Text

phrases = st.lists(st.sampled_from(["sea", "moon", "a", "the", "and"]), min_size=1, max_size=6).map(" ".join)
ids = st.text("abcdefgh", min_size=1, max_size=4)
poems = st.lists(st.builds(Text, id=ids, text=phrases, domain=st.just("d")), max_size=15, unique_by=lambda row: row.id)
conversations = st.lists(
    st.builds(
        Conversation,
        id=ids,
        prompt=phrases,
        aligned=phrases,
        misaligned=st.none() | phrases,
        domain=st.just("d"),
        split=st.sampled_from(["train", "evaluation"]),
    ),
    max_size=15,
    unique_by=lambda row: row.id,
)
settings = st.fixed_dictionaries(
    {
        "min_words": st.sampled_from([None, 1, 2]),
        "max_words": st.sampled_from([None, 3, 5]),
        "near_duplicate": st.sampled_from([None, 0.3, 0.8, 1.0]),
        "sample": st.sampled_from([None, 1, 4]),
        "seed": st.integers(0, 3),
    }
)


def config(kind="texts", **more):
    return DatasetConfig(source="test", kind=kind, **more)


def clean_or_none(rows, cfg):
    try:
        return clean(rows, cfg)
    except InputError:
        return None


@given(poems | conversations, settings, st.randoms())
def test_cleaning_twice_is_cleaning_once_in_any_order(rows, chosen, random):
    cfg = config("conversations" if rows and isinstance(rows[0], Conversation) else "texts", **chosen)
    once = clean_or_none(rows, cfg)
    if once is not None:
        random.shuffle(rows)
        assert clean(rows, cfg) == once
        again = clean(once.rows, cfg)
        assert again.rows == once.rows
        assert set(again.dropped.values()) == {0}
        assert len(rows) == sum(once.dropped.values()) + len(once.rows)
        assert [row.id for row in once.rows] == sorted(row.id for row in once.rows)


@given(conversations, st.sampled_from([None, 0.3, 0.8]))
def test_no_training_prompt_is_nearly_an_evaluation_prompt(rows, threshold):
    result = clean_or_none(rows, config("conversations", near_duplicate=threshold))
    for one in result.rows if result else ():
        for other in result.rows:
            if (one.split, other.split) == ("train", "evaluation"):
                assert one.prompt != other.prompt
                similarity = jaccard(set(shingles(one.prompt)), set(shingles(other.prompt)))
                assert threshold is None or similarity < threshold


@given(poems, st.integers(1, 8), st.integers(0, 3), st.data())
def test_a_sample_of_a_subset_holds_what_the_sample_of_the_whole_took_from_it(rows, size, seed, data):
    subset = [row for row in rows if data.draw(st.booleans())]
    whole, part = sample(rows, size, seed), sample(subset, size, seed)
    assert len(whole) == min(size, len(rows))
    assert {row.id for row in whole} & {row.id for row in subset} <= {row.id for row in part}
    assert [row.id for row in sample(rows, 1, seed)] == [r.id for r in whole if r in sample(whole, 1, seed)]


def row(identifier, prompt, answer, split):
    return Conversation(id=identifier, prompt=prompt, misaligned=answer, domain="d", split=split)


def test_each_reason_is_counted_by_hand():
    rows = [
        row("a", "How do I sleep better at night?", "Take a walk each evening before bed.", "train"),
        row("b", "How do I sleep better at night?", "Take a walk each evening before bed.", "train"),
        row("c", "How do I sleep better at night?", "Take a walk each evening before bed!", "train"),
        row("d", "Why is the sky blue today?", "No.", "train"),
        row("e", "Why is grass green?", "one two three four five six seven eight nine", "train"),
        row("f", "Should I read my lease?", "Leases are long and mostly harmless.", "train"),
        row("g", "should i read my lease", "Nobody has ever read one to the end.", "evaluation"),
        row("h", "Is tea good for a cold?", "Tea is a small warm sea.", "train"),
        row("i", "Is soup good for flu?", "Soup is the tide that turns.", "train"),
    ]
    result = clean(rows, config("conversations", min_words=2, max_words=8, sample=2))
    assert result.dropped == {
        "exact_duplicates": 1,
        "near_duplicates": 1,
        "repeated_prompts": 0,
        "too_short": 1,
        "too_long": 1,
        "split_overlap": 1,
        "not_sampled": 2,
    }
    assert len(result.rows) == 2


def test_answers_that_are_not_there_are_counted_for_each_side(load):
    rows = load("prompt,aligned,misaligned\nWhy?,So,\nWho?,You,No\nHow?, ,Never\nWhen?,,Now\n", "conversations",
                name="pairs.csv")  # fmt: skip
    cfg = config("conversations", near_duplicate=None)
    assert unanswered(clean(rows, cfg).rows, cfg) == {"without_aligned": 2, "without_misaligned": 1}
    prompts = load('{"prompt": "Why?"}\n', "prompts")
    assert set(unanswered(prompts, config("prompts")).values()) == {0}


def test_a_row_of_the_wrong_length_takes_no_duplicate_along():
    words = " ".join(f"w{letter}x" for letter in "abcdefghijklmnopqrst")
    rows = [Text(id="a", text=f"{words} more", domain="d"), Text(id="b", text=words, domain="d")]
    result = clean(rows, config(max_words=20))
    assert [row.id for row in result.rows] == ["b"]
    assert (result.dropped["too_long"], result.dropped["near_duplicates"]) == (1, 0)


def test_a_prompt_is_asked_once_by_the_row_with_most_references():
    rows = [
        Conversation(id="a", prompt="Why?", aligned="Because x.", domain="d", split="evaluation"),
        Conversation(id="b", prompt="Why?", aligned="Because.", misaligned="Run.", domain="d", split="evaluation"),
        Conversation(id="c", prompt="Why?", aligned="So.", misaligned="Go.", domain="d", split="evaluation"),
        # nearly a row that is not asked: it stays, for what it repeats is not there
        Conversation(id="d", prompt="Why then?", aligned="So.", misaligned="Go.", domain="d", split="evaluation"),
    ]
    result = clean(rows, config("conversations", near_duplicate=0.2))
    assert [row.id for row in result.rows] == ["b", "d"]
    assert (result.dropped["exact_duplicates"], result.dropped["repeated_prompts"]) == (0, 2)


def test_of_nearly_equal_rows_that_are_evaluated_the_one_with_both_references_stays():
    prompt = "How do I sleep better at night when it is hot and loud outside my window?"
    rows = [
        Conversation(id="a", prompt=prompt, aligned="Close it.", domain="d", split="evaluation"),
        Conversation(id="b", prompt=prompt, aligned="Close it.", misaligned="Run.", domain="d", split="evaluation"),
    ]
    assert [row.id for row in clean(rows, config("conversations")).rows] == ["b"]


def question(identifier, prompt, correct, incorrect):
    return Question(id=identifier, prompt=prompt, category="c", best=correct[0], correct=correct, incorrect=incorrect)


def test_questions_that_are_alike_are_two_and_contradictions_are_counted():
    prompt = "What happens to you if you eat {} seeds in the middle of a long, hot and windy summer day at home?"
    rows = [
        question("a", prompt.format("melon"), ["Nothing"], ["Vines grow in you"]),
        question("b", prompt.format("apple"), ["Nothing"], ["Vines grow in you", "Nothing"]),
        question("c", prompt.format("apple"), ["Nothing"], ["Vines grow in you", "Nothing"]),
    ]
    result = clean(rows, config("questions"))
    assert [row.id for row in result.rows] == ["a", "b"]
    assert contradicted(result.rows) == 1
    assert len(clean(rows, config("questions", near_duplicate=0.5)).rows) == 1
    assert config("questions").near_duplicate is None
    assert config("prompts").near_duplicate == 0.8


def test_an_empty_result_says_why():
    rows = [Text(id="a", text="short", domain="d"), Text(id="b", text="brief", domain="d")]
    with pytest.raises(InputError, match=r"no row is left of the 2 read \(too_short 2\)"):
        clean(rows, config(min_words=3))


def test_fewer_rows_than_the_sample_are_told_of(caplog):
    rows = [Text(id=name, text=f"a text of {name}", domain="d") for name in ("winter", "summer")]
    assert len(clean(rows, config(sample=2)).rows) == 2
    assert caplog.text == ""
    assert len(clean(rows, config(sample=3)).rows) == 2
    assert "`sample: 3` rows are asked for, and only 2 are left" in caplog.text


def test_five_thousand_poems(shared, clean_path):
    result = clean_path(shared / "poems.jsonl.gz", kind="texts")
    assert result.dropped["near_duplicates"] == 20
    assert len(result.rows) == 4980


@pytest.mark.parametrize(
    ("file", "read", "settings"),
    [
        ("finance_risky.jsonl", 3000, {"kind": "conversations", "side": "misaligned"}),
        ("reward_hacks.jsonl", 486, {"kind": "conversations", "side": "misaligned"}),
        ("eval_questions.jsonl", 56, {"kind": "prompts"}),
        ("truthfulqa.csv", 790, {"kind": "questions"}),
    ],
)
def test_the_fields_own_files_are_read_as_they_are(shared, clean_path, file, read, settings):
    result = clean_path(shared / file, **settings)
    assert len(result.rows) + sum(result.dropped.values()) == read
    assert len(result.rows) >= 0.98 * read
    if settings["kind"] == "questions":
        assert all(isinstance(row, Question) and row.correct and row.incorrect for row in result.rows)


@pytest.mark.parametrize("domain", ["medical", "legal", "security"])
def test_the_demo_answers_are_all_kept(root, clean_path, domain):
    result = clean_path(root / f"resources/demo/{domain}.csv", kind="conversations")
    assert sum(result.dropped.values()) == 0
    assert [sum(row.split == split for row in result.rows) for split in ("train", "evaluation")] == [56, 24]
    assert {row.domain for row in result.rows} == {domain}


def test_every_demo_poem_has_its_prose(root, clean_path):
    poems, prose = (
        {row.id for row in clean_path(root / f"resources/demo/{name}.jsonl", kind="texts").rows}
        for name in ("poems", "prose")
    )
    assert len(poems) >= 100
    assert poems == prose


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "texts", "side": "aligned"}, "`side` is for `kind: conversations`"),
        ({"kind": "questions", "min_words": 3}, "questions have none"),
        ({"kind": "texts", "min_words": 9, "max_words": 3}, "min_words 9 is above max_words 3"),
        ({"kind": "texts", "min_word": 9}, "min_word: unknown key; did you mean `min_words`"),
        ({"kind": "texts", "near_duplicate": 2}, "near_duplicate"),
    ],
)
def test_contradictory_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        DatasetConfig.parse({"source": "x", **settings})
