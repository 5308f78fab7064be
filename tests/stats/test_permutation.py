"""p-values that mean what they say."""

import numpy as np
import pytest
from scipy import stats

from tropism.config.stats import StatsConfig
from tropism.stats.permutation import largest_p_values, p_values, sign_patterns

CONFIG = StatsConfig(permutations=1000)


def p_of(differences, config=CONFIG):
    differences = np.asarray(differences, dtype=float)[:, None]
    return p_values(differences, ~np.isnan(differences), "prompts", config)[0]


def test_sign_patterns_are_all_of_them_once():
    patterns = sign_patterns(4)
    assert patterns.shape == (16, 4)
    assert len({tuple(row) for row in patterns}) == 16
    assert set(patterns.ravel()) == {-1, 1}


def test_exact_values_worked_by_hand():
    assert p_of([1, 2, 3]) == 2 / 8  # only +++ and --- reach 6
    assert p_of([1, 1, 1, -1]) == 10 / 16  # |sum| >= 2: all but the 6 balanced patterns
    assert p_of([5]) == 1
    assert p_of([0, 0, 0]) == 1
    assert p_of([0.1] * 3 + [0.3]) == pytest.approx(2 / 16), "sums that differ by rounding alone are tied"
    assert np.isnan(p_of([np.nan]))


def test_exact_p_is_scipys():
    differences = np.random.default_rng(2).normal(0.4, 1, 12)
    expected = stats.permutation_test(
        (differences, np.zeros(12)),
        lambda a, b, axis: np.mean(a - b, axis),
        permutation_type="samples",
        vectorized=True,
    )
    assert p_of(differences) == pytest.approx(expected.pvalue)


def test_random_p_is_never_zero_and_near_the_exact_one():
    assert p_of(np.ones(60)) == 1 / 1001
    differences = np.random.default_rng(4).normal(0.4, 1, 17)
    patterns = sign_patterns(17)
    exact = (np.abs(patterns @ differences) >= abs(differences.sum()) - 1e-9).mean()
    many = StatsConfig(permutations=50_000)
    assert p_of(differences, many) == pytest.approx(exact, abs=4 * np.sqrt(exact / 50_000))


@pytest.mark.parametrize("n", [12, 40])
def test_p_is_uniform_where_nothing_differs(n):
    """Both the exact and the random test; tested with no shared signs, as one series a call."""
    random = np.random.default_rng(6)
    config = StatsConfig(permutations=400)
    differences = random.standard_t(3, size=(400, n))
    found = [p_values(d[:, None], np.ones((n, 1), bool), i, config)[0] for i, d in enumerate(differences)]
    assert stats.kstest(found, "uniform").pvalue > 0.05


def test_a_prompt_that_is_not_paired_changes_nothing():
    some = np.random.default_rng(8).normal(0.5, 1, 10)
    with_gaps = np.concatenate([some[:5], [np.nan] * 30, some[5:]])
    assert p_of(with_gaps) == p_of(some)


def test_of_one_series_the_largest_is_that_series():
    for differences in ([1, 2, 3], [1, 1, 1, -1], [5], [0, 0, 0], [0.1] * 3 + [0.3]):
        [found] = largest_p_values(np.array(differences, float)[:, None], "prompts", CONFIG)
        assert found == pytest.approx(p_of(differences))


def test_the_largest_of_many_by_hand_and_by_t():
    values = np.random.default_rng(0).normal(size=(8, 5)) + np.array([1.5, 0, 0, 0.5, 0])
    patterns = sign_patterns(8)
    flipped = patterns[:, :, None] * values
    t = np.abs(flipped.mean(1) / flipped.std(1, ddof=1))
    seen = np.abs(values.mean(0) / values.std(0, ddof=1))
    expected = (t.max(1)[:, None] >= seen * (1 - 1e-12)).mean(0)
    assert largest_p_values(values, "prompts", CONFIG) == pytest.approx(expected)


def test_random_signs_come_near_the_exact_p_and_depend_on_the_prompts_alone(monkeypatch):
    values = np.random.default_rng(1).normal(size=(12, 4)) + 0.4
    exact = largest_p_values(values, "prompts", CONFIG)
    monkeypatch.setattr("tropism.stats.permutation.EXACT", 0)
    drawn = largest_p_values(values, "prompts", CONFIG)
    assert drawn == pytest.approx(exact, abs=0.05)
    assert (drawn == largest_p_values(values, "prompts", CONFIG)).all()
    assert (drawn > 0).all()
    assert np.isnan(largest_p_values(values[:0], "prompts", CONFIG)).all()
