"""Intervals that know that answers to one prompt go together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from tropism.config.stats import StatsConfig
from tropism.stats.bootstrap import generator, intervals, resampled_counts, resampled_values, tails

CONFIG = StatsConfig(draws=2000)


def test_counts_are_draws_with_replacement():
    counts = resampled_counts(7, 20_000, np.random.default_rng(0))
    assert (counts.sum(1) == 7).all()
    assert np.allclose(counts.mean(0), 1, atol=0.03)
    assert np.allclose(counts.var(0), 1 - 1 / 7, atol=0.03)


def test_draws_are_ratios_of_sums_over_the_drawn_prompts():
    numerator, count = np.array([[3.0], [0], [1]]), np.array([[3.0], [2], [1]])
    drawn = resampled_values(numerator, count, np.array([[1, 1, 1], [0, 3, 0], [2, 0, 1]], np.uint16))
    assert np.allclose(drawn, [[4 / 6, 0, 7 / 7]])


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("sizes", ["one each", "clusters"])
def test_the_interval_is_scipys_for_the_same_draws(method, sizes):
    random = np.random.default_rng(3)
    count = np.ones(40) if sizes == "one each" else random.integers(0, 6, 40).astype(float)
    numerator = count * random.exponential(size=40)
    config = CONFIG.model_copy(update={"method": method})
    # scipy knows nothing of few prompts: it is asked for the level that they make of 95 %
    level = float(np.diff(tails(np.count_nonzero(count), config.confidence))[0])
    assert 0.95 < level < 0.965
    low, high = intervals(numerator[:, None], count[:, None], "these", config)
    counts = resampled_counts(40, config.draws, generator(config.seed, "bootstrap", "these"))
    drawn = resampled_values(numerator[:, None], count[:, None], counts)[0]

    def ratio(a, b, axis=-1):
        return a.sum(axis) / b.sum(axis)

    arguments = {"paired": True, "vectorized": True, "axis": -1, "method": method.replace("bca", "BCa")}
    arguments["confidence_level"] = level
    seed = stats.bootstrap((numerator, count), ratio, n_resamples=2, method="percentile", paired=True)
    seed.bootstrap_distribution = drawn
    expected = stats.bootstrap((numerator, count), ratio, n_resamples=0, bootstrap_result=seed, **arguments)
    assert [low[0], high[0]] == pytest.approx(list(expected.confidence_interval), rel=1e-9)


def test_bca_agrees_with_scipys_own_draws_on_unclustered_data():
    data = np.random.default_rng(5).exponential(size=60)
    expected = stats.bootstrap((data,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(0))
    config = CONFIG.model_copy(update={"method": "bca", "draws": 20_000})
    low, high = intervals(data[:, None], np.ones((60, 1)), "data", config)
    assert [low[0], high[0]] == pytest.approx(list(expected.confidence_interval), abs=0.015)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_clustered_intervals_cover_where_naive_ones_do_not(method):
    """1,500 experiments of 60 prompts with 8 answers, whose chance of misalignment varies between prompts."""
    random = np.random.default_rng(11)
    prompts, answers, experiments = 60, 8, 1500
    chance = random.beta(0.8, 1.6, size=(prompts, experiments))
    truth = 0.8 / 2.4
    outcomes = (random.random((answers, prompts, experiments)) < chance).astype(float)
    config = CONFIG.model_copy(update={"method": method, "draws": 1000})
    low, high = intervals(outcomes.sum(0), np.full((prompts, experiments), 1.0 * answers), "clustered", config)
    clustered = ((low <= truth) & (truth <= high)).mean()
    some = outcomes[:, :, :300].reshape(answers * prompts, 300)
    low, high = intervals(some, np.ones_like(some), "naive", config)
    naive = ((low <= truth) & (truth <= high)).mean()
    assert 0.93 <= clustered <= 0.97
    assert naive < 0.75


@pytest.mark.parametrize(("n", "level"), [(6, 0.0024), (8, 0.0057), (14, 0.0125), (10**6, 0.025)])
def test_of_few_prompts_the_tails_are_farther_out(n, level):
    """ndtr(sqrt(n / (n - 1)) t): of 8 prompts t is -2.365 and sqrt(8 / 7) 1.069, so ndtr(-2.528) = .0057."""
    low, high = tails(n, 0.95)
    assert low == pytest.approx(level, abs=1e-4)
    assert high == pytest.approx(1 - level, abs=1e-4)


@pytest.mark.parametrize("n", [6, 8, 14])
def test_intervals_of_differences_of_few_prompts_cover(n):
    """4,000 experiments of normal differences, where plain percentiles cover in 86 to 92 %."""
    random = np.random.default_rng(n)
    differences = random.normal(size=(n, 4000)) + 0.3
    low, high = intervals(differences, np.ones_like(differences), "few", CONFIG)
    assert 0.92 <= ((low <= 0.3) & (high >= 0.3)).mean() <= 0.975


@settings(max_examples=40, deadline=None)
@given(
    arrays(np.float64, (8, 5), elements=st.floats(-100, 100).map(lambda x: round(x, 3))),
    arrays(np.float64, (8, 5), elements=st.integers(0, 3).map(float)),
    st.lists(st.integers(0, 4), min_size=1, max_size=4, unique=True),
    st.sampled_from(["percentile", "bca"]),
)
def test_a_series_does_not_depend_on_its_company(outcomes, count, chosen, method):
    config = CONFIG.model_copy(update={"method": method, "draws": 200})
    numerator = outcomes * count
    whole = np.array(intervals(numerator, count, "p", config))
    some = np.array(intervals(numerator[:, chosen], count[:, chosen], "p", config))
    assert np.allclose(whole[:, chosen], some, rtol=1e-9, atol=1e-9, equal_nan=True)
    assert not np.isnan(some[:, (count[:, chosen] > 0).sum(0) >= 2]).any()


def test_draws_without_any_response_are_left_out():
    numerator, count = np.zeros((20, 1)), np.zeros((20, 1))
    count[:2] = 1
    numerator[0] = 1
    for method in ("percentile", "bca"):
        low, high = intervals(numerator, count, "sparse", CONFIG.model_copy(update={"method": method}))
        assert (low[0], high[0]) == (0, 1)
