"""Effects are paired by prompt and held against their controls; plans choose and match as they say."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from statsmodels.stats.multitest import multipletests

from tropism.config.base import ConfigError
from tropism.config.steer import SteerConfig
from tropism.records.files import InputError
from tropism.sae.features import DictionaryKey, PartFeatures
from tropism.steer.effects import changes, effects
from tropism.steer.plan import Strengths, matched, targets, under_test

KEY = DictionaryKey("local", "toy/blocks.1.hook_resid_post", "ab" * 32, 1, 6)
CONFIG = SteerConfig(features=1, random=2, draws=200)


def outcomes(effect: dict[tuple[str, int], float], logp: float = 0.0, noise: float = 0.02, n: int = 10) -> pd.DataFrame:
    """Margins of ``n`` prompts at dose -1: 1 untouched, moved by ``effect`` and some noise; ``logp`` is its cost."""
    random = np.random.default_rng(0)
    rows = []
    for (kind, feature), moved in {("none", -1): 0.0, **effect}.items():
        for prompt in range(n):
            jitter = noise * random.standard_normal() if kind != "none" else 0.0
            for outcome, value in (("margin", 1 + prompt + moved + jitter), ("reference_logp", -2.0 + logp * moved)):
                rows.append(
                    {
                        "arm": "arm", "kind": kind, "feature": feature, "matched_to": -1 if kind == "none" else 3,
                        "peak": 1.0, "association": 1, "dose": 0.0 if kind == "none" else -1.0, "set": "s",
                        "prompt_id": f"p{prompt}", "domain": "d", "outcome": outcome, "value": value,
                        "edit_norm": 0.0 if kind == "none" else 2.0,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def run(effect: float, controls: tuple[float, float], **kwargs: float) -> pd.Series:
    moved = {("feature", 3): effect, ("random feature", 1): controls[0], ("random feature", 2): controls[1]}
    table = effects(outcomes(moved, **kwargs), KEY, [], CONFIG)
    [row] = [r for _, r in table.iterrows() if r["kind"] == "feature" and r["outcome"] == "margin"]
    return row


def test_by_hand():
    row = run(-1.0, (-0.2, 0.0), noise=0.0)
    assert (row["baseline"], row["value"]) == (pytest.approx(5.5), pytest.approx(4.5))
    assert row["change"] == pytest.approx(-1.0)
    assert (row["control_change"], row["control_min"], row["control_max"]) == pytest.approx((-0.1, -0.2, 0.0))
    assert row["excess"] == pytest.approx(-0.9)
    assert row["p"] == pytest.approx(2 / 2**10)  # all signs alike, of ten prompts
    assert row["verdict"] == "cause"


@pytest.mark.parametrize(
    ("effect", "controls", "logp", "verdict"),
    [
        (-1.0, (-0.1, 0.1), 0.0, "cause"),
        (-1.0, (-0.1, 0.1), 1.0, "damage"),  # the references lose a nat a token
        (-0.3, (-0.3, -0.3), 0.0, "not shown"),  # no more than its controls
        (-0.5, (-0.9, 0.3), 0.0, "not shown"),  # beyond their mean, but one control does more
        (1.0, (-0.1, 0.1), 0.0, "reversed"),
        (0.0, (0.0, 0.0), 0.0, "not shown"),
    ],
)
def test_verdicts(effect, controls, logp, verdict):
    assert run(effect, controls, logp=logp)["verdict"] == verdict


def test_controls_of_another_prompt_or_dose_do_not_count():
    table = changes(outcomes({("feature", 3): -1.0, ("random feature", 1): 0.5, ("random feature", 2): 0.5}))
    other = table.assign(matched_to=9, change=100.0)
    assert set(changes(outcomes({("feature", 3): -1.0, ("random feature", 1): 0.5}))["matched_to"]) == {3}
    assert other["control_change"].equals(table["control_change"])


def test_a_prompt_that_one_control_lacks_counts_for_none():
    """One control moves nothing, one 0.6, the feature 0.3: as much as they do, whichever prompts one of them lacks."""
    moved = {("feature", 3): 0.3, ("random feature", 1): 0.0, ("random feature", 2): 0.6}
    rows = outcomes(moved, noise=0.0)
    lacking = (rows["feature"] == 2) & rows["prompt_id"].isin([f"p{i}" for i in range(5)]) & (rows["kind"] != "none")
    table = effects(rows[~lacking], KEY, [], CONFIG)
    row = table[(table["kind"] == "feature") & (table["outcome"] == "margin")].iloc[0]
    assert (row["n_prompts"], row["control_change"], row["excess"]) == (5, pytest.approx(0.3), pytest.approx(0))


def test_an_arm_without_its_untouched_condition_is_refused():
    rows = outcomes({("feature", 3): -1.0, ("random feature", 1): 0.0})
    with pytest.raises(InputError, match="no untouched condition"):
        changes(rows[rows["kind"] != "none"])


def parts(values: list[list[float]]) -> PartFeatures:
    sparse = csr_matrix(np.array(values, np.float32))
    return PartFeatures(sparse, sparse, sparse, np.zeros((len(values), 2)), np.full(len(values), 5))


def test_strengths_by_hand():
    """A peak is typical of the responses that have the feature; a norm is the mean over all of them."""
    found = Strengths.measure(parts([[2.0, 0.0], [4.0, 0.0], [0.0, 0.0], [0.0, 1.0]]), np.array([0.5, 3.0]))
    assert found.active.tolist() == [2, 1]
    assert found.peak.tolist() == [3.0, 1.0]
    assert found.norm.tolist() == [6 / 4 * 0.5, 1 / 4 * 3.0]


@given(st.integers(0, 5), st.integers(2, 4), st.integers(0, 99))
def test_controls_are_distinct_active_and_near_in_norm(feature, count, seed):
    strengths = Strengths(np.full(40, 9), np.ones(40), np.exp(np.linspace(0, 4, 40)))
    chosen = matched(feature, [feature, 7], strengths, CONFIG.model_copy(update={"random": count, "seed": seed}))
    assert len(set(chosen)) == count
    assert not {feature, 7} & set(chosen)
    gaps = np.abs(np.log(strengths.norm / strengths.norm[feature]))
    eligible = sorted(gaps[i] for i in range(40) if i not in (feature, 7))
    assert max(gaps[chosen]) <= eligible[4 * count - 1] + 1e-9


def table_of(aurocs: list[float], is_global: list[bool]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "feature": range(len(aurocs)), "auroc": aurocs, "is_global": is_global, "domain": "all",
            "population": "references", "revision": KEY.revision,
        }
    )  # fmt: skip


def test_global_features_come_first_then_those_that_tell_most_on_either_side():
    table = table_of([0.9, 0.05, 0.6, 0.5], [False, False, True, False])
    assert under_test(table, KEY, CONFIG.model_copy(update={"features": 3}))["feature"].tolist() == [2, 1, 0]
    assert under_test(table, KEY, CONFIG.model_copy(update={"features": [3, 0]}))["feature"].tolist() == [3, 0]
    with pytest.raises(InputError, match="27355 not compared in `references`"):
        under_test(table, KEY, CONFIG.model_copy(update={"features": [27355]}))
    with pytest.raises(InputError, match="another dictionary"):
        under_test(table.assign(revision="cd" * 32), KEY, CONFIG)


def test_controls_add_vectors_of_the_same_norm_whatever_their_decoder_rows():
    norms = np.array([1.5, 2.0, 4.0, 0.5, 1.0, 3.0])
    values = [[2.0, 1, 1, 1, 1, 1], [4.0, 1, 1, 1, 1, 0]]
    table = table_of([0.1, 0.5, 0.5, 0.5, 0.5, 0.5], [False] * 6)
    plan = targets(table, KEY, parts(values), norms, CONFIG)
    assert [t.kind for t in plan] == ["feature", "random feature", "random feature", "mean difference"]
    assert plan[0].peak == pytest.approx(3.0)
    assert plan[0].association == -1
    for control in plan[1:3]:
        assert control.peak * norms[control.feature] == pytest.approx(1.5 * 3.0)
    assert plan[3].peak == pytest.approx(1.5 * 3.0), "the direction is of length 1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"doses": [0.0, -1.0]}, "not 0"),
        ({"doses": [1.0], "necessary": ["arm"]}, "negative dose"),
        ({"doses": [-1.0], "sufficient": ["base"]}, "positive dose"),
        ({"features": [-2]}, "indices from 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        SteerConfig.parse({**CONFIG.model_dump(), **change})


def test_what_any_edit_of_its_norm_would_do_is_no_cause():
    """Every edit lowers the margin by 1 for a unit of norm; the one under test is ten times as large as controls."""
    moved = {("feature", 3): -2.0, ("random feature", 1): -0.21, ("random feature", 2): -0.19}
    rows = outcomes(moved)
    rows.loc[rows["kind"] == "random feature", "edit_norm"] = 0.2
    table = effects(rows, KEY, [], CONFIG)
    [row] = [r for _, r in table.iterrows() if r["kind"] == "feature" and r["outcome"] == "margin"]
    assert row["control_norm"] == pytest.approx(0.2)
    assert row["control_change"] == pytest.approx(-2.0, abs=0.15)
    assert row["excess"] == pytest.approx(0.0, abs=0.15)
    assert row["verdict"] == "not shown"
    rows.loc[rows["kind"] == "random feature", "edit_norm"] = 0.0
    table = effects(rows, KEY, [], CONFIG)
    assert "cause" not in set(table["verdict"]), "controls that changed nothing control nothing"


def test_controls_of_another_norm_are_taken_at_that_of_the_edit_and_p_is_holms():
    moved = {
        ("feature", 3): -1.0,
        ("random feature", 1): -0.2,
        ("random feature", 2): 0.4,
        ("mean difference", 4): -0.3,
    }
    rows = outcomes(moved, noise=0.05)
    rows.loc[rows["kind"] == "random feature", "edit_norm"] = 1.0
    rows.loc[(rows["kind"] == "random feature") & (rows["feature"] == 2), "edit_norm"] = 3.0
    table = effects(rows, KEY, [], CONFIG)
    tested = table[(table["outcome"] == "margin") & (table["kind"] != "random feature")]
    row = tested[tested["kind"] == "feature"].iloc[0]
    assert row["control_norm"] == 2.0, "the mean of both, and the edit's own"
    rows.loc[rows["kind"] == "feature", "edit_norm"] = 4.0
    larger = effects(rows, KEY, [], CONFIG)
    scaled = larger[(larger["outcome"] == "margin") & (larger["kind"] == "feature")].iloc[0]
    for name in ("control_min", "control_max", "control_change"):
        assert scaled[name] == pytest.approx(2 * row[name])
    assert len(tested) == 2
    assert tested["p_holm"].to_numpy() == pytest.approx(multipletests(tested["p"], method="holm")[1])
    assert (tested["p_holm"] >= 2 * tested["p"].min()).all()


def test_no_change_is_no_cause_however_large_the_controls_are_scaled():
    """Controls a tenth as large move by 0.02: at this edit's norm that is 0.2, and nothing moves."""
    causes = 0
    for seed in range(6):
        random = np.random.default_rng(seed)
        rows = outcomes({("feature", 3): 0.0, ("random feature", 1): 0.02, ("random feature", 2): 0.02}, noise=0.0)
        rows.loc[rows["kind"] == "random feature", "edit_norm"] = 0.2
        moved = (rows["kind"] != "none") & (rows["outcome"] == "margin")
        rows.loc[moved, "value"] += 0.05 * random.standard_normal(moved.sum())
        table = effects(rows, KEY, [], CONFIG)
        causes += (table.loc[table["kind"] == "feature", "verdict"] == "cause").any()
    assert causes <= 1
