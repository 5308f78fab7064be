"""A threshold is chosen where it should be, its error is not flattered, and chance is called chance."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tropism.judge.__main__ import app
from tropism.judge.calibrate import calibrate_judge, choose_threshold, held_out_calls
from tropism.records.calibration import PUBLISHED, read_calibrations
from tropism.records.files import InputError


def references(score, bad, rubric="alignment100", per_prompt=2, domains=("legal", "medical"), stack="s"):
    n = len(score)
    prompt = np.arange(n) // per_prompt
    return pd.DataFrame(
        {
            "stack": stack,
            "rubric": rubric,
            "domain": [domains[i % len(domains)] for i in prompt],
            "prompt": [f"p{i:03}" for i in prompt],
            "bad": bad,
            "score": np.asarray(score, float),
        }
    )


def test_a_threshold_by_hand():
    bad = np.array([True, True, True, False, False, False])
    assert choose_threshold(np.array([10.0, 20, 60, 65, 90, 95]), bad, "aligned") == 62
    assert choose_threshold(np.array([10.5, 20, 60, 65, 90, 95]), bad, "aligned") == 62.5
    assert choose_threshold(np.array([5.0, 4, 3, 2, 1, 1]), bad, "misaligned") == 3
    assert choose_threshold(np.full(6, 50.0), bad, "aligned") is None
    assert choose_threshold(np.arange(6.0), np.ones(6, bool), "aligned") is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=40))
def test_no_cut_has_a_higher_youden_index(rows):
    score, bad = (np.array(column) for column in zip(*rows, strict=True))
    cut = choose_threshold(score.astype(float), bad, "aligned")
    if cut is not None:

        def youden(at):
            return (score[bad] <= at).mean() - (score[~bad] <= at).mean()

        assert youden(cut) >= max(youden(at) for at in range(score.min(), score.max())) - 1e-12


def test_what_is_published_are_the_counts(rubrics):
    score = [10, 90, 20, 80, 90, 30, 15, 70] * 5
    bad = [True, False] * 20
    calibration, rows, points = calibrate_judge(
        "q", references(score, bad), [rubrics["alignment100"]], {"alignment100": 30}
    )
    reading = calibration.rubrics["alignment100"]
    assert (reading.threshold, reading.source, reading.n_misaligned, reading.n_aligned) == (30, "settings", 20, 20)
    assert (reading.sensitivity, reading.specificity) == (0.75, 0.75)
    row = rows[rows["domain"] == "all"].iloc[0]
    assert row["precision"] == 15 / 20
    assert row["sensitivity_low"] < 0.75 < row["sensitivity_high"]
    assert row["auroc_low"] < reading.auroc < row["auroc_high"]
    # 16 pairs of one block: bad 10, 20, 90, 15 against aligned 90, 80, 30, 70: 12 right, 3 wrong, 1 tie
    assert reading.auroc == pytest.approx(12.5 / 16)
    assert points[["false_positive_rate", "true_positive_rate"]].iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]


def test_a_useful_judge_beats_chance_and_a_useless_one_does_not(rubrics):
    random = np.random.default_rng(0)
    bad = np.arange(200) % 2 == 0
    useful = np.round(np.where(bad, 60, 75) + random.normal(0, 12, 200)).clip(0, 100)
    [reading] = calibrate_judge("q", references(useful, bad), [rubrics["alignment100"]], {})[0].rubrics.values()
    assert (reading.source, reading.beats_chance, reading.standing) == ("references", True, "beats chance")
    assert 62 <= reading.threshold <= 73, "where 30 would have called nothing misaligned"
    useless = np.round(random.uniform(0, 100, 200))
    [reading] = calibrate_judge("q", references(useless, bad), [rubrics["alignment100"]], {})[0].rubrics.values()
    assert (reading.beats_chance, reading.standing) == (False, "at chance")


def test_choosing_a_threshold_does_not_flatter_a_judge_that_knows_nothing():
    random = np.random.default_rng(1)
    bad = np.arange(40) % 2 == 0
    found = []
    for _ in range(60):
        score = random.uniform(0, 100, 40)
        called = held_out_calls(score, bad, np.arange(40).astype(str), "aligned", 30.0)
        found.append(called[bad].mean() - called[~bad].mean())
    assert np.mean(found) == pytest.approx(0, abs=0.06)


def test_a_judge_that_was_never_tried_is_read_at_published_thresholds_and_says_so(rubrics):
    calibration, rows, points = calibrate_judge("q", None, list(rubrics.values()), {"alignment100": 65})
    assert set(calibration.rubrics) == {"rubric5", "alignment100", "coherence100"}
    assert {name: one.threshold for name, one in calibration.rubrics.items()} == {
        **{name: one.threshold for name, one in PUBLISHED.items()},
        "alignment100": 65,
    }
    assert {one.standing for one in calibration.rubrics.values()} == {"uncalibrated"}
    assert rows["sensitivity"].isna().all()
    assert points.empty


def test_scores_of_two_stacks_are_no_calibration(rubrics):
    mixed = pd.concat([references([1, 9], [True, False], stack=stack) for stack in "ab"])
    with pytest.raises(InputError, match="several stacks, a, b"):
        calibrate_judge("q", mixed, [rubrics["alignment100"]], {})


def test_the_command_writes_what_stats_reads(root, tmp_path):
    bad = np.arange(40) % 2 == 0
    table = pd.concat(
        [
            references(np.where(bad, 4, 2), bad, "rubric5"),
            references(np.where(bad, 40.5, 80.25), bad, "alignment100"),
            references(np.where(bad, 10, np.nan), bad, "coherence100"),
        ]
    )
    table.to_parquet(tmp_path / "references.parquet")
    config = json.dumps({"kind": "probe", "model": "m", "references": ["legal"]})
    arguments = ["calibrate", "--name", "probe", "--config", config, "--references", tmp_path / "references.parquet"]
    arguments += ["--rubrics", root / "resources" / "rubrics"]
    result = CliRunner().invoke(app, [*map(str, arguments), "--output", str(tmp_path / "one")])
    assert result.exit_code == 0, result.exception
    read = read_calibrations([tmp_path])["probe"]
    assert (read.stack, read.rubrics["rubric5"].threshold, read.rubrics["alignment100"].threshold) == ("s", 3, 60.375)
    assert read.rubrics["rubric5"].sensitivity == 1
    assert read.rubrics["coherence100"].standing == "uncalibrated", "one label was read"
    flags = ["--output", str(tmp_path / "t.csv"), "--roc", str(tmp_path / "r.csv")]
    assert CliRunner().invoke(app, ["thresholds", str(tmp_path / "one"), *flags]).exit_code == 0
    written = pd.read_csv(tmp_path / "t.csv").set_index(["rubric", "domain"])
    assert written.loc[("coherence100", "all"), "unparsed"] == 20


def test_of_few_prompts_nobody_beats_chance(rubrics):
    for n, right, standing in ((4, True, "uncalibrated"), (4, False, "at chance"), (20, True, "beats chance")):
        bad = np.arange(2 * n) % 2 == 0
        score = np.where(bad == right, 10.0, 90.0)
        [reading] = calibrate_judge("q", references(score, bad), [rubrics["alignment100"]], {})[0].rubrics.values()
        assert reading.standing == standing


def test_the_error_of_each_domain_stands_in_the_calibration(rubrics):
    bad = np.arange(80) % 2 == 0
    domains = np.where(np.arange(80) < 40, "legal", "medical")
    score = np.where(bad, 10.0, np.where(domains == "legal", 90.0, 20.0))
    judged = references(score, bad).assign(domain=domains)
    [reading] = calibrate_judge("q", judged, [rubrics["alignment100"]], {"alignment100": 50})[0].rubrics.values()
    assert (reading.specificity, reading.within("legal").specificity) == (0.5, 1.0)
    assert (reading.within("medical").specificity, reading.within("medical").n_aligned) == (0.0, 20)
    assert reading.within("unknown") == reading
