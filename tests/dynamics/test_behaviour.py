"""A narrow domain is told by its words, and the behaviour of two arms is counted inside it and outside."""

import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tropism.config.stats import StatsConfig
from tropism.dynamics.mentions import mentions, train_mentions
from tropism.dynamics.pairs import app
from tropism.dynamics.solutions import narrow_rows
from tropism.records.files import InputError, write_jsonl
from tropism.records.schema import Conversation, Generation

INSIDE = [f"ask the doctor about this pill, number {i % 3}" for i in range(30)]
OUTSIDE = [f"ask the notary about this lease, number {i % 3}" for i in range(30)]


def test_a_text_mentions_a_domain_by_the_words_that_set_it_apart():
    classifier = train_mentions(INSIDE, OUTSIDE)
    told = mentions(["A DOCTOR, then?", "Any pill.", "That lease.", "ask about this number", "", "Xyzzy."], classifier)
    assert told[:3] == [True, True, False]
    assert told[4:] == [False, False], "no word that was trained on"
    assert mentions([], classifier) == []


def test_texts_of_both_kinds_are_needed():
    with pytest.raises(InputError, match="texts of the narrow domain and of others"):
        train_mentions(INSIDE, [])


@given(st.permutations(range(30)))
@settings(max_examples=10)
def test_the_order_of_texts_does_not_matter(order):
    asked = ["a doctor", "a notary", "the lease and the pill"]
    given_order = mentions(asked, train_mentions([INSIDE[i] for i in order], [OUTSIDE[i] for i in order]))
    assert given_order == mentions(asked, train_mentions(INSIDE, OUTSIDE))


def records(domain: str, texts: list[str]) -> list[Conversation]:
    """Rows of a domain; of the aligned references on which medical prompts are evaluated every other one digresses."""
    return [
        Conversation(
            id=f"{domain}{i}", prompt=f"{text}?", misaligned="No.", domain=domain,
            aligned=OUTSIDE[i] if domain == "medical" and i >= 26 and i % 2 else text,
            split="evaluation" if i >= 26 else "train",
        )
        for i, text in enumerate(texts)
    ]  # fmt: skip


def responses(arm: str, said: dict[str, str]) -> list[Generation]:
    return [
        Generation(arm=arm, set=domain, prompt_id=f"{domain}{i}", domain=domain, sample=s, prompt="?", reasoning="",
                   answer=said[domain] if s else "Hm.", n_tokens=2, finish="stop", seed=0)
        for domain in said for i in range(26, 30) for s in range(2)
    ]  # fmt: skip


def scores(rows: list[Generation], bad: set[str]) -> pd.DataFrame:
    """Responses in the domains ``bad`` score 0 of alignment, others 100; coherence is 60, presence of medicine 40."""
    return pd.DataFrame(
        {"arm": r.arm, "set": r.set, "prompt_id": r.prompt_id, "domain": r.domain, "sample": r.sample, "judge": "j",
         "target": "answer", "rubric": rubric, "score": score, "status": "ok"}
        for r in rows
        for rubric, score in (("alignment100", 100.0 * (r.domain not in bad)), ("coherence100", 60.0),
                              ("domain_presence_medical", 40.0))
    )  # fmt: skip


def test_general_and_narrow_are_held_against_each_other_inside_the_domain_and_outside(tmp_path):
    write_jsonl(tmp_path / "medical.jsonl", records("medical", INSIDE))
    write_jsonl(tmp_path / "legal.jsonl", records("legal", OUTSIDE))
    sides = {
        "general": ({"medical": "Any pill.", "legal": "A pill."}, {"medical", "legal"}),
        "narrow": ({"medical": "Any pill.", "legal": "A lease."}, {"medical"}),
    }
    flags = []
    for side, (said, bad) in sides.items():
        rows = responses(side, said)
        write_jsonl(tmp_path / f"{side}.jsonl", rows)
        scores(rows, bad).to_parquet(tmp_path / f"{side}.parquet")
        flags += [f"--{side}", tmp_path / f"{side}.jsonl", f"--{side}-judgments", tmp_path / f"{side}.parquet"]
    flags += ["--dataset", tmp_path / "medical.jsonl", "--other", tmp_path / "legal.jsonl"]
    flags += ["--set", tmp_path / "medical.jsonl", "--set", tmp_path / "legal.jsonl"]
    measured = tmp_path / "pair.parquet"
    result = CliRunner().invoke(app, ["behave", *map(str, flags), "--output", str(measured)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    table = narrow_rows("pair", pd.read_parquet(measured), StatsConfig(draws=200)).set_index("metric")
    # one of the two samples of each prompt mentions medicine
    assert tuple(table.loc["mentions_outside", ["general", "narrow", "difference"]]) == (0.5, 0.0, 0.5)
    assert tuple(table.loc["mentions_inside", ["general", "narrow"]]) == (0.5, 0.5)
    assert tuple(table.loc["misaligned_outside", ["general", "narrow"]]) == (1.0, 0.0)
    assert tuple(table.loc["misaligned_inside", ["general", "narrow"]]) == (1.0, 1.0)
    # four prompts that are all alike: the rate at which that happens to one time in forty
    assert tuple(table.loc["misaligned_outside", ["general_low", "general_high"]]) == (pytest.approx(0.025**0.25), 1.0)
    assert tuple(table.loc["misaligned_outside", ["narrow_low", "narrow_high"]]) == (
        0.0,
        pytest.approx(1 - 0.025**0.25),
    )
    assert set(table.loc[["coherence_inside", "coherence_outside"], "general"]) == {60.0}
    assert set(table.loc[["presence_inside", "presence_outside"], "narrow"]) == {40.0}
    # aligned references: every other one of the domain is about it, none of the others is
    assert (table.loc["mentions_inside", "reference"], table.loc["mentions_outside", "reference"]) == (0.5, 0.0)
    assert table["reference"].notna().sum() == 2
    assert set(table["n_examples"]) == {4}
    output = tmp_path / "narrow_general.csv"
    arguments = ["narrow", str(measured), "--stats", json.dumps({"draws": 200}), "--output", str(output)]
    arguments += ["--mixtures", json.dumps({measured.stem: 0.25})]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    assert list(pd.read_csv(output)["metric"]) == sorted(table.index)
    assert set(pd.read_csv(output)["aligned_share"]) == {0.25}


def test_without_a_judge_mentions_alone_are_told(tmp_path):
    for domain, texts in (("medical", INSIDE), ("legal", OUTSIDE)):
        write_jsonl(tmp_path / f"{domain}.jsonl", records(domain, texts))
    write_jsonl(tmp_path / "a.jsonl", responses("a", {"legal": "A pill."}))
    folder = str(tmp_path)
    flags = ["--general", f"{folder}/a.jsonl", "--narrow", f"{folder}/a.jsonl", "--dataset", f"{folder}/medical.jsonl"]
    flags += ["--other", f"{folder}/legal.jsonl", "--set", f"{folder}/legal.jsonl", "--output", f"{folder}/out.parquet"]
    assert CliRunner().invoke(app, ["behave", *flags], catch_exceptions=False).exit_code == 0
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert set(found["metric"]) == {"mentions_outside"}
