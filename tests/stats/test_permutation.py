"""p-values that mean what they say."""

import numpy as np
import pytest
from scipy import stats

from tropism.config.stats import StatsConfig
from tropism.stats.permutation import p_values, sign_patterns

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
