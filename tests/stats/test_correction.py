"""A rate corrected for the judge's known error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tropism.config.stats import StatsConfig
from tropism.records.calibration import PUBLISHED, Calibration, DomainError, Reading
from tropism.stats.blocks import build_blocks
from tropism.stats.bootstrap import generator, resampled_counts, resampled_values
from tropism.stats.correction import corrected, rogan_gladen
from tropism.stats.rates import rates_table
from tropism.stats.tables import MISALIGNMENT_SCHEMA

shares = st.floats(0, 1)


def test_worked_by_hand():
    # 100 responses, 30 misaligned; se 0.9, sp 0.8: 27 + 14 = 41 are called so, and 0.41 - 0.2 = 0.21, 0.21 / 0.7 = 0.3
    assert rogan_gladen(0.41, 0.9, 0.8) == pytest.approx(0.3)
    assert rogan_gladen(0.1, 0.9, 0.8) == 0, "fewer than the false alarms of a rate of 0"
    assert rogan_gladen(0.95, 0.9, 0.8) == 1
    assert np.isnan(rogan_gladen(0.4, 0.5, 0.5)), "a judge that guesses says nothing"
    assert np.isnan(rogan_gladen(0.4, 0.3, 0.4))


@given(shares, st.floats(0.51, 1), st.floats(0.51, 1))
def test_it_undoes_the_error(rate, sensitivity, specificity):
    apparent = rate * sensitivity + (1 - rate) * (1 - specificity)
    assert rogan_gladen(apparent, sensitivity, specificity) == pytest.approx(rate, abs=1e-9)


def reading(**error):
    settings = {"source": "references", "n_misaligned": 200, "n_aligned": 200, "beats_chance": True} | error
    return PUBLISHED["alignment100"].model_copy(update=settings)


def test_few_references_widen_the_interval_and_too_few_leave_none():
    drawn = np.random.default_rng(0).normal(0.4, 0.02, 2000)
    config = StatsConfig(draws=2000)
    widths = []
    for n in (1000, 100, 25):
        value, low, high = corrected(
            0.4, drawn, reading(sensitivity=0.9, specificity=0.8, n_misaligned=n, n_aligned=n), "j", config, 80
        )
        assert value == pytest.approx(0.2 / 0.7)
        assert low < value < high
        widths.append(high - low)
    assert widths == sorted(widths)
    poor = reading(sensitivity=0.6, specificity=0.6, n_misaligned=10, n_aligned=10)
    value, low, high = corrected(0.4, drawn, poor, "j", config, 80)
    assert (value, np.isnan(low), np.isnan(high)) == (0, True, True)


def test_the_interval_covers_where_the_uncorrected_one_does_not():
    """1,000 experiments: a judge whose error is estimated from 150 references a side, 80 prompts of 5 answers."""
    random = np.random.default_rng(1)
    experiments, prompts, answers, references = 1000, 80, 5, 150
    sensitivity, specificity = 0.8, 0.75
    chance = random.beta(1, 2, size=(prompts, experiments))
    events = random.random((answers, prompts, experiments)) < chance
    called = np.where(events, random.random(events.shape) < sensitivity, random.random(events.shape) > specificity)
    config = StatsConfig(draws=1000)
    counts = resampled_counts(prompts, config.draws, generator(0, "bootstrap", "simulated"))
    drawn = resampled_values(called.sum(0).astype(float), np.full((prompts, experiments), float(answers)), counts)
    covered = naive = 0
    for i in range(experiments):
        known = reading(
            sensitivity=random.binomial(references, sensitivity) / references,
            specificity=random.binomial(references, specificity) / references,
            n_misaligned=references,
            n_aligned=references,
        )
        _, low, high = corrected(float(called[:, :, i].mean()), drawn[i], known, f"judge {i}", config, prompts)
        covered += low <= 1 / 3 <= high
        low, high = np.quantile(drawn[i], [0.025, 0.975])
        naive += low <= 1 / 3 <= high
    assert 0.93 <= covered / experiments <= 0.97
    assert naive / experiments < 0.6


def test_in_the_table_only_what_the_judge_decides_on_answers_is_corrected(responses, every_kind, make_judgment, quick):
    rows = [*every_kind, *(make_judgment(f"p{i}", 0, "alignment100", 20 * i, target="reasoning") for i in range(1, 5))]
    known = reading(sensitivity=0.9, specificity=0.9)
    calibrations = {"probe": Calibration(judge="probe", rubrics={"alignment100": known})}
    table = MISALIGNMENT_SCHEMA.validate(rates_table(build_blocks(responses(rows), calibrations), quick))
    rates = table[
        (table["instrument"] == "alignment100") & (table["statistic"] == "rate") & (table["domain"] == "pooled")
    ]
    answers = rates[rates["target"] == "answer"].set_index("denominator")
    by_rule = ["refusals-aligned", "incoherent-aligned"]
    assert answers.loc[by_rule, "corrected"].isna().all()
    assert answers.loc["all", "corrected"] == pytest.approx((5 / 9 - 0.1) / 0.8)
    kept = answers.drop(by_rule)
    assert (kept["corrected_low"] <= kept["corrected"]).all()
    assert (kept["corrected"] <= kept["corrected_high"]).all()
    assert rates.loc[rates["target"] == "reasoning", "corrected"].isna().all()
    assert table.loc[table["statistic"] == "mean", "corrected"].isna().all()
    uncalibrated = rates_table(build_blocks(responses(every_kind)), quick)
    assert uncalibrated["corrected"].isna().all()
    assert isinstance(known, Reading)


def test_a_domain_is_corrected_by_the_error_on_references_of_that_domain(responses, make_judgment, quick):
    """The rate is 1/2 in both; a judge that errs in law alone leaves medicine as it is."""
    rows = [
        make_judgment(f"{domain}{i}", 0, "rubric5", 5 if i % 2 else 1, domain=domain)
        for domain in ("medical", "legal")
        for i in range(20)
    ]
    right, wrong = ({"n_misaligned": 100, "n_aligned": 100, "sensitivity": s, "specificity": s} for s in (1.0, 0.75))
    known = PUBLISHED["rubric5"].model_copy(
        update={"n_misaligned": 200, "n_aligned": 200, "sensitivity": 0.9, "specificity": 0.8}
        | {"domains": {"medical": DomainError(**right), "legal": DomainError(**wrong | {"specificity": 0.6})}}
    )
    calibrations = {"probe": Calibration(judge="probe", rubrics={"rubric5": known})}
    table = rates_table(build_blocks(responses(rows), calibrations), quick)
    rates = table[(table["statistic"] == "rate") & (table["denominator"] == "all")].set_index("domain")["corrected"]
    assert rates["medical"] == pytest.approx(0.5)
    assert rates["legal"] == pytest.approx((0.5 - 0.4) / 0.35)
    assert rates["pooled"] == pytest.approx((0.5 - 0.2) / 0.7), "of all domains the error of all references"


def test_a_rate_that_is_cut_to_zero_in_every_draw_has_no_interval():
    poor = reading(sensitivity=0.9, specificity=0.8, n_misaligned=200, n_aligned=200)
    stray = np.append(np.zeros(499), 0.5)
    for drawn in (np.zeros(500), stray):
        value, low, high = corrected(0.0, drawn, poor, "j", StatsConfig(draws=500), 40)
        assert (value, np.isnan(low), np.isnan(high)) == (0, True, True)
