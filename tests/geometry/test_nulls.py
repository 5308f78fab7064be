"""Random Gram matrices have the distribution of random vectors, at a fraction of the numbers."""

import numpy as np
import pytest
from scipy.stats import beta, kstest
from threadpoolctl import threadpool_info, threadpool_limits

from tropism.config.geometry import AnalysisConfig
from tropism.geometry.compare import Vectors, null_values
from tropism.geometry.gram import gram_of
from tropism.geometry.nulls import HEAD, alike, generator, isotropic, roots_of, top_shares
from tropism.geometry.statistic import Statistic
from tropism.records.keyed import keyed_seed


def test_random_cosines_are_those_of_the_sphere():
    cosine = isotropic(3, 40, 4000, generator(0, "test"))[:, 0, 2]
    assert kstest(cosine**2, beta(0.5, 39 / 2).cdf).pvalue > 0.01


def test_in_4096_dimensions_a_random_cosine_is_about_0_016():
    cosine = isotropic(2, 4096, 4000, generator(0, "test"))[:, 0, 1]
    assert cosine.std() == pytest.approx(1 / 64, rel=0.05)


def test_more_directions_than_dimensions_stay_in_them():
    gram = isotropic(5, 2, 3, generator(0, "test"))
    assert np.linalg.matrix_rank(gram, tol=1e-8).tolist() == [2, 2, 2]


def test_directions_of_a_plane_give_random_directions_of_that_plane():
    vectors = np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]])
    gram = alike(roots_of(gram_of(vectors)), 3, 50, generator(0, "test"))
    assert np.linalg.matrix_rank(gram, tol=1e-8).tolist() == [2] * 50


def test_draws_with_the_vectors_second_moment_are_those_of_gaussian_sums_of_them():
    vectors = np.random.default_rng(0).standard_normal((4, 6)) * [3, 1, 1, 1, 1, 0.2]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    quick = alike(roots_of(gram_of(vectors)), 2, 4000, generator(0, "test"))[:, 0, 1]
    drawn = np.random.default_rng(1).standard_normal((4000, 2, 4)) @ vectors
    drawn /= np.linalg.norm(drawn, axis=2, keepdims=True)
    assert kstest(quick, (drawn[:, 0] * drawn[:, 1]).sum(1)).pvalue > 0.01


@pytest.mark.parametrize("kind", ["random", "covariance"])
def test_shares_without_the_matrix_are_those_of_the_matrix(kind):
    random = np.random.default_rng(0)
    vectors = random.standard_normal((60, 400)) + 2 * random.standard_normal(400)
    roots = roots_of(gram_of(vectors))
    quick = top_shares(kind, 60, 400, roots, 300, 0)
    make = generator(1, "direct")
    gram = isotropic(60, 400, 300, make) if kind == "random" else alike(roots, 60, 300, make)
    direct = np.linalg.eigvalsh(gram)[:, ::-1][:, :3] / 60
    assert quick.mean(0) == pytest.approx(direct.mean(0), rel=0.02)
    assert quick.std(0) == pytest.approx(direct.std(0), rel=0.25)


@pytest.mark.parametrize("common", [0, 4], ids=["no direction in common", "four directions in common"])
def test_shares_by_lanczos_are_the_eigenvalues_of_the_same_draw(common):
    random = np.random.default_rng(0)
    vectors = random.standard_normal((160, 400))
    vectors += 12 * random.standard_normal((160, common)) @ random.standard_normal((common, 400)) / 20
    roots = roots_of(gram_of(vectors))
    assert (roots[-1 - HEAD] < 0.5 * roots[-3]) == bool(common), "where the draw starts depends on it"
    found = top_shares("covariance", 160, 400, roots, 5, 0)
    for number, shares in enumerate(found):
        draw = np.random.Generator(np.random.SFC64(keyed_seed(0, "covariance", 160, "shares", number)))
        drawn = draw.standard_normal((160, len(roots)), dtype=np.float32) * roots[::-1].astype(np.float32)
        expected = np.linalg.eigvalsh(gram_of(drawn.astype(float)))[::-1][:3] / 160
        assert shares == pytest.approx(expected, rel=0.01)


def test_shares_by_lanczos_are_eigenvalues_where_these_lie_close():
    """No direction stands out, so that a search which ends early takes a smaller one for the third."""
    roots = np.r_[np.full(510, 0.49), np.ones(90)]
    found = top_shares("covariance", 600, 5000, roots, 3, 0)
    for number, shares in enumerate(found):
        draw = np.random.Generator(np.random.SFC64(keyed_seed(0, "covariance", 600, "shares", number)))
        drawn = draw.standard_normal((600, len(roots)), dtype=np.float32) * roots[::-1].astype(np.float32)
        expected = np.linalg.eigvalsh(gram_of(drawn.astype(float)))[::-1][:3] / 600
        assert shares == pytest.approx(expected, rel=1e-4)


def test_the_same_seed_gives_the_same_draws():
    assert np.array_equal(isotropic(3, 9, 5, generator(0, "a")), isotropic(3, 9, 5, generator(0, "a")))
    assert not np.array_equal(isotropic(3, 9, 5, generator(0, "a")), isotropic(3, 9, 5, generator(1, "a")))


def test_every_draw_is_summed_by_one_thread_whatever_else_is_drawn():
    """Sums by two threads have other last bits, and a limit that one task takes back would end another's."""
    seen = []

    def first(grams):
        seen.extend(entry["num_threads"] for entry in threadpool_info() if entry["user_api"] == "blas")
        return grams[:, 0, 1]

    gram = gram_of(np.random.default_rng(0).standard_normal((4, 20)))
    some = [Statistic("m", "n", "s", tuple(range(n)), first, ("first", n), "", "") for n in (3, 4)]
    with threadpool_limits(2, "blas"):
        null_values(some, Vectors(tuple("abcd"), gram, 20, None, 2), AnalysisConfig(nulls=100))
        assert {entry["num_threads"] for entry in threadpool_info() if entry["user_api"] == "blas"} == {2}
    assert set(seen) == {1}
