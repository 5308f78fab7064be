"""The mixed-effects logistic model: its likelihood, its estimates, what it cannot estimate."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from scipy.special import expit

from tropism.config.stats import Contrast
from tropism.stats.blocks import build_blocks
from tropism.stats.mixed import fit, log_likelihood
from tropism.stats.second_look import mixed_effects_table
from tropism.stats.tables import MIXED_EFFECTS_SCHEMA


@pytest.mark.parametrize("sd", [0.0, 0.4, 2.5])
def test_the_likelihood_is_the_integral(sd):
    events, trials = np.array([3.0, 0, 40, 2]), np.array([4.0, 5, 50, 2])
    prompt, design = np.array([0, 0, 1, 2]), np.array([[1.0, 1], [1, 0], [1, 1], [1, 0]])
    effects = np.array([-0.4, 1.1])
    expected = 0.0
    for p in range(3):
        here = prompt == p

        def given(z, here=here):
            chance = expit(design[here] @ effects + sd * z)
            return np.prod(stats.binom.pmf(events[here], trials[here], chance)) * stats.norm.pdf(z)

        expected += np.log(integrate.quad(given, -9, 9, epsabs=0, points=[-2, 0, 2])[0])
    for either in (sd, -sd):
        found, gradient = log_likelihood(effects, either, design, events, trials, prompt)
        assert found == pytest.approx(expected, abs=2e-4)
        for place, slope in enumerate(gradient.sum(axis=0)):
            ends = []
            for step in (1e-5, -1e-5):
                moved = np.append(effects, either)
                moved[place] += step
                ends.append(log_likelihood(moved[:-1], moved[-1], design, events, trials, prompt)[0])
            assert slope == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=2e-3)


def cells(random, prompts, answers, effect, sd):
    z = sd * random.normal(size=prompts)
    arms = np.repeat([1.0, 0.0], prompts)
    chance = expit(-0.5 + effect * arms + np.tile(z, 2))
    design = np.column_stack([np.ones(2 * prompts), arms])
    trials = np.full(2 * prompts, float(answers))
    return design, random.binomial(answers, chance).astype(float), trials, np.tile(np.arange(prompts), 2)


def test_it_finds_the_effect_within_a_prompt_that_a_plain_regression_shrinks():
    design, events, trials, prompt = cells(np.random.default_rng(0), 3000, 4, effect=1.5, sd=2.0)
    found = fit(design, events, trials, prompt)
    assert found.converged
    assert found.effects[1] == pytest.approx(1.5, abs=0.1)
    assert found.prompt_sd == pytest.approx(2.0, abs=0.1)
    by_arm = [events[design[:, 1] == arm].mean() / 4 for arm in (1, 0)]
    plain = np.log(by_arm[0] / (1 - by_arm[0])) - np.log(by_arm[1] / (1 - by_arm[1]))
    assert plain < 1.15


@pytest.mark.slow
def test_its_intervals_cover_under_clustering():
    random = np.random.default_rng(2)
    covered = []
    for _ in range(120):
        found = fit(*cells(random, 60, 4, effect=0.8, sd=1.2))
        covered.append(abs(found.effects[1] - 0.8) <= 1.96 * found.errors[1])
    assert 0.90 <= np.mean(covered) <= 0.99  # 108 to 119 of 120


def test_without_spread_between_prompts_it_is_the_plain_regression():
    events, trials = np.array([6.0, 4, 3, 2]), np.full(4, 10.0)
    design = np.array([[1.0, 1], [1, 1], [1, 0], [1, 0]])
    found = fit(design, events, trials, np.array([0, 1, 0, 1]))
    assert found.prompt_sd == pytest.approx(0, abs=0.02)
    odds = np.log((10 / 10) / (5 / 15))
    assert found.effects[1] == pytest.approx(odds, abs=1e-3)
    assert found.errors[1] == pytest.approx(np.sqrt(1 / 10 + 1 / 10 + 1 / 5 + 1 / 15), abs=2e-3)
    assert found.p[1] == pytest.approx(2 * stats.t.sf(odds / found.errors[1], df=1), abs=1e-3)


def test_prompts_that_react_differently_are_no_evidence_of_an_effect_on_all():
    """No effect on average, one by prompt of sd 1 logit: answers to eight prompts are eight things seen, not 400."""
    random = np.random.default_rng(4)
    called = 0
    for _ in range(60):
        design, _, trials, prompt = cells(random, 8, 50, effect=0.0, sd=0.0)
        moved = random.normal(size=8)[prompt] * design[:, 1]
        events = random.binomial(50, expit(-0.5 + np.tile(random.normal(size=8), 2) + moved)).astype(float)
        found = fit(design, events, trials, prompt)
        called += found.p[1] < 0.05
    assert called / 60 <= 0.12  # with the model's own errors more than a third


def test_what_has_no_finite_estimate_has_none():
    design, trials, prompt = np.array([[1.0, 1], [1, 0]] * 5), np.full(10, 3.0), np.repeat(np.arange(5), 2)
    never = fit(design, np.where(design[:, 1] == 1, 0.0, 1.0), trials, prompt)
    assert not never.converged
    assert np.isnan(never.effects).all()
    assert np.isnan(never.p).all()


def test_the_table_has_a_row_for_each_rate_and_corrects_over_all(responses, simulated, quick):
    planned = [
        Contrast(name="worse", treatment="treated", control="control"),
        Contrast(name="slope", weights={"treated": 1, "third": -2, "control": 1}),
        Contrast(name="little", treatment="third", control="control"),
    ]
    blocks = build_blocks(responses(simulated))
    table = MIXED_EFFECTS_SCHEMA.validate(mixed_effects_table(blocks, planned, quick))
    assert list(dict.fromkeys(table["contrast"])) == ["worse", "little"], "a weighted sum is no contrast of two arms"
    assert set(table["instrument"]) == {"alignment100", "rubric5"}
    row = table.set_index(["contrast", "domain", "instrument"]).loc["worse", "pooled", "rubric5"]
    assert row["odds_ratio"] > row["low"] > 1
    assert (row["n_prompts"], row["p"] < 0.02) == (40, True)
    tested = table[table["p"].notna()]
    assert 0 < len(tested) < len(table), "one has no event in an arm"
    assert (tested["p_bh"] >= tested["p"]).all()
    again = mixed_effects_table(build_blocks(responses(simulated[::-1])), planned, quick)
    pd.testing.assert_frame_equal(table.reset_index(drop=True), MIXED_EFFECTS_SCHEMA.validate(again))


def test_no_contrast_gives_an_empty_table():
    assert MIXED_EFFECTS_SCHEMA.validate(mixed_effects_table([], [], None)).empty
