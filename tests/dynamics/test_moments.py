"""The tests of means and variances are the textbook's."""

import numpy as np
import pytest

from tropism.dynamics.moments import compare_moments, moments_rows

A = np.array([27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4])
B = np.array([27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4])


def test_welch_and_variances_by_hand():
    """t = (mean difference) / sqrt(s1^2 / n + s2^2 / n), F = s1^2 / s2^2, Brown-Forsythe = ANOVA of |x - median|."""
    found = compare_moments(A, B)
    s1, s2 = A.var(ddof=1), B.var(ddof=1)
    assert found.welch_t == pytest.approx((A.mean() - B.mean()) / np.sqrt(s1 / 15 + s2 / 15))
    assert (round(found.welch_t, 2), round(found.welch_p, 3)) == (-2.46, 0.021), "as published with these numbers"
    assert found.variance_ratio == pytest.approx(s1 / s2)
    za, zb = np.abs(A - np.median(A)), np.abs(B - np.median(B))
    grand = np.concatenate([za, zb]).mean()
    between = 15 * ((za.mean() - grand) ** 2 + (zb.mean() - grand) ** 2)
    within = ((za - za.mean()) ** 2).sum() + ((zb - zb.mean()) ** 2).sum()
    assert found.brown_forsythe_f == pytest.approx(between / (within / 28))
    pooled = np.sqrt((s1 + s2) / 2)
    assert found.hedges_g == pytest.approx((A.mean() - B.mean()) / pooled * (1 - 3 / (4 * 28 - 1)))


def test_sign_of_the_ranks():
    up = compare_moments(A + 1.0, A)
    assert up.wilcoxon_rank_biserial == 1
    assert compare_moments(A, A + 1.0).wilcoxon_rank_biserial == -1
    same = compare_moments(A, A)
    assert np.isnan(same.wilcoxon_p)
    assert same.variance_p == pytest.approx(1)


def test_constant_outcomes_have_no_test():
    found = compare_moments(np.ones(5), np.ones(5))
    assert np.isnan(found.welch_p)
    assert np.isnan(found.variance_p)


def test_what_differs_by_rounding_alone_is_constant():
    found = compare_moments(np.full(6, 70.1) + np.arange(6) * 1e-14, np.full(6, 100 / 3))
    assert np.isnan([found.hedges_g, found.welch_p, found.variance_ratio]).all()
    even = compare_moments(np.array([0.0, 1, 0, 1]), np.array([0.0, 2, 0, 2]))
    assert np.isnan(even.brown_forsythe_p), "all as far from their medians: no spread to test by"
    assert np.isfinite(even.variance_p)


def test_holm_is_over_the_comparisons_of_a_test():
    rows = moments_rows({("a", "b", "margin", "d"): (A, B), ("a", "c", "margin", "d"): (A, A[::-1].copy())})
    smallest = rows["welch_p"].idxmin()
    assert rows.loc[smallest, "welch_p_holm"] == pytest.approx(2 * rows.loc[smallest, "welch_p"])
    assert (rows["welch_p_holm"] >= rows["welch_p"]).all()


def test_p_values_are_uniform_without_a_difference():
    p = [compare_moments(*np.random.default_rng(s).standard_normal((2, 30))) for s in range(300)]
    for name in ("welch_p", "variance_p", "brown_forsythe_p", "wilcoxon_p"):
        share = np.mean([getattr(one, name) < 0.1 for one in p])
        assert 0.05 < share < 0.16, name
