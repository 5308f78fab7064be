"""What departs first is told by intervals over prompts, and nothing departs where nothing changes but noise."""

import numpy as np
import pandas as pd
import pytest

from tropism.config.stats import StatsConfig
from tropism.dynamics.tables import EARLY_WARNING_SCHEMA
from tropism.dynamics.warning import KEY, warning_table

STATS = StatsConfig(draws=1000)
STEPS = (0, 2, 4, 8)


def rows(signal: str, feature: int, drift: dict[int, float], noise: float, seed: int) -> pd.DataFrame:
    """Sixteen prompts whose values at step 0 differ widely; each step adds its drift and some noise."""
    draw = np.random.default_rng(seed)
    start = draw.normal(size=16) * 10
    table = [
        ("arm", step, "legal", f"p{i:02d}", "legal", signal, feature, start[i] + drift.get(step, 0.0) + moved)
        for step in STEPS
        for i, moved in enumerate(draw.normal(size=16) * (noise if step else 0.0))
    ]
    return pd.DataFrame(table, columns=KEY)


def margins(drift: dict[int, float], noise: float = 0.1, seed: int = 0) -> pd.DataFrame:
    table = rows("margin", -1, drift, noise, seed).rename(columns={"value": "margin"})
    return table.drop(columns=["signal", "feature"]).assign(loss=2.0)


def test_the_detector_that_moves_before_the_margin_is_said_to():
    signals = pd.concat([
        rows("detector", -1, {4: 1.0, 8: 2.0}, 0.1, 1),
        rows("feature", 7, {2: -1.0, 4: -1.0, 8: -1.0}, 0.1, 2),
        rows("feature", 9, {}, 0.1, 3),
    ])  # fmt: skip
    table = EARLY_WARNING_SCHEMA.validate(warning_table(margins({8: 1.0}), signals, STATS))
    first = table.drop_duplicates(["signal", "feature"]).set_index(["signal", "feature"])["first_step"]
    assert first[("margin", -1)] == 8
    assert first[("detector", -1)] == 4
    assert first[("feature", 7)] == 2, "downwards is a departure too"
    assert pd.isna(first[("feature", 9)])
    last = table[(table["signal"] == "detector") & (table["step"] == 8)].iloc[0]
    assert last["change"] == pytest.approx(2.0, abs=0.1)
    assert (table["n_prompts"] == 16).all()


def test_on_noise_departures_are_as_rare_as_the_intervals_say():
    false = [
        warning_table(margins({}, 1.0, seed), pd.DataFrame(), StatsConfig(draws=400))["departs"].any()
        for seed in range(60)
    ]
    assert sum(false) <= 9, "5 % of 60, and the percentile interval of 16 prompts is somewhat narrow"


def test_intervals_hold_over_all_features_together():
    one = rows("feature", 7, {2: 1.0}, 1.0, 2)
    many = pd.concat([one, *(rows("feature", f, {}, 1.0, f) for f in range(10, 14))])
    alone, among = (
        warning_table(margins({}), signals, STATS).query("feature == 7 and step == 2").iloc[0]
        for signals in (one, many)
    )
    assert among["change"] == alone["change"]
    assert among["high"] - among["low"] > alone["high"] - alone["low"]
