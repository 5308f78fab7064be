"""A judge's error is measured as the formulas say."""

import numpy as np
import pytest

from tropism.judge.reliability import Predictions, accuracy_interval, calibration_error, reliability_rows


def test_calibration_error_by_hand():
    probability = np.array([0.05, 0.05, 0.95, 0.95])
    positive = np.array([False, True, True, True])
    # Bin 0: predicted .05, observed .5; bin 9: predicted .95, observed 1; each half of the rows.
    assert calibration_error(probability, positive) == pytest.approx(0.5 * 0.45 + 0.5 * 0.05)


def test_rows_by_hand():
    predictions = Predictions(
        head="alignment",
        evidence="cross-validation",
        probability=np.array([0.9, 0.2, 0.6, 0.7]),
        positive=np.array([True, False, True, False]),
        prompts=np.array(["a", "a", "b", "b"]),
        domains=np.array(["legal", "legal", "medical", "medical"]),
    )
    whole, legal, medical = reliability_rows(predictions, seed=0)
    assert [whole["domain"], legal["domain"], medical["domain"]] == ["all", "legal", "medical"]
    assert (whole["n"], whole["n_prompts"], whole["base_rate"]) == (4, 2, 0.5)
    assert whole["accuracy"] == 0.75
    assert whole["auroc"] == 0.75
    assert whole["brier"] == pytest.approx((0.01 + 0.04 + 0.16 + 0.49) / 4)
    assert (legal["accuracy"], legal["accuracy_low"], legal["accuracy_high"]) == (1, 1, 1)
    assert medical["auroc"] == 0


def test_one_class_has_no_auroc():
    arrays = np.array([0.4]), np.array([True]), np.array(["a"]), np.array(["legal"])
    assert reliability_rows(Predictions("alignment", "cross-validation", *arrays), seed=0)[0]["auroc"] is None


def test_the_interval_widens_when_answers_to_a_prompt_agree():
    rng = np.random.default_rng(0)
    correct = rng.random(100) < 0.7
    together = np.repeat(correct, 4)
    apart = accuracy_interval(together, np.arange(400), seed=0)
    clustered = accuracy_interval(together, np.repeat(np.arange(100), 4), seed=0)
    expected = 2 * 1.96 * np.sqrt(correct.mean() * (1 - correct.mean()) / 100)
    assert clustered[1] - clustered[0] == pytest.approx(expected, rel=0.1)
    assert (clustered[1] - clustered[0]) / (apart[1] - apart[0]) == pytest.approx(2, rel=0.1)
