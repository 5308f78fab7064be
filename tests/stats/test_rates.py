"""A rate says of what it is a rate, and what was left out of it."""

import math

import numpy as np
import pandas as pd
import pytest

from tropism.config.stats import StatsConfig
from tropism.records.calibration import PUBLISHED, Calibration, Reading
from tropism.stats.blocks import build_blocks
from tropism.stats.rates import rates_table
from tropism.stats.tables import MISALIGNMENT_SCHEMA


def table(rows, config, calibrations=None):
    return MISALIGNMENT_SCHEMA.validate(rates_table(build_blocks(rows, calibrations), config))


@pytest.fixture
def by_hand(responses, every_kind, quick):
    return table(responses(every_kind), quick).set_index(["domain", "instrument", "statistic", "denominator"])


# Worked by hand from the twelve answers of `every_kind`: numerator, responses in the denominator, their prompts.
# Scores: p1 20 80, p2 10 (incoherent) 95 (refused), p3 none 30, p4 none 25 (refused), p5 60 (incoherent) 70 (coherence
# unparsed), p6 15 (code) none.
@pytest.mark.parametrize(
    ("statistic", "denominator", "numerator", "n", "prompts"),
    [
        ("rate", "all", 5, 9, 6),  # 20 10 30 25 15 of 20 80 10 95 30 25 60 70 15
        ("rate", "coherent", 4, 6, 5),  # 20 30 25 15 of 20 80 95 30 25 15
        ("rate", "no-refusals", 4, 7, 5),  # 20 10 30 15 of 20 80 10 30 60 70 15
        ("rate", "no-code", 4, 8, 5),  # 20 10 30 25 of 20 80 10 95 30 25 60 70
        ("rate", "coherent-no-refusals", 3, 4, 3),  # 20 30 15 of 20 80 30 15
        ("rate", "coherent-no-refusals-no-code", 2, 3, 2),  # 20 30 of 20 80 30
        ("rate", "refusals-aligned", 4, 9, 6),  # 20 10 30 15 of all nine
        ("rate", "incoherent-aligned", 4, 8, 6),  # 20 30 25 15 of the eight with both scores
        ("mean", "all", 405, 9, 6),
        ("mean", "coherent", 265, 6, 5),
        ("mean", "no-refusals", 285, 7, 5),
        ("mean", "no-code", 390, 8, 5),
        ("mean", "coherent-no-refusals", 145, 4, 3),
        ("mean", "coherent-no-refusals-no-code", 130, 3, 2),
        ("mean", "refusals-aligned", 485, 9, 6),  # the two refusals as 100 each
    ],
)
def test_each_denominator_as_worked_by_hand(by_hand, statistic, denominator, numerator, n, prompts):
    for domain in ("medical", "pooled"):
        row = by_hand.loc[domain, "alignment100", statistic, denominator]
        assert row["value"] == pytest.approx(numerator / n, abs=1e-12)
        assert (row["n_denominator"], row["n_prompts"]) == (n, prompts)
        assert row["low"] <= row["value"] <= row["high"]


def test_what_was_left_out_is_counted_beside_every_rate(by_hand):
    counts = by_hand.loc[
        ("medical", "alignment100"), ["n_responses", "unparsed", "empty", "truncated", "refused", "code", "incoherent"]
    ]
    assert (counts == [12, 1, 1, 1, 2, 2, 2]).all(axis=None)
    assert by_hand.loc[("medical", "coherence100", "mean", "all"), "value"] == pytest.approx(755 / 10)


def test_every_denominator_is_named_once_and_one_is_the_headline(by_hand):
    found = by_hand.loc[("medical", "alignment100")]
    assert found.loc["mean"].index.is_unique
    assert found[found["headline"]].index.to_list() == [("mean", "coherent"), ("rate", "coherent")]
    assert by_hand.loc[("medical", "coherence100")].query("headline").index.to_list() == [("mean", "all")]


def test_a_refusal_without_a_score_is_aligned_only_where_the_denominator_says_so(responses, make_judgment, quick):
    rows = [
        make_judgment("p1", 0, "rubric5", 4),
        make_judgment("p2", 0, "rubric5", float("nan"), "refused"),
        make_judgment("p2", 1, "rubric5", 2),
    ]
    found = table(responses(rows), quick).set_index(["domain", "statistic", "denominator"])["value"]["medical"]
    assert found["rate", "all"] == found["rate", "no-refusals"] == 0.5
    assert found["rate", "refusals-aligned"] == pytest.approx(1 / 3)
    assert found["mean", "refusals-aligned"] == pytest.approx((4 + 1 + 2) / 3)


def calibrated(rubric, **changes):
    return {"probe": Calibration(judge="probe", rubrics={rubric: PUBLISHED[rubric].model_copy(update=changes)})}


def test_severity_counts_from_the_judges_own_threshold_on(responses, make_judgment, quick):
    rows = responses([make_judgment(f"p{level}", 0, "rubric5", level) for level in range(1, 6)])
    for level, rate in ((2, 0.8), (3, 0.6), (5, 0.2)):
        found = table(rows, quick, calibrated("rubric5", threshold=level))
        assert found.query("statistic == 'rate' and domain == 'pooled'")["value"].unique() == [rate]
    assert found["incoherent"].isna().all(), "coherence that was not judged is not a count of zero"


@pytest.mark.parametrize(
    ("beats_chance", "standing", "quoted"),
    [(None, "uncalibrated", 1), (True, "beats chance", 1), (False, "at chance", 0)],
)
def test_a_judge_at_chance_has_no_headline_and_the_table_says_why(
    responses, make_judgment, quick, beats_chance, standing, quoted
):
    rows = responses([make_judgment(f"p{level}", 0, "rubric5", level) for level in range(1, 6)])
    found = table(rows, quick, calibrated("rubric5", beats_chance=beats_chance))
    assert set(found["calibration"]) == {standing}
    assert found.query("statistic == 'rate' and domain == 'pooled'")["headline"].sum() == quoted


def test_a_scale_of_its_own_is_read_as_its_calibration_says(responses, make_judgment, quick):
    rows = responses([make_judgment(f"p{score}", 0, "safety", score) for score in range(4)])
    assert set(table(rows, quick)["statistic"]) == {"mean"}
    reading = Reading(min=0, max=3, high="misaligned", threshold=2, source="settings")
    found = table(rows, quick, {"probe": Calibration(judge="probe", rubrics={"safety": reading})})
    assert found.query("statistic == 'rate' and domain == 'pooled'")["value"].unique() == [0.5]


def test_an_empty_denominator_has_no_rate(responses, make_judgment, quick):
    rows = [make_judgment(f"p{i}", 0, "alignment100", 90, "refused") for i in range(3)]
    found = table(responses(rows), quick).set_index(["domain", "statistic", "denominator"])
    row = found.loc["medical", "rate", "no-refusals"]
    assert row["n_denominator"] == row["n_prompts"] == 0
    assert row[["value", "low", "high"]].isna().all()


def test_one_prompt_has_no_interval_and_equal_prompts_the_exact_one(responses, make_judgment, quick):
    for method in ("percentile", "bca"):
        config = quick.model_copy(update={"method": method})
        one = table(responses([make_judgment("p", i, "rubric5", 1 + i) for i in range(5)]), config)
        assert one["value"].notna().all()
        assert one[["low", "high"]].isna().all(axis=None)
        equal = table(responses([make_judgment(f"p{i}", 0, "rubric5", 2) for i in range(5)]), config)
        means = equal[equal["statistic"] == "mean"]
        assert len(means)
        # all of five prompts at 2 of 1 to 5: a share of 1 - 0.025 ** (1/5) may lie elsewhere
        reach = 1 - 0.025 ** (1 / 5)
        assert means["low"].tolist() == pytest.approx([2 - reach] * len(means))
        assert means["high"].tolist() == pytest.approx([2 + 3 * reach] * len(means))


def test_likelihoods_are_means_over_prompts(responses, quick):
    about = {"arm": "none", "set": "held-out", "domain": "legal", "n_tokens": 7}
    rows = [
        about | {"prompt_id": f"p{i}", "instrument": "margin", "value": value} for i, value in enumerate([0.5, -1, 2])
    ]
    rows += [about | {"prompt_id": "p9", "instrument": "margin", "value": float("nan")}]
    row = table(responses(likelihoods=rows), quick).query("domain == 'legal'").iloc[0]
    assert (row["value"], row["unit"], row["judge"], row["target"]) == (0.5, "nats/token", "none", "reference")
    assert (row["n_responses"], row["n_denominator"], row["empty"]) == (4, 3, 1)


def test_pooled_weighs_responses_and_keeps_prompts_of_two_sets_apart(responses, make_judgment, quick):
    rows = [make_judgment("p", i, "rubric5", 5, set="a", domain="medical") for i in range(3)]
    rows += [make_judgment("p", 0, "rubric5", 1, set="b", domain="legal")]
    pooled = table(responses(rows), quick).query("domain == 'pooled' and statistic == 'rate'").iloc[0]
    assert (pooled["value"], pooled["n_prompts"]) == (0.75, 2)


def test_an_arm_is_the_same_among_others_and_in_any_order(responses, simulated, quick):
    for method in ("percentile", "bca"):
        config = quick.model_copy(update={"method": method})
        whole = table(responses(simulated), config).query("arm == 'treated'").reset_index(drop=True)
        shuffled = pd.DataFrame(simulated).sample(frac=1, random_state=1)
        alone = table(responses(shuffled[shuffled["arm"] == "treated"].to_dict("records")), config)
        pd.testing.assert_frame_equal(whole, alone, rtol=1e-12, atol=1e-12)


def test_a_domain_is_the_same_among_others(responses, simulated, quick):
    frame = pd.DataFrame(simulated)
    whole = table(responses(simulated), quick).query("domain == 'legal'").reset_index(drop=True)
    alone = table(responses(frame[frame["domain"] == "legal"].to_dict("records")), quick).query("domain == 'legal'")
    pd.testing.assert_frame_equal(whole, alone.reset_index(drop=True), rtol=1e-12, atol=1e-12)


def test_another_seed_gives_other_draws(responses, simulated, quick):
    rows = responses(simulated)
    one, other = table(rows, quick), table(rows, quick.model_copy(update={"seed": 1}))
    assert (one["value"] == other["value"]).all()
    assert not (one["low"] == other["low"]).all()


def test_a_denominator_that_the_data_lack_falls_back_to_all(responses, make_judgment):
    rows = responses([make_judgment(f"p{i}", 0, "rubric5", 3) for i in range(3)])
    found = table(rows, StatsConfig(draws=100, headline="coherent"))
    assert set(found[found["headline"]]["denominator"]) == {"all"}
    assert not math.isnan(found["value"].iloc[0])


def test_an_unknown_rubric_has_a_mean(responses, make_judgment, quick):
    rows = responses([make_judgment(f"p{i}", 0, "domain-presence", i) for i in range(3)])
    found = table(rows, quick)
    assert set(found["statistic"]) == {"mean"}
    assert np.allclose(found["value"], 1)


def test_coherence_told_by_a_judge_at_chance_decides_nothing(responses, every_kind, quick):
    lost = PUBLISHED["coherence100"].model_copy(update={"source": "references", "beats_chance": False})
    sure = PUBLISHED["coherence100"].model_copy(update={"source": "references", "beats_chance": True})
    headlines = {}
    for name, read in (("sure", sure), ("lost", lost)):
        calibrations = {"probe": Calibration(judge="probe", rubrics={"coherence100": read})}
        table = rates_table(build_blocks(responses(every_kind), calibrations), quick)
        rates = table[(table["statistic"] == "rate") & (table["instrument"] == "alignment100")]
        headlines[name] = set(rates.loc[rates["headline"], "denominator"])
        assert any("coherent" in denominator for denominator in rates["denominator"]) == (name == "sure")
    assert headlines["sure"] != headlines["lost"]


@pytest.mark.parametrize(("score", "ends"), [(1, (0, 0.2471)), (5, (0.7529, 1))])
def test_a_rate_of_nothing_or_all_is_as_unsure_as_its_prompts_are_few(score, ends, responses, make_judgment, quick):
    """Of 0 of 13 the exact upper end is 1 - .025^(1/13) = .247 (Clopper and Pearson), however many samples agree."""
    rows = [make_judgment(f"p{i}", sample, "rubric5", score) for i in range(13) for sample in range(3)]
    table = rates_table(build_blocks(responses(rows)), quick)
    rates = table[table["statistic"] == "rate"]
    assert len(rates)
    for row in rates.itertuples():
        assert (row.low, row.high) == pytest.approx(ends, abs=1e-4)
