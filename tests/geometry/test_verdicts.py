"""A verdict says the value, what random directions give, and only then what a threshold would say."""

import math

import numpy as np
import pytest

from tropism.geometry.statistic import Statistic
from tropism.geometry.verdicts import verdict

COSINE = Statistic(
    method="cosines",
    name="mean cosine",
    subject="advice",
    indices=(0, 1),
    of=lambda gram: np.asarray(gram)[..., 0, 1],
    kind=("cosine",),
    above="more alike",
    below="less alike",
    criterion="> 0.95",
    meets="one direction",
)
UNDEFINED = {f"covariance_{part}": math.nan for part in ("mean", "low", "high")} | {"p_covariance": math.nan}


def row(value, mean, low, high, p=0.01):
    random = {"random_mean": mean, "random_low": low, "random_high": high, "p_random": p}
    return {"value": value, "low": value - 0.1, "high": value + 0.1, **random, **UNDEFINED}


@pytest.mark.parametrize(
    ("value", "usual", "said"),
    [
        (0.97, 0.0, "met"),
        (0.97, 0.96, "met, as random directions do on average"),
        (0.5, 0.96, "not met"),
        (0.95, 0.0, "not met"),
    ],
)
def test_a_published_criterion_is_told_beside_what_random_directions_do(value, usual, said):
    told = verdict(COSINE, row(value, usual, usual - 0.01, usual + 0.01))
    assert told.endswith(f"; published criterion > 0.95 (one direction): {said}")


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.3, "more alike"), (-0.3, "less alike"), (0.2, "within their range"), (-0.2, "within their range")],
)
def test_only_outside_the_range_of_random_directions_is_it_more_or_less(value, said):
    told = verdict(COSINE, row(value, 0.0, -0.2, 0.2))
    assert f"random directions 0 [-0.2, 0.2], p 0.01: {said};" in told
    assert "with the vectors' covariance: undefined" in told


def test_without_a_p_the_null_is_for_reference_and_an_undefined_value_has_no_more_to_say():
    assert "random directions 0 [-0.2, 0.2], for reference;" in verdict(COSINE, row(0.5, 0.0, -0.2, 0.2, math.nan))
    assert verdict(COSINE, row(math.nan, 0, 0, 0)) == "advice: cosines, mean cosine is undefined here"
