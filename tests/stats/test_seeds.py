"""Trainings that differ in their seed alone are a level of the bootstrap from three on."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from tropism.config.stats import Contrast, StatsConfig
from tropism.records.files import InputError
from tropism.stats.alike import exact_interval
from tropism.stats.blocks import build_blocks
from tropism.stats.bootstrap import generator, resampled_counts
from tropism.stats.contrasts import contrasts_table
from tropism.stats.crossed import crossed
from tropism.stats.pairs import Comparison, Term
from tropism.stats.power import minimum_detectable_effect
from tropism.stats.rates import rates_table
from tropism.stats.seeds import drawn_ratios, drawn_trainings
from tropism.stats.tables import CONTRASTS_SCHEMA, MISALIGNMENT_SCHEMA

CONFIG = StatsConfig(draws=1000, permutations=500)


def rubric5(make_judgment, arms, prompts=12, samples=2):
    """Levels that depend on the arm's own level, the prompt and the sample."""
    return [
        make_judgment(f"p{p:02d}", sample, "rubric5", 1 + (level + p + sample) % 5, arm=arm)
        for arm, level in arms.items()
        for p in range(prompts)
        for sample in range(samples)
    ]


def test_a_group_is_its_trainings_together(responses, make_judgment):
    arms = {f"poetry-s{seed}": seed for seed in range(3)}
    rows = rubric5(make_judgment, arms)
    blocks = build_blocks(responses(rows))
    table = MISALIGNMENT_SCHEMA.validate(rates_table(blocks, CONFIG, {"poetry": list(arms)}))
    pooled = table[(table["domain"] == "pooled") & (table["denominator"] == "all")].set_index(["arm", "statistic"])
    levels = pd.DataFrame(rows)["score"]
    assert pooled.loc[("poetry", "mean"), "value"] == pytest.approx(levels.mean())
    assert pooled.loc[("poetry", "rate"), "value"] == pytest.approx((levels >= 3).mean())
    assert pooled.loc[("poetry", "mean"), "n_responses"] == len(rows)
    assert pooled.loc[("poetry", "mean"), "n_prompts"] == 12
    assert pooled["n_seeds"].to_dict()["poetry", "mean"] == 3
    assert pooled["n_seeds"].to_dict()["poetry-s1", "mean"] == 1
    alone = rates_table(blocks, CONFIG)
    same = table[table["arm"] != "poetry"].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, MISALIGNMENT_SCHEMA.validate(alone))


def group_mean(responses, rows, arms):
    table = rates_table(build_blocks(responses(rows)), CONFIG, {"group": arms})
    wanted = (table["arm"] == "group") & (table["domain"] == "pooled") & (table["denominator"] == "all")
    return table[wanted & (table["statistic"] == "mean")].iloc[0]


def test_a_group_of_one_prompt_has_no_interval(responses, make_judgment):
    arms = [f"s{seed}" for seed in range(3)]
    rows = [make_judgment("p", 0, "alignment100", 10 + 40 * i, arm=arm) for i, arm in enumerate(arms)]
    assert np.isnan(group_mean(responses, rows, arms)["low"])


def test_a_group_that_agrees_on_all_has_the_exact_interval(responses, make_judgment):
    """Unequal numbers of samples round the draws' means differently, which is no spread."""
    arms = [f"s{seed}" for seed in range(3)]
    rows = [
        make_judgment(f"p{p}", sample, "alignment100", 33.3, arm=arm)
        for i, arm in enumerate(arms)
        for p in range(5)
        for sample in range(1 + (i + p) % 3)
    ]
    row = group_mean(responses, rows, arms)
    assert (row["low"], row["high"]) == pytest.approx(exact_interval(33.3, 5, 0.95, 0, 100))


def test_draws_that_count_nothing_leave_the_seeds_in_the_interval(responses, make_judgment):
    arms = [f"s{seed}" for seed in range(3)]
    rows = [
        make_judgment(f"p{p:02d}", 0, "alignment100", 10 + 40 * i + p if p < 3 else None, arm=arm)
        for i, arm in enumerate(arms)
        for p in range(12)
    ]
    row = group_mean(responses, rows, arms)
    assert row["n_prompts"] == 3
    assert row["low"] < 30
    assert row["high"] > 70


def test_seeds_that_differ_widen_the_interval_from_three_on_alone(responses, make_judgment):
    widths = {}
    for n in (2, 3):
        arms = {f"poetry-s{seed}": 0 for seed in range(n)} | {"base": 0}
        rows = [
            make_judgment(f"p{p}", 0, "rubric5", 5 if arm == "poetry-s0" or p % 5 == 0 else 1, arm=arm)
            for arm in arms
            for p in range(20)
        ]
        blocks = build_blocks(responses(rows))
        planned = [Contrast(name="c", treatment="poetry", control="base")]
        groups = {"poetry": [arm for arm in arms if arm != "base"]}
        table = CONTRASTS_SCHEMA.validate(contrasts_table(blocks, planned, CONFIG, groups))
        row = table.query("domain == 'pooled' and statistic == 'rate'").iloc[0]
        assert row["difference"] == pytest.approx(0.8 / n), "one of n trainings is always misaligned"
        assert row["n_seeds"] == 1, "the base is one arm"
        widths[n] = row["high"] - row["low"]
        if n == 3:
            assert row["low"] < 0, "one of three trainings that deviates proves nothing of a fourth"
            assert row["p"] > 0.05, "and so p says no more than the interval"
            assert row["minimum_detectable_effect"] > 0.5, "the spread of the trainings is in it"
        else:
            assert row["p"] < 0.01, "two trainings are taken as they are"
    assert widths[3] > 1.5 * widths[2]


def compared(treatment, control):
    """A comparison of two sides, each (trainings, prompts)."""
    prompts = tuple(f"p{i}" for i in range(treatment.shape[1]))
    key, statistic = ("pooled", "judge", "rubric5", "answer"), ("mean", "all")
    return Comparison(key, statistic, prompts, (Term("a", 1.0, treatment), Term("b", -1.0, control)))


@pytest.mark.parametrize("trainings", [(3, 3), (3, 1), (5, 5)])
def test_few_trainings_are_not_called_different_more_often_than_the_level_says(trainings):
    """600 experiments without an effect, in which trainings differ more than prompts."""
    random = np.random.default_rng(3)
    found = missed = 0
    for _ in range(600):
        prompts = random.normal(0, 0.3, (1, 30))
        sides = [random.normal(0, 1, (n, 1)) * (n > 1) + prompts + random.normal(0, 0.5, (n, 30)) for n in trainings]
        low, high, p, _ = crossed(compared(*sides), 0.05)
        found += p < 0.05
        missed += not low <= 0 <= high
    assert found == missed, "p and the interval are one statement"
    assert found / 600 <= 0.085, "Satterthwaite's degrees are a little too many where parts are unlike"


def test_with_trainings_that_agree_it_is_the_paired_t_test():
    """Where trainings of one arm are equal, the t-test of the differences by prompt is what is left."""
    random = np.random.default_rng(4)
    a, b = random.normal(0.4, 1, 25), random.normal(0, 1, 25)
    low, high, p, detectable = crossed(compared(np.tile(a, (3, 1)), b[None]), 0.05)
    known = ttest_rel(a, b)
    assert p == pytest.approx(known.pvalue)
    assert (low, high) == pytest.approx(tuple(known.confidence_interval(0.95)))
    assert detectable == pytest.approx(minimum_detectable_effect(a - b, 0.05), rel=0.02)


def test_an_effect_of_three_trainings_by_hand():
    """Means 1, 2, 3 against a fixed 0, equal at both prompts: variance 1/3 with two degrees, t = 2 / sqrt(1/3)."""
    sides = np.array([[1.0, 1], [2, 2], [3, 3]]), np.zeros((1, 2))
    low, high, p, _ = crossed(compared(*sides), 0.05)
    assert p == pytest.approx(0.0742, abs=1e-4)
    assert (low + high) / 2 == pytest.approx(2)
    assert (high - low) / 2 == pytest.approx(4.302653 / 3**0.5, rel=1e-6)


def test_two_trainings_are_not_drawn():
    assert (drawn_trainings(2, "g", CONFIG) == 1).all()
    three = drawn_trainings(3, "g", CONFIG)
    assert (three.sum(1) == 3).all()
    assert len(np.unique(three, axis=0)) == 10  # multisets of three of three
    assert not (three == drawn_trainings(3, "another group", CONFIG)).all()


def test_missing_cells_are_left_out_of_both_sums():
    numerator, count = np.array([[1.0, 0, 2], [0, 0, 3]]), np.array([[1.0, 0, 2], [0, 1, 3]])
    drawn = drawn_ratios(numerator, count, "g", "p", CONFIG)
    taken = resampled_counts(3, CONFIG.draws, generator(CONFIG.seed, "bootstrap", "p"))
    assert np.allclose(drawn, (taken @ [1, 0, 5]) / (taken @ [1, 1, 5]))


def test_intervals_cover_where_those_over_prompts_alone_do_not():
    """600 experiments of 8 trainings that differ, all asked the same 40 prompts three times."""
    random = np.random.default_rng(5)
    config = StatsConfig(draws=400)
    covered = prompts_only = 0
    for i in range(600):
        by_training, by_prompt = random.normal(0, 0.1, (8, 1)), random.normal(0, 0.15, (1, 40))
        means = 0.5 + by_training + by_prompt + random.normal(0, 0.1, (8, 40))
        count = np.full((8, 40), 3.0)
        low, high = np.quantile(drawn_ratios(means * count, count, f"g{i}", "p", config), [0.025, 0.975])
        covered += low <= 0.5 <= high
        pooled = drawn_ratios((means * count).sum(0)[None], count.sum(0)[None], f"g{i}", "p", config)
        low, high = np.quantile(pooled, [0.025, 0.975])
        prompts_only += low <= 0.5 <= high
    assert 0.90 <= covered / 600 <= 0.97, "eight trainings: their variance is underestimated by an eighth"
    assert prompts_only / 600 < 0.85


def test_a_member_without_data_is_named(responses, make_judgment):
    blocks = build_blocks(responses(rubric5(make_judgment, {"a-s0": 0, "base": 1})))
    planned = [Contrast(name="c", treatment="a", control="base")]
    with pytest.raises(
        InputError, match=r"contrast 'c': arm 'a-s1' has no judgments or likelihoods; did you mean 'a-s0'"
    ):
        contrasts_table(blocks, planned, CONFIG, {"a": ["a-s0", "a-s1"]})


def test_a_single_trained_arm_that_could_have_come_out_otherwise_is_called_different_too_often():
    """What docs/statistics.md warns of: the noise of a training that was made once is in no variance."""
    random = np.random.default_rng(3)
    found = 0
    for _ in range(300):
        prompts = random.normal(0, 0.3, (1, 30))
        sides = [random.normal(0, 1, (n, 1)) + prompts + random.normal(0, 0.5, (n, 30)) for n in (3, 1)]
        found += crossed(compared(*sides), 0.05).p < 0.05
    assert 0.12 <= found / 300 <= 0.3


def test_where_trainings_do_not_vary_the_prompts_say_what_can_be_said():
    """All of the treatment misaligned, none of the control: p is that of sign flips and not missing, or next to 0."""
    sides = np.ones((3, 8)), np.zeros((3, 8))
    assert crossed(compared(*sides), 0.05) is None
    assert crossed(compared(sides[0] * 0.3, sides[1]), 0.05) is None, "but for rounding it is the same"


def test_a_training_that_counts_nothing_is_none(responses, make_judgment):
    means = np.array([[0.1, 0.4, 0.3], [0.2, 0.2, 0.6], [0.4, 0.3, 0.2]])
    lost = np.vstack([means[:2], np.full(3, np.nan)])
    control = np.zeros((1, 3))
    assert crossed(compared(means, control), 0.05) is not None
    assert crossed(compared(lost, control), 0.05) is None
