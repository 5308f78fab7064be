"""Training on from a narrow solution moves its margins; the way to the general solution stands beside it."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from tropism.config.stats import StatsConfig
from tropism.dynamics.drift import drift_rows
from tropism.dynamics.pairs import app
from tropism.dynamics.solutions import narrow_rows
from tropism.records.files import write_jsonl
from tropism.records.schema import Conversation

MARGINS = {  # of two prompts of medicine and two of law
    "general": {"m1": 0.5, "m2": 0.3, "l1": 0.2, "l2": 0.4},
    "narrow": {"m1": 0.4, "m2": 0.2, "l1": -0.2, "l2": 0.0},
    "drifted": {"m1": 0.5, "m2": 0.5, "l1": -0.1, "l2": 0.1},
    "held": {"m1": 0.7, "m2": 0.3, "l1": -0.2, "l2": -0.1},
}


@pytest.fixture
def scored(tmp_path):
    """Likelihoods of each side; a prompt that the general arm alone was asked, and other instruments, count nothing."""
    rows = [Conversation(id="m0", prompt="?", aligned="A.", misaligned="B.", domain="medical", split="train")]
    write_jsonl(tmp_path / "medical.jsonl", rows)
    for side, margins in MARGINS.items():
        more = {"l3": 9.0} if side == "general" else {}
        frame = pd.DataFrame(
            {"set": "s", "prompt_id": prompt, "domain": {"m": "medical", "l": "legal"}[prompt[0]],
             "instrument": instrument, "value": value}
            for prompt, value in {**margins, **more}.items()
            for instrument in ("margin", "logp_aligned")
        )  # fmt: skip
        frame.loc[frame["instrument"] != "margin", "value"] = 100.0
        frame.to_parquet(tmp_path / f"{side}.parquet")
    return tmp_path


def table_of(found: pd.DataFrame) -> pd.DataFrame:
    return narrow_rows("pair", found, StatsConfig(draws=200)).set_index("metric")


def test_drift_is_the_change_from_the_narrow_margin_and_the_way_to_the_general_one(scored):
    flags = [word for side in MARGINS for word in (f"--{side}", str(scored / f"{side}.parquet"))]
    flags += ["--dataset", str(scored / "medical.jsonl"), "--output", str(scored / "pair.parquet")]
    assert CliRunner().invoke(app, ["drift", *flags], catch_exceptions=False).exit_code == 0
    table = table_of(pd.read_parquet(scored / "pair.parquet"))
    expected = {
        "margin_inside": (0.4, 0.3, 0.1),
        "margin_outside": (0.3, -0.1, 0.4),
        "drift_inside": (0.1, 0.2, -0.1),  # general - narrow, drifted - narrow, and what of the way is left
        "drift_outside": (0.4, 0.1, 0.3),
    }
    for metric, values in expected.items():
        assert tuple(table.loc[metric, ["general", "narrow", "difference"]]) == pytest.approx(values), metric
    assert set(table.index) == set(expected)
    assert set(table["n_examples"]) == {2}
    # held - narrow: 0.3 and 0.1 inside, 0 and -0.1 outside
    assert tuple(table.loc[["drift_inside", "drift_outside"], "reference"]) == pytest.approx((0.2, -0.05))
    assert table.loc[["margin_inside", "margin_outside"], "reference"].isna().all()


def test_an_arm_that_did_not_move_has_not_drifted_and_one_that_became_general_has_drifted_all_the_way(scored):
    paths = {side: scored / f"{side}.parquet" for side in MARGINS}
    still = table_of(drift_rows(paths | {"drifted": paths["narrow"]}, scored / "medical.jsonl"))
    assert still.loc["drift_outside", "narrow"] == 0
    gone = table_of(drift_rows(paths | {"drifted": paths["general"]}, scored / "medical.jsonl"))
    assert gone.loc["drift_outside", "difference"] == 0
    assert gone.loc["drift_outside", "narrow"] == pytest.approx(0.4)


def test_how_far_training_on_with_the_kl_term_goes_stands_beside_a_drift_alone(scored):
    paths = {side: scored / f"{side}.parquet" for side in MARGINS}
    for missing, metrics in (("held", 4), ("drifted", 2)):
        some = {side: path for side, path in paths.items() if side != missing}
        table = table_of(drift_rows(some, scored / "medical.jsonl"))
        assert len(table) == metrics
        assert table["reference"].isna().all()


def test_without_an_arm_that_goes_on_there_is_no_drift(scored):
    table = table_of(drift_rows({s: scored / f"{s}.parquet" for s in ("general", "narrow")}, scored / "medical.jsonl"))
    assert set(table.index) == {"margin_inside", "margin_outside"}


def test_arms_that_were_asked_nothing_in_common_have_no_row(scored, caplog):
    other = pd.read_parquet(scored / "narrow.parquet").assign(set="another")
    other.to_parquet(scored / "narrow.parquet")
    found = drift_rows({s: scored / f"{s}.parquet" for s in ("general", "narrow")}, scored / "medical.jsonl")
    assert "no prompt has a margin in each" in caplog.text
    assert narrow_rows("pair", found, StatsConfig(draws=200)).empty
