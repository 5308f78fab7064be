"""Features are ranked by their exact AUROC, for many labellings at once."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csc_matrix
from sklearn.metrics import accuracy_score, average_precision_score, brier_score_loss, roc_auc_score

from tropism.detect.ranking import aurocs, best_features, excess_ranks
from tropism.detect.scores import gain_interval, point_scores, ranking_intervals, weighted_aurocs, weighted_precisions

LEVELS = st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.0, 1.5])


def both(labels: np.ndarray) -> bool:
    return bool(0 < labels.sum() < len(labels))


@settings(deadline=None, max_examples=60)
@given(arrays(np.float64, (9, 4), elements=LEVELS), arrays(bool, 9).filter(both), arrays(bool, 9).filter(both))
def test_sparse_aurocs_are_those_of_sklearn_with_ties(values, first, second):
    found = aurocs(excess_ranks(csc_matrix(values)), np.array([first, second]))
    expected = [[roc_auc_score(labels, values[:, j]) for j in range(4)] for labels in (first, second)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_best_features_by_hand():
    labels = np.array([[True, True, False, False]])
    values = np.array([[1, 0, 0, 1], [0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 1, 0.0]])
    found = aurocs(excess_ranks(csc_matrix(values)), labels)
    assert found.tolist() == [[0.75, 0.5, 0.0, 1.0]]
    assert best_features(excess_ranks(csc_matrix(values)), labels, 3).tolist() == [[2, 3, 0]]


@settings(deadline=None, max_examples=60)
@given(
    arrays(np.float64, 12, elements=st.sampled_from([0.1, 0.3, 0.5, 0.9])),
    arrays(bool, 12).filter(both),
    arrays(np.int64, (3, 12), elements=st.integers(0, 3)),
)
def test_weighted_scores_are_those_of_repeated_responses(probabilities, labels, weights):
    scores = (weighted_aurocs, roc_auc_score), (weighted_precisions, average_precision_score)
    for weighted, plain in scores:
        for found, weight in zip(weighted(labels, probabilities, weights.astype(float)), weights, strict=True):
            repeated = np.repeat(labels, weight)
            if both(repeated):
                assert np.isclose(found, plain(repeated, np.repeat(probabilities, weight)))
            elif weighted is weighted_aurocs or not repeated.any():
                assert np.isnan(found)


def test_an_interval_is_wider_when_responses_to_a_prompt_repeat_one_another():
    draw = np.random.default_rng(0)
    labels = np.arange(60) % 2 == 0
    probabilities = np.clip(labels * 0.2 + draw.random(60) * 0.8, 0, 1)
    six = np.repeat(labels, 6), np.repeat(probabilities, 6)
    alone = ranking_intervals(labels, probabilities, np.arange(60), 1000, 1)
    repeated = ranking_intervals(*six, np.repeat(np.arange(60), 6), 1000, 1)
    pretended = ranking_intervals(*six, np.arange(360), 1000, 1)
    assert repeated == pytest.approx(alone, abs=0.02)
    for low, high in (("low", "high"), ("auprc_low", "auprc_high")):
        assert pretended[high] - pretended[low] < 0.6 * (repeated[high] - repeated[low])


def test_a_stretched_interval_lies_as_much_further_out_and_ends_with_the_scale():
    draw = np.random.default_rng(0)
    labels = np.arange(30) % 2 == 0
    given = labels, np.clip(labels * 0.3 + draw.random(30) * 0.7, 0, 1), np.arange(30), 1000, 1
    plain, wider, widest = (ranking_intervals(*given, stretch=stretch) for stretch in (1, 1.1, 50))
    own = {"": roc_auc_score(*given[:2]), "auprc_": average_precision_score(*given[:2])}
    for prefix, score in own.items():
        low = f"{prefix}low"
        assert score - wider[low] == pytest.approx(1.1 * (score - plain[low]))
        assert (widest[low], widest[f"{prefix}high"]) == (0, 1)


def test_a_gain_is_as_unsure_as_the_training_that_its_parts_had():
    draw = np.random.default_rng(0)
    ours, theirs = 0.7 + draw.normal(0, 0.02, 4000), 0.6 + draw.normal(0, 0.02, 4000)
    low, high = np.percentile(ours - theirs, [2.5, 97.5])
    assert gain_interval(ours, theirs, 0.1) == pytest.approx((low, high))
    wider = gain_interval(ours, theirs, 0.1, 2)
    assert wider == pytest.approx((0.1 - 2 * (0.1 - low), 0.1 + 2 * (high - 0.1)))


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=30), st.integers(1, 9))
def test_scores_are_scikit_learns(pairs, threshold):
    probabilities, labels = np.array([p / 6 for p, _ in pairs]), np.array([y for _, y in pairs])
    assume(labels.any() and not labels.all())
    found = point_scores(labels, probabilities, threshold / 10)
    assert found["auroc"] == pytest.approx(roc_auc_score(labels, probabilities))
    assert found["auprc"] == pytest.approx(average_precision_score(labels, probabilities))
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, probabilities >= threshold / 10))
    assert found["brier"] == pytest.approx(brier_score_loss(labels, probabilities))
