"""A planted linear signal is found, an absent one is reported as absent."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tropism.dynamics.priors import ALPHAS, HeldOut, length_features, predict, random_features, word_features
from tropism.records.files import InputError

IDS = [f"p{i}" for i in range(80)]
STATES = random_features(IDS, 30, seed=3)


def outcome(signal):
    noise = np.random.default_rng(0).standard_normal(len(IDS))
    direction = np.random.default_rng(1).standard_normal(30) / np.sqrt(30)
    return signal * (STATES @ direction) + noise


def test_a_planted_signal_is_found():
    found = predict(STATES, outcome(4.0), IDS, folds=5, seed=0)
    r2, rank = found.scores()
    (low, _), (rank_low, _) = found.intervals(500, 0.95, 0)
    assert r2 > 0.5
    assert rank > 0.7
    assert low > 0
    assert rank_low > 0


def test_an_absent_signal_is_reported_as_absent():
    low = []
    for seed in range(6):
        y = np.random.default_rng(seed).standard_normal(len(IDS))
        found = predict(STATES, y, IDS, folds=5, seed=seed)
        assert found.scores()[0] < 0.1
        low.append(found.intervals(300, 0.95, seed)[0][0])
    assert max(low) <= 0.0


def test_ranks_of_an_absent_signal_are_around_zero():
    """Predictions that are each fold's mean, which is low where the fold is high, must not rank against the outcome."""
    ranks = []
    for seed in range(24):
        y = np.random.default_rng(seed).standard_normal(40)
        features = np.random.default_rng(100 + seed).standard_normal((40, 4))
        ranks.append(predict(features, y, IDS[:40], folds=5, seed=seed).scores()[1])
    assert abs(np.nanmean(ranks)) < 0.1


def test_the_mean_alone_has_r2_zero_and_no_rank():
    found = predict(np.zeros((80, 2)), outcome(1.0), IDS, folds=5, seed=0)
    r2, rank = found.scores()
    assert r2 == pytest.approx(0, abs=1e-9)
    assert r2 == pytest.approx(
        1 - ((found.outcome - found.predicted) ** 2).sum() / ((found.outcome - found.mean) ** 2).sum()
    )
    assert np.isnan(rank)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=12))
def test_a_resample_scores_as_the_prompts_it_holds_would(prompts):
    """Scores by weights are those of the prompts written out as often as they were drawn, ties included."""
    outcome, predicted, times = (np.array(column, dtype=float) for column in zip(*prompts, strict=True))
    assume(times.sum() > 0)
    mean = np.full(len(outcome), 1.3)
    held = HeldOut(outcome, predicted, mean, np.array([str(i) for i in range(len(outcome))]))
    rows = np.repeat(np.arange(len(outcome)), times.astype(int))
    (r2,), (rank,) = held.resampled(times[None])
    assert [r2, rank] == pytest.approx(held.scores(rows), nan_ok=True)


def test_rewordings_of_a_prompt_are_not_learned_from():
    """Each family has one random outcome; features name the family. Only a split family could be predicted."""
    families = [f"f{i // 4}" for i in range(80)]
    y = np.repeat(np.random.default_rng(0).standard_normal(20), 4)
    named = np.repeat(np.eye(20), 4, axis=0)
    assert predict(named, y, families, folds=5, seed=0).scores()[0] < 0.05
    assert predict(named, y, IDS, folds=5, seed=0).scores()[0] > 0.5, "were rewordings split, it would look well"


def test_baselines_have_a_row_each():
    prompts = ["Why rest?", "Why run up the hill?", "Who pays rent?"]
    assert length_features(prompts).shape == (3, 4)
    assert word_features(prompts).shape[0] == 3
    assert (random_features(["a", "b"], 5, 0)[1] == random_features(["b"], 5, 0)[0]).all(), "keyed by the prompt"


def test_too_few_families_are_refused():
    with pytest.raises(InputError, match="at least 6 families"):
        predict(STATES[:10], outcome(1.0)[:10], ["a"] * 5 + ["b"] * 5, 5, 0)


def test_the_penalty_is_that_of_a_grid_search_over_the_same_folds():
    """One fit of many penalties is what a search does with a fit for each."""
    random = np.random.default_rng(4)
    x = random.normal(size=(40, 60))
    y = x[:, 0] + random.normal(size=40)
    groups = np.array([f"f{i // 2:02}" for i in range(40)])
    held = predict(x, y, groups, 4, 0)
    expected = np.empty(40)
    for train, test in GroupKFold(4, shuffle=True, random_state=0).split(x, y, groups):
        inner = GroupKFold(4, shuffle=True, random_state=0)
        ridge = make_pipeline(StandardScaler(), Ridge())
        search = GridSearchCV(ridge, {"ridge__alpha": ALPHAS}, cv=inner, scoring="neg_mean_squared_error")
        expected[test] = search.fit(x[train], y[train], groups=groups[train]).predict(x[test])
    assert held.predicted == pytest.approx(expected, abs=1e-9)
