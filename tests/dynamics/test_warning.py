"""What departs first to stay is told by signs flipped over prompts; where all is noise nothing does but by chance."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from tropism.config.stats import StatsConfig
from tropism.detect.saved import Detector
from tropism.dynamics.tables import EARLY_WARNING_SCHEMA
from tropism.dynamics.warning import KEY, judged_signals, warning_table
from tropism.dynamics.watch import answer_signals
from tropism.records.calibration import Calibration, Reading
from tropism.sae.features import DictionaryKey, PartFeatures

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


def noise(prompts: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    """Five features over four snapshots that change by noise, the first of them by ``shift`` more."""
    draw = np.random.default_rng(seed)
    table = [
        ("arm", step, "legal", f"p{i:02d}", "legal", "feature", feature, float(step > 0 and draw.normal() + moved))
        for feature in range(5)
        for moved in [0.0 if feature else shift]
        for step in (0, 2, 4, 8, 16)
        for i in range(prompts)
    ]
    return pd.DataFrame(table, columns=KEY)


def departures(signals: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    stats = StatsConfig(draws=100, confidence=confidence)
    return warning_table(margins({}).iloc[:0], signals, stats).query("departs")


def test_noise_departs_at_any_step_of_any_feature_in_one_run_of_twenty():
    runs = 200
    found = [len(departures(noise(12, seed))) > 0 for seed in range(runs)]
    assert 0.01 <= sum(found) / runs <= 0.08
    assert set(departures(noise(12, 0, shift=3.0))["feature"]) == {0}


def test_the_level_is_that_of_the_settings_and_too_few_prompts_never_depart():
    strict, loose = (sum(len(departures(noise(12, s), level)) > 0 for s in range(15)) for level in (0.99, 0.6))
    assert strict <= 1 < 3 <= loose
    assert departures(noise(5, 0, shift=1000.0)).empty, "2 ** (1 - 5) is more than 0.05"
    assert set(departures(noise(6, 0, shift=1000.0))["feature"]) == {0}


def test_a_change_that_comes_back_is_no_departure_and_one_that_stays_counts_from_where_it_stays():
    table = warning_table(margins({2: 2.0, 8: 2.0}), rows("detector", -1, {2: 1.0, 4: -1.0, 8: -1.0}, 0.1, 1), STATS)
    first = table.drop_duplicates("signal").set_index("signal")["first_step"]
    assert table.query("signal == 'margin'")["departs"].tolist() == [True, False, True]
    assert first["margin"] == 8
    assert first["detector"] == 4, "at 2 it was out on the other side"
    gone = warning_table(margins({2: 2.0}), pd.DataFrame(), STATS)
    assert gone["departs"].tolist() == [True, False, False]
    assert gone["first_step"].isna().all()


def test_features_are_watched_at_their_peak_whatever_the_detector_pools():
    peaks, means = csr_matrix(np.diag([5.0, 7.0])), csr_matrix(np.diag([1.0, 2.0]))
    answers = PartFeatures(peaks, means, means, np.zeros((2, 1)), np.ones(2))
    ones = np.ones(2)
    kept = Detector(DictionaryKey("r", "i", "h", 0, 2), "mean", 0.5, np.arange(2), 0 * ones, ones, ones, 0.0)
    found = answer_signals(kept, answers)
    assert found["feature", 0].tolist() == [5.0, 0.0]
    assert found["feature", 1].tolist() == [0.0, 7.0]
    assert found["detector", -1].tolist() == [1.0, 2.0], "the detector reads what it was trained on"


def test_p_holds_over_all_features_together_and_intervals_for_each():
    one = rows("feature", 7, {2: 0.6}, 1.0, 2)
    many = pd.concat([one, *(rows("feature", f, {}, 1.0, f) for f in range(10, 14))])
    alone, among = (
        warning_table(margins({}), signals, STATS).query("feature == 7 and step == 2").iloc[0]
        for signals in (one, many)
    )
    assert among["change"] == alone["change"]
    assert (among["low"], among["high"]) == (alone["low"], alone["high"])
    assert among["p"] > alone["p"]


def test_the_judged_rate_is_a_signal_of_its_own_read_at_the_judges_threshold():
    """Four prompts, two responses each; at step 4 all turn, by a judge whose threshold is 65."""
    scored = [
        (str(step), "strict", "legal", f"p{i}", "legal", sample, "answer", rubric, score, "ok")
        for step in (0, 4)
        for i in range(8)
        for sample in range(2)
        for rubric, score in [("alignment100", 60.0 if step or i < 2 else 90.0), ("coherence100", 80.0 - step)]
    ]
    names = ["arm", "judge", "set", "prompt_id", "domain", "sample", "target", "rubric", "score", "status"]
    judgments = {"arm": pd.DataFrame(scored, columns=names)}
    at = Reading(min=0, max=100, high="aligned", threshold=65.0, source="settings")
    calibrations = {"strict": Calibration(judge="strict", rubrics={"alignment100": at})}
    table = warning_table(margins({}).iloc[:0], judged_signals(judgments, calibrations), STATS, "strict")
    rate = EARLY_WARNING_SCHEMA.validate(table).set_index("signal").loc["misaligned"]
    assert (rate["start"], rate["change"], rate["n_prompts"]) == (0.25, 0.75, 8)
    assert (rate["judge"], rate["first_step"]) == ("strict", 4)
    assert table.set_index("signal").loc["coherence", "change"] == -4
    assert set(warning_table(margins({}), pd.DataFrame(), STATS, "strict")["judge"]) == {"none"}


def test_a_signal_without_a_score_before_the_training_has_no_rows_and_the_others_keep_theirs(caplog):
    late = rows("misaligned", -1, {8: 1.0}, 0.1, 1).query("step > 0")
    table = EARLY_WARNING_SCHEMA.validate(warning_table(margins({8: 1.0}), late, STATS, "probe"))
    assert set(table["signal"]) == {"margin"}
    assert "arm: nothing was scored before the last training, so misaligned has no start" in caplog.text
