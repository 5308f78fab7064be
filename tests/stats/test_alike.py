"""Where every prompt has the same value the draws are all alike, and the interval is exact."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tropism.stats.alike import exact_interval, with_exact_ends


@given(st.integers(2, 400), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_a_rate_of_none_or_all_has_the_interval_of_clopper_and_pearson(n, confidence):
    for value in (0, 1):
        exact = binomtest(value * n, n).proportion_ci(confidence, method="exact")
        assert exact_interval(value, n, confidence, 0, 1) == pytest.approx((exact.low, exact.high))


def test_a_difference_that_is_whole_on_all_prompts_leaves_room_for_others():
    """Six prompts, all aligned before and misaligned after: with one time in forty, 46 % of prompts are others."""
    low, high = exact_interval(1.0, 6, 0.95, -1, 1)
    assert (low, high) == (pytest.approx(1 - 2 * (1 - 0.025 ** (1 / 6))), 1.0)


def test_without_a_scale_or_a_second_prompt_there_is_no_interval():
    assert all(map(math.isnan, exact_interval(0.1, 9, 0.95, -math.inf, math.inf)))
    assert all(map(math.isnan, exact_interval(0.0, 1, 0.95, 0, 1)))


def test_only_series_whose_prompts_agree_are_touched():
    numerator = np.array([[0.0, 1.0, 0.1], [0.0, 2.0, 0.3], [0.0, 1.0, 0.0]])
    count = np.array([[1.0, 2.0, 1.0], [2.0, 4.0, 1.0], [0.0, 2.0, 0.0]])
    ends = np.zeros(3), np.full(3, 0.2)
    low, high = with_exact_ends(numerator, count, ends, np.array([[0, 1], [0, 1], [0, 1]]), 0.95)
    assert (low[0], high[0]) == exact_interval(0.0, 2, 0.95, 0, 1)
    assert (low[1], high[1]) == exact_interval(0.5, 3, 0.95, 0, 1), "half of each prompt's responses"
    assert (low[2], high[2]) == (0.0, 0.2)
    assert list(ends[1]) == [0.2, 0.2, 0.2], "what was given stays as it was"


@given(st.integers(3, 60), st.integers(0, 2**32 - 1))
def test_the_interval_holds_the_mean_as_often_as_it_says(n, seed):
    """Prompts differ by 1, but for a share of -1 that is just large enough to be missed one time in forty."""
    share = 1 - 0.025 ** (1 / n)
    low, _ = exact_interval(1.0, n, 0.95, -1, 1)
    assert low == pytest.approx((1 - share) - share)
    assert (np.random.default_rng(seed).random((4000, n)) > share).all(axis=1).mean() == pytest.approx(0.025, abs=0.012)


def test_a_difference_that_is_rounding_alone_is_none():
    numerator, ones = np.array([[2.8e-17], [5.6e-17], [0.0]]), np.ones((3, 1))
    low, high = with_exact_ends(numerator, ones, (np.zeros(1), np.ones(1)), np.array([[-1, 1]]), 0.95)
    assert high[0] == pytest.approx(-low[0]) == pytest.approx(1 - 0.025 ** (1 / 3))
