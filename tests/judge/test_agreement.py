"""Agreement is what the textbooks say it is, and as sure as its prompts allow."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from tropism.judge.agreement import agreement_table, krippendorff_alpha, pair, weighted_kappa
from tropism.judge.exchange import agree
from tropism.records.files import InputError


def judgments(scores, per_prompt=1, rubric="rubric5"):
    """``scores``: judge -> scores, NaN where there is none; responses to a prompt follow one another."""
    rows = []
    for judge, values in scores.items():
        for i, value in enumerate(values):
            prompt = i // per_prompt
            about = {"arm": "base", "set": "s", "prompt_id": f"p{prompt:03}", "sample": i % per_prompt}
            domain = "legal" if prompt % 2 else "medical"
            rows.append(
                {**about, "domain": domain, "judge": judge, "rubric": rubric, "target": "answer", "score": value}
            )
    return pd.DataFrame(rows)


def sums(a, b):
    return np.stack([np.ones_like(a), a, b, a * a, b * b, a * b]).sum(axis=1)[:, None]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=30))
def test_weighted_kappa_is_scikit_learns(rows):
    a, b = (np.array(column, float) for column in zip(*rows, strict=True))
    found = weighted_kappa(sums(a, b))[0]
    if len(set(a) | set(b)) > 1:
        assert found == pytest.approx(cohen_kappa_score(a, b, labels=[1, 2, 3, 4, 5], weights="quadratic"), abs=1e-9)
    else:
        assert np.isnan(found)


def test_kappa_does_not_leave_its_range_by_rounding():
    """Scores whose kappa is -1 or 1: sums of these floats round to values beyond."""
    random = np.random.default_rng(0)
    for _ in range(200):
        a = random.uniform(0, 100, 7)
        assert -1 <= weighted_kappa(sums(a, a.mean() * 2 - a))[0] <= 1
        assert weighted_kappa(sums(a, a))[0] <= 1
    assert np.isnan(weighted_kappa(sums(np.ones(2), np.ones(2)))[0])


def test_a_file_that_is_given_twice_is_named(tmp_path):
    for name in ("a", "b"):
        judgments({name: [1, 2, 3]}).to_parquet(tmp_path / f"{name}.parquet")
    files = [tmp_path / "b.parquet", tmp_path]
    with pytest.raises(InputError, match=r"b\.parquet: its judgments were read before"):
        agree(files, tmp_path / "out.csv")
    agree(files[1:], tmp_path / "out.csv")
    assert (tmp_path / "out.csv").is_file()


def test_alpha_is_krippendorffs_own_example():
    """Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, example C: four observers, twelve units."""
    n = np.nan
    observers = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, n, n, n],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, n, 3],
        [n, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, n],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, n],
    ]
    assert krippendorff_alpha(np.array(observers), "ordinal") == pytest.approx(0.815, abs=5e-4)
    assert krippendorff_alpha(np.array(observers), "interval") == pytest.approx(0.849, abs=5e-4)
    assert krippendorff_alpha(np.ones((2, 4)), "ordinal") is None


def test_bland_and_altman_by_hand():
    found = pair(np.array([1.0, 2, 3, 5]), np.array([1.0, 1, 5, 3]), np.array(list("abcd")), "ordinal", "x")
    assert (found["n"], found["same"], found["bias"]) == (4, 0.25, 0.25)
    spread = np.std([0, 1, -2, 2], ddof=1)
    assert (found["limit_low"], found["limit_high"]) == pytest.approx((0.25 - 1.96 * spread, 0.25 + 1.96 * spread))


def test_every_pair_and_all_together_by_domain_and_only_what_both_scored():
    scores = {"a": [1, 2, 3, 4, 5, 1], "b": [1, 2, 3, 4, 4, np.nan], "person": [2, 2, 3, 4, 5, 1]}
    table = agreement_table(judgments(scores)).set_index(["domain", "judge", "other"])
    assert set(table.index.get_level_values("domain")) == {"all", "legal", "medical"}
    assert table.loc[("all", "a", "b"), "n"] == 5
    assert table.loc[("all", "a", "person"), "n"] == 6
    assert table.loc[("all", "all", "all"), "n"] == 6
    assert table.loc[("all", "a", "b"), "bias"] == pytest.approx(0.2)
    assert set(table["level"]) == {"ordinal"}


def test_the_interval_knows_that_responses_to_a_prompt_are_alike():
    random = np.random.default_rng(0)
    a = random.integers(1, 6, 60).astype(float)
    b = np.clip(a + random.integers(-1, 2, 60), 1, 5)
    one = agreement_table(judgments({"a": a, "b": b})).query("domain == 'all'").iloc[0]
    four = agreement_table(judgments({"a": np.repeat(a, 4), "b": np.repeat(b, 4)}, 4)).query("domain == 'all'").iloc[0]
    assert four["kappa"] == pytest.approx(one["kappa"])
    assert four["kappa_high"] - four["kappa_low"] == pytest.approx(one["kappa_high"] - one["kappa_low"], rel=0.1)


def test_a_file_that_holds_no_judgments_is_named(tmp_path):
    """As the references beside a judge, which have no arm, or what is no Parquet."""
    pd.DataFrame({"stack": ["s"], "score": [1.0]}).to_parquet(tmp_path / "references.parquet")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    for name, message in (
        ("references", "not judgments, which have a column `arm`"),
        ("cut", "not a whole Parquet file"),
    ):
        with pytest.raises(InputError, match=rf"{name}\.parquet: {message}"):
            agree([tmp_path / f"{name}.parquet"], tmp_path / "out.csv")


def test_one_judge_has_nobody_to_agree_with():
    assert agreement_table(judgments({"a": [1, 2]})).empty


def test_alpha_has_an_interval_that_narrows_with_prompts_and_not_with_responses_to_one():
    draw = np.random.default_rng(0)
    truth = draw.integers(1, 6, 300).astype(float)
    other = np.where(draw.random(300) < 0.6, truth, draw.integers(1, 6, 300))
    many = pair(truth, other, np.arange(300), "ordinal", "a/b")
    few = pair(truth[:40], other[:40], np.arange(40), "ordinal", "a/b")
    for row in (many, few):
        assert row["alpha_low"] < row["alpha"] < row["alpha_high"]
    assert many["alpha_high"] - many["alpha_low"] < 0.6 * (few["alpha_high"] - few["alpha_low"])
    six = pair(np.repeat(truth[:40], 6), np.repeat(other[:40], 6), np.repeat(np.arange(40), 6), "ordinal", "a/b")
    assert six["alpha_low"] == pytest.approx(few["alpha_low"], abs=0.02)
    assert pair(truth[:3], other[:3], np.zeros(3), "ordinal", "a/b")["alpha_low"] is None, "one prompt has no spread"
    three = agreement_table(judgments({"a": truth[:60], "b": other[:60], "c": truth[60:120]}))
    row = three[(three["judge"] == "all") & (three["domain"] == "all")].iloc[0]
    assert row["alpha_low"] < row["alpha"] < row["alpha_high"]


def test_a_draw_of_prompts_whose_scores_are_all_one_has_no_alpha_and_is_left_out():
    """Of two prompts, one scored 1 and one scored 5, every second draw takes one of them twice."""
    found = pair(np.array([1.0, 5.0]), np.array([1.0, 5.0]), np.arange(2), "ordinal", "a/b")
    assert [found[name] for name in ("alpha", "alpha_low", "alpha_high")] == [1, 1, 1]
