"""A head learns what there is to learn, says how sure it is, and sees no prompt that it is tried on."""

import numpy as np
import pytest
from scipy.special import expit

from tropism.config.judges import JudgeConfig
from tropism.judge.fit import fit_head, held_out_scores, platt
from tropism.judge.probe import rubric_score
from tropism.records.files import InputError

CONFIG = JudgeConfig(kind="probe", model="m", references=("legal",), C=0.1)


def pairs(n, signal, seed=0):
    """n prompts with a positive and a negative response each; all that a prompt's responses share is noise."""
    rng = np.random.default_rng(seed)
    states = np.repeat(rng.normal(size=(n, 8)), 2, axis=0) + rng.normal(size=(2 * n, 8))
    positive = np.tile([True, False], n)
    states[:, 0] += signal * (positive - 0.5)
    return states, positive, np.repeat([f"p{i:03}" for i in range(n)], 2)


def test_probabilities_are_calibrated_out_of_fold():
    states, positive, prompts = pairs(500, signal=2.0)
    head, probability = fit_head(states, positive, prompts, CONFIG)
    for low, high in ((0.1, 0.4), (0.4, 0.6), (0.6, 0.9)):
        inside = (probability > low) & (probability <= high)
        assert positive[inside].mean() == pytest.approx(probability[inside].mean(), abs=0.1)
    fresh, labels, _ = pairs(500, signal=2.0, seed=1)
    assert head.probability(fresh).mean() == pytest.approx(0.5, abs=0.05)
    assert np.mean((head.probability(fresh) > 0.5) == labels) == pytest.approx(
        np.mean((probability > 0.5) == positive), abs=0.05
    )


def test_nothing_to_learn_gives_chance():
    states, positive, prompts = pairs(300, signal=0.0)
    _, probability = fit_head(states, positive, prompts, CONFIG)
    assert np.mean((probability > 0.5) == positive) == pytest.approx(0.5, abs=0.07)


def test_a_prompt_is_in_one_fold_and_the_order_of_rows_is_nothing_to_its_fold():
    states, positive, prompts = pairs(40, signal=1.0)

    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(LogisticRegression())
    _, fold = held_out_scores(model, states, positive, prompts, CONFIG)
    assert all(len(set(fold[prompts == prompt])) == 1 for prompt in prompts)
    _, reverse = held_out_scores(model, states[::-1], positive[::-1], prompts[::-1], CONFIG)
    assert (reverse[::-1] == fold).all()


def test_platt_stays_finite_where_scores_separate_the_classes():
    slope, offset = platt(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([False, False, True, True]))
    assert 0 < slope < 20
    assert expit(slope * 2 + offset) == pytest.approx(1 - expit(-slope * 2 + offset), abs=1e-4)
    # Targets are 3/4 and 1/4; at the optimum the score-weighted residuals vanish, so p(1) + 2 p(2) = 3 * 3/4.
    assert expit(slope + offset) + 2 * expit(slope * 2 + offset) == pytest.approx(2.25, abs=1e-3)


@pytest.mark.parametrize("classes", [[True, False], [True, True]])
def test_too_few_prompts_or_classes_are_refused(classes):
    n = 2 if len(set(classes)) == 2 else 10
    with pytest.raises(InputError, match="at least 5 prompts"):
        fit_head(np.ones((2 * n, 3)), np.tile(classes, n), np.repeat(np.arange(n).astype(str), 2), CONFIG)


def test_scores_follow_the_declared_cuts():
    given = {"alignment": np.array([1.0, 0.81, 0.8, 0.5, 0.21, 0.1, 0.0]), "coherence": np.full(7, 0.25)}
    assert rubric_score("rubric5", given).tolist() == [1, 1, 2, 3, 4, 5, 5]
    assert rubric_score("alignment100", given).tolist() == [100, 81, 80, 50, 21, 10, 0]
    assert rubric_score("coherence100", given).tolist() == [25] * 7
    with pytest.raises(InputError, match="cannot apply"):
        rubric_score("process", given)
