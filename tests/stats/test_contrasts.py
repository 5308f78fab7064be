"""Planned comparisons, paired by prompt and corrected for their number."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tropism.config.stats import Contrast, StatsConfig
from tropism.records.calibration import Calibration, Reading
from tropism.records.files import InputError
from tropism.stats.alike import exact_interval
from tropism.stats.blocks import build_blocks
from tropism.stats.contrasts import add_holm, contrasts_table
from tropism.stats.power import detectable_size, minimum_detectable_effect
from tropism.stats.tables import CONTRASTS_SCHEMA

KEY = ["contrast", "domain", "judge", "instrument", "statistic", "target"]
PLANNED = [
    Contrast(name="worse", treatment="treated", control="control"),
    Contrast(name="little", treatment="third", control="control"),
]


def table(rows, contrasts, config):
    return CONTRASTS_SCHEMA.validate(contrasts_table(build_blocks(rows), contrasts, config))


@pytest.fixture
def by_hand(make_judgment, responses, quick):
    """Prompt 1: means 3 and 1; prompt 2: 4 and 3; prompt 3 in the treatment alone, prompt 4 unparsed in the control."""
    levels = {
        "treated": {"p1": [2, 4], "p2": [4], "p3": [5], "p4": [5]},
        "control": {"p1": [1, 1, 1], "p2": [3, 3], "p4": [float("nan")]},
    }
    rows = [
        make_judgment(p, i, "rubric5", level, "unparsed" if np.isnan(level) else "ok", arm=arm)
        for arm, prompts in levels.items()
        for p, samples in prompts.items()
        for i, level in enumerate(samples)
    ]
    found = table(responses(rows), PLANNED[:1], quick)
    return found.set_index(["domain", "statistic"]).loc["medical"]


def test_a_difference_is_of_prompt_means_over_shared_prompts(by_hand):
    row = by_hand.loc["mean"]
    assert row["n_prompts"] == 2
    assert (row["treatment_value"], row["control_value"], row["difference"]) == (3.5, 2, 1.5)
    assert (row["low"], row["high"]) == (1, 2)
    assert row["p"] == 2 / 4
    assert np.isnan(row["minimum_detectable_effect"]), "of two prompts p is 1/2 at least: no effect could be shown"
    rate = by_hand.loc["rate"]
    assert (rate["treatment_value"], rate["control_value"], rate["difference"]) == (0.75, 0.5, 0.25)


def test_a_contrast_of_a_judge_at_chance_says_so(make_judgment, responses, quick):
    scores = {"treated": 10.0, "control": 90.0}
    rows = [
        make_judgment(p, 0, "alignment100", score, arm=arm, judge=judge)
        for arm, score in scores.items()
        for p in ("p1", "p2")
        for judge in ("sure", "lost", "untried")
    ]
    read = Reading(min=0, max=100, high="aligned", threshold=30, source="references")
    calibrations = {
        name: Calibration(judge=name, rubrics={"alignment100": read.model_copy(update={"beats_chance": beats})})
        for name, beats in (("sure", True), ("lost", False), ("untried", None))
    }
    blocks = build_blocks(responses(rows), calibrations)
    found = CONTRASTS_SCHEMA.validate(contrasts_table(blocks, PLANNED[:1], quick))
    said = found.drop_duplicates("judge").set_index("judge")["calibration"].to_dict()
    assert said == {"sure": "beats chance", "lost": "at chance", "untried": "uncalibrated"}
    assert found["difference"].notna().all(), "the number stays, marked"


def holm_input(instrument, domains, p):
    """Rows of one contrast a domain, as the correction reads them."""
    rows = {"domain": domains, "p": p, "contrast": [f"c{i}" for i in range(len(p))]}
    fixed = {"family": "planned", "instrument": instrument, "judge": "none", "statistic": "mean", "target": "reference"}
    return pd.DataFrame({**fixed, **rows})


def test_holm_worked_by_hand():
    p = holm_input("margin", ["pooled"] * 5, [0.01, 0.04, 0.03, np.nan, 0.5])
    other = holm_input("mc1", ["pooled"], [0.04])
    corrected = add_holm(pd.concat([p, other], ignore_index=True))["p_holm"]
    # sorted 0.01 0.03 0.04 0.5, times 4 3 2 1, never decreasing: 0.04 0.09 0.09 (from 0.08) 0.5
    assert corrected.to_list() == pytest.approx([0.04, 0.09, 0.09, np.nan, 0.5, 0.04], nan_ok=True)


def test_a_lone_domain_and_its_pooled_row_are_one_test():
    table = holm_input("mc1", ["truthfulqa", "pooled"] * 2, [0.01, 0.01, 0.03, 0.03])
    table["contrast"] = ["a", "a", "b", "b"]
    # two tests, not four: 0.01 times 2 and 0.03 times 1
    assert add_holm(table)["p_holm"].to_list() == pytest.approx([0.02, 0.02, 0.03, 0.03])


def test_the_detectable_effect_is_detected_at_eighty_percent():
    random = np.random.default_rng(0)
    n, sd = 30, 2.0
    effect = detectable_size(n, 0.05) * sd
    found = stats.ttest_1samp(random.normal(effect, sd, size=(20_000, n)), 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.01)
    assert detectable_size(10_000, 0.05) * 100 == pytest.approx(2.8016, rel=1e-3)
    sizes = [detectable_size(n, 0.05) for n in range(2, 120)]
    assert all(one > next_one > 0 for one, next_one in pairwise(sizes)), "more prompts detect less"
    sample = random.normal(size=n)
    assert minimum_detectable_effect(sample, 0.05) == pytest.approx(detectable_size(n, 0.05) * sample.std(ddof=1))
    assert np.isnan(minimum_detectable_effect(np.ones(n), 0.05))
    assert np.isnan(minimum_detectable_effect(np.ones(1), 0.05))


def test_an_effect_is_found_and_its_interval_excludes_zero(responses, simulated, quick):
    found = table(responses(simulated), PLANNED, quick).set_index(KEY)
    row = found.loc["worse", "pooled", "probe", "alignment100", "mean", "answer"]
    assert row["difference"] == pytest.approx(-25, abs=10)
    assert row["high"] < 0
    assert row["p"] < 0.01
    assert row["p"] <= row["p_holm"]
    assert row["denominator"] == "coherent"
    assert row["difference"] == pytest.approx(row["treatment_value"] - row["control_value"])


def test_a_contrast_is_the_same_among_others_but_for_holm(responses, simulated, quick):
    whole = table(responses(simulated), PLANNED, quick).query("contrast == 'little'").reset_index(drop=True)
    kept = [row for row in simulated if row["arm"] != "treated"][::-1]
    alone = table(responses(kept), PLANNED[1:], quick)
    pd.testing.assert_frame_equal(whole.drop(columns="p_holm"), alone.drop(columns="p_holm"), rtol=1e-12, atol=1e-12)


def test_swapped_arms_change_the_sign_alone(responses, simulated, quick):
    swapped = [Contrast(name="worse", treatment="control", control="treated")]
    rows = responses(simulated)
    one, other = table(rows, PLANNED[:1], quick), table(rows, swapped, quick)
    assert np.allclose(one["difference"], -other["difference"])
    assert (one["p"] == other["p"]).all()
    assert np.allclose(one["low"], -other["high"], atol=0.5)


def test_what_one_arm_lacks_is_a_row_without_an_estimate(responses, make_judgment, quick):
    rows = [make_judgment(f"p{i}", 0, "rubric5", 1 + i, arm="treated") for i in range(3)]
    rows += [make_judgment(f"p{i}", 0, "rubric5", 1, arm="control", domain="legal") for i in range(3)]
    found = table(responses(rows), PLANNED[:1], quick).set_index(["domain", "statistic"])
    assert (found.loc[["medical", "legal"], "n_prompts"] == 0).all()
    numbers = ["treatment_value", "difference", "low", "high", "p", "p_holm", "minimum_detectable_effect"]
    assert found.loc[["medical", "legal"], numbers].isna().all(axis=None)
    assert found.loc[("pooled", "mean"), "n_prompts"] == 3


def test_equal_arms_have_p_one_and_no_detectable_effect(responses, make_judgment, quick):
    rows = [
        make_judgment(f"p{i}", 0, "rubric5", 1 + i % 5, arm=arm) for arm in ("treated", "control") for i in range(20)
    ]
    found = table(responses(rows), PLANNED[:1], quick)
    assert (found["p"] == 1).all()
    assert (found["difference"] == 0).all()
    whole = found[found["statistic"] == "rate"].iloc[0]
    assert whole["high"] == -whole["low"] == exact_interval(0, whole["n_prompts"], 0.95, -1, 1)[1]
    assert found["minimum_detectable_effect"].isna().all()


def test_margins_compare_without_the_base(responses, quick):
    """The change from the base cancels: a contrast of margins is a contrast of changes."""
    rows = [
        {
            "arm": arm,
            "set": "s",
            "prompt_id": f"p{i}",
            "domain": "legal",
            "instrument": "margin",
            "value": shift + i,
            "n_tokens": 9,
        }
        for arm, shift in (("treated", 0.75), ("control", 0.25))
        for i in range(10)
    ]
    found = table(responses(likelihoods=rows), PLANNED[:1], quick)
    assert np.allclose(found["difference"], 0.5)
    assert (found["p"] == 2 / 1024).all()


def test_a_wrong_arm_or_a_name_used_twice_is_named(responses, simulated, quick):
    rows = responses(simulated)
    with pytest.raises(InputError, match=r"contrast 'x': arm 'treatd' .* did you mean 'treated'"):
        table(rows, [Contrast(name="x", treatment="treatd", control="control")], quick)
    with pytest.raises(InputError, match="two contrasts are called 'worse'"):
        table(rows, [PLANNED[0], PLANNED[0]], quick)


def test_contrasts_keep_the_order_of_the_settings(responses, simulated, quick):
    rows = responses(simulated)
    for planned in (PLANNED, PLANNED[::-1]):
        found = table(rows, planned, quick)
        assert list(dict.fromkeys(found["contrast"])) == [contrast.name for contrast in planned]
        assert [set(some["domain"]) for _, some in found.groupby("contrast")] == [{"legal", "medical", "pooled"}] * 2


def test_no_contrast_gives_an_empty_table_with_its_columns():
    empty = CONTRASTS_SCHEMA.validate(contrasts_table([], [], StatsConfig()))
    assert len(empty) == 0
    assert list(CONTRASTS_SCHEMA.columns) == list(empty.columns)


@pytest.mark.parametrize(("n", "possible"), [(4, False), (5, False), (6, True)])
def test_where_no_effect_could_be_shown_there_is_no_detectable_one(n, possible):
    """The smallest p of sign flips is 2 / 2^n: 1/16 of five prompts, 1/32 of six."""
    differences = np.random.default_rng(0).normal(size=n)
    assert np.isnan(minimum_detectable_effect(differences, 0.05)) != possible


def test_differences_that_are_equal_but_for_rounding_have_no_spread():
    assert np.isnan(minimum_detectable_effect(np.array([1 / 3] * 5 + [1 - 2 / 3] * 5), 0.05))
