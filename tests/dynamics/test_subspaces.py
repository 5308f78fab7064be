"""Overlap of subspaces has its known values, and chance is what chance is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tropism.dynamics.subspaces import compare, cosine, leading, overlap, spectrum_overlaps, uniform_overlaps

random = np.random.default_rng


def test_analytic_overlaps():
    axes = np.eye(6)
    assert overlap(axes[:, :2], axes[:, :2]) == pytest.approx(1)
    assert overlap(axes[:, :2], axes[:, 2:4]) == pytest.approx(0)
    assert overlap(axes[:, :2], axes[:, 1:3]) == pytest.approx(0.5)
    tilted = np.array([[np.cos(np.pi / 3), 0, np.sin(np.pi / 3)], [0, 1, 0]]).T
    assert overlap(np.eye(3)[:, :2], tilted) == pytest.approx((0.25 + 1) / 2), "cos 60 = 1/2, cos 0 = 1"


def test_leading_directions_of_a_known_matrix():
    shifts = np.array([[3.0, 0, 0], [0, 2, 0], [0, 0, 1]])
    shifts = np.concatenate([shifts, -shifts])
    for shared in (0.0, 100.0):  # what all prompts share is no direction of theirs
        assert np.abs(leading(shifts + np.array([0, 0, shared]), 2)) == pytest.approx(np.eye(3)[:, :2])
    with pytest.raises(ValueError, match="5 directions"):
        leading(shifts, 5)
    with pytest.raises(ValueError, match="2 directions of 2 shifts"):
        leading(shifts[:2], 2)


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_a_rotation_changes_nothing(seed, k):
    generator = random(seed)
    one, other = generator.standard_normal((2, 12, 8))
    turn = np.linalg.qr(generator.standard_normal((8, 8)))[0]
    before = overlap(leading(one, k), leading(other, k))
    assert overlap(leading(one @ turn, k), leading(other @ turn, k)) == pytest.approx(before, abs=1e-9)
    assert 0 <= before <= 1 + 1e-12


def test_random_subspaces_overlap_by_k_over_width():
    chance = uniform_overlaps(np.eye(40)[:, :4], 400, random(0))
    assert chance.mean() == pytest.approx(4 / 40, rel=0.1)


def test_p_values_of_random_shifts_are_uniform_and_a_planted_subspace_is_found():
    p = []
    for seed in range(60):
        one, other = random(seed).standard_normal((2, 20, 30))
        basis = leading(one, 3)
        p.append(compare(overlap(basis, leading(other, 3)), uniform_overlaps(basis, 99, random(seed))).p)
    assert 0.35 < np.mean(p) < 0.65
    assert np.mean(np.array(p) <= 0.1) < 0.25
    common = random(7).standard_normal((3, 30)) * 10
    one, other = (random(s).standard_normal((20, 3)) @ common + random(s + 9).standard_normal((20, 30)) for s in (1, 2))
    basis = leading(one, 3)
    assert compare(overlap(basis, leading(other, 3)), uniform_overlaps(basis, 199, random(0))).p == pytest.approx(
        1 / 200
    )


def test_the_stricter_control_knows_that_few_directions_vary():
    """Activations that vary along one axis: any two sets of shifts made of them share it, which is no finding."""
    scale = np.array([50.0] + [1.0] * 29)
    states = random(0).standard_normal((60, 30)) * scale
    one, other = (random(s).standard_normal((20, 30)) * scale for s in (1, 2))
    basis = leading(one, 1)
    observed = overlap(basis, leading(other, 1))
    assert compare(observed, uniform_overlaps(basis, 199, random(3))).p < 0.01
    assert compare(observed, spectrum_overlaps(basis, states, 20, 199, random(3))).p > 0.05


def test_shifts_that_share_their_mean_alone_are_as_chance_has_them():
    scale = np.linspace(3, 0.1, 30)
    states = random(0).standard_normal((80, 30)) * scale
    p = []
    for seed in range(30):
        mean = random(seed).standard_normal(30) * 20
        one, other = (random(seed + start).standard_normal((20, 30)) * scale + mean for start in (100, 200))
        basis = leading(one, 4)
        chance = spectrum_overlaps(basis, states, 20, 99, random(seed))
        p.append(compare(overlap(basis, leading(other, 4)), chance).p)
    assert 0.3 < np.mean(p) < 0.7
    assert np.mean(np.array(p) <= 0.05) < 0.2


def test_cosine_of_nothing_is_missing():
    assert cosine(np.array([1.0, 1.0]), np.array([1.0, 0.0])) == pytest.approx(0.5**0.5)
    assert np.isnan(cosine(np.zeros(2), np.ones(2)))
