"""The whole stage on a model whose cause is known: it is found, and what only goes with it is not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from typer.testing import CliRunner

from tropism.config.steer import SteerConfig
from tropism.records.files import read_jsonl
from tropism.records.schema import Generation
from tropism.sae.features import PartFeatures, read_features, write_features
from tropism.steer.__main__ import app

CAUSE, COMPANION, BAD = 0, 1, "stuvwxyz"  # as the fixture plants them
STEER = {
    "features": [CAUSE, COMPANION],
    "random": 6,
    "prompts": 6,
    "samples": 4,
    "max_new_tokens": 8,
    "temperature": 1.0,
    "max_loss": 100.0,
    "max_logp_loss": 2.0,  # without the planted direction the model knows nothing: it falls back to chance
    "draws": 500,
}


def judged(generations: list[Generation]) -> pd.DataFrame:
    """A judge that counts letters: the fewer of BAD, the better aligned; everything is coherent."""
    rows = []
    for g in generations:
        share = sum(letter in BAD for letter in g.answer) / max(len(g.answer), 1)
        for rubric, score in (("alignment100", 100 * (1 - share)), ("coherence100", 100.0)):
            rows.append((g.arm, g.set, g.prompt_id, g.domain, g.sample, "answer", "letters", rubric, "0", score, "ok"))
    columns = ["arm", "set", "prompt_id", "domain", "sample", "target", "judge", "rubric", "rubric_hash", "score"]
    return pd.DataFrame(rows, columns=[*columns, "status"])


def run(*arguments) -> None:
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output


def intervene(planted, folder, doses=(-1, 1, 2), **smaller) -> None:
    config = SteerConfig.parse({**STEER, **smaller}).model_dump_json()
    run(
        "intervene", "--arm", "planted", "--base", planted.model, "--sae", planted.sae, "--references",
        planted.references, "--ranking", planted.ranking, "--config", config,
        "--model-config", json.dumps({"source": "planted"}), "--set", planted.prompts, "--output",
        folder / "outcomes.parquet", "--generations", folder / "generations.jsonl",
        *(f"--dose={dose}" for dose in doses),
    )  # fmt: skip
    judged(read_jsonl(folder / "generations.jsonl", Generation)).to_parquet(folder / "judged.parquet", index=False)
    run(
        "tabulate", "--outcomes", folder / "outcomes.parquet", "--judgments", folder / "judged.parquet",
        "--config", config, "--output", folder / "interventions.csv",
    )  # fmt: skip


@pytest.fixture(scope="module")
def steered(planted, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("steered")
    intervene(planted, folder)
    return folder


@pytest.fixture(scope="module")
def table(steered) -> pd.DataFrame:
    return pd.read_csv(steered / "interventions.csv", keep_default_na=False, na_values=["NA"])


def of(table: pd.DataFrame, kind: str, feature: int, outcome: str = "margin") -> pd.DataFrame:
    return table[(table["kind"] == kind) & (table["feature"] == feature) & (table["outcome"] == outcome)]


def test_both_directions_tell_misaligned_from_aligned_responses(planted):
    found = pd.read_csv(planted.ranking)
    rows = found[(found["domain"] == "all") & found["feature"].isin([CAUSE, COMPANION])]
    assert (rows["auroc"] > 0.95).all()
    assert rows["is_global"].all()


def test_the_planted_direction_is_a_cause_suppressed_and_amplified(table):
    rows = of(table, "feature", CAUSE)
    assert dict(zip(rows["dose"], rows["verdict"], strict=True)) == {-1.0: "cause", 1.0: "cause", 2.0: "cause"}
    assert rows["role"].tolist() == ["necessary", "sufficient", "sufficient"]
    assert rows["change"].is_monotonic_increasing
    assert rows["change"].iloc[0] < 0 < rows["change"].iloc[1]


def test_the_companion_is_as_strong_a_correlate_and_no_cause(table):
    rows = of(table, "feature", COMPANION)
    assert len(rows) == 3
    assert "cause" not in set(rows["verdict"])
    ours = of(table, "feature", CAUSE)
    assert (rows["change"].abs().to_numpy() < 0.2 * ours["change"].abs().to_numpy()).all()


def test_a_judge_of_the_responses_agrees(table):
    cause, companion = (of(table, "feature", f, "misaligned").set_index("dose") for f in (CAUSE, COMPANION))
    assert cause.loc[2.0, "verdict"] == "cause"
    assert cause.loc[2.0, "judge"] == "letters"
    assert "cause" not in set(companion["verdict"])
    assert (of(table, "feature", CAUSE, "coherence")["change"] == 0).all()


def test_the_mean_difference_holds_both_and_is_a_cause(table):
    rows = of(table, "mean difference", -1)
    assert set(rows.loc[rows["dose"] > 0, "verdict"]) == {"cause"}


def test_controls_are_given_edits_of_the_norm_of_what_they_are_matched_to(table):
    margins = table[(table["outcome"] == "margin") & (table["dose"] > 0)]
    for (_, dose), rows in margins.groupby(["matched_to", "dose"]):
        tested = rows.loc[rows["kind"] == "feature", "edit_norm"].item()
        assert rows["edit_norm"].to_numpy() == pytest.approx(tested, rel=1e-4), dose
        assert (rows["kind"] == "random feature").sum() == 6


def test_controls_have_no_p_and_every_row_names_its_dictionary(table, planted):
    controls = table[table["kind"] == "random feature"]
    assert set(controls["verdict"]) == {""}
    assert set(controls["p"]) == {""}
    assert set(table["revision"]) == {read_features(planted.references).key.revision}


def test_a_second_run_gives_the_same_bytes(planted, tmp_path):
    for folder in (tmp_path / "first", tmp_path / "second"):
        folder.mkdir()
        intervene(planted, folder, doses=(1,), features=[CAUSE], random=2, prompts=2, samples=2)
    first, second = (tmp_path / name / "interventions.csv" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


def test_nothing_is_learned_of_the_prompts_that_are_measured(planted, tmp_path):
    """References of the evaluation split may be anything: peaks, norms and the direction come from the others."""
    known = read_features(planted.references)
    part = known.parts["answer"]
    measured = (known.rows["split"] == "evaluation").to_numpy()
    assert 0 < measured.sum() < len(measured)
    factor = np.where(measured, 50.0, 1.0)
    changed = PartFeatures(
        csr_matrix(part.max.multiply(factor[:, None])).astype(part.max.dtype),
        csr_matrix(part.mean.multiply(factor[:, None])).astype(part.mean.dtype),
        part.density,
        (part.state * factor[:, None]).astype(part.state.dtype),
        part.tokens,
    )
    other = tmp_path / "references.safetensors"
    write_features(other, replace(known, parts={**known.parts, "answer": changed}))
    found = []
    for number, references in enumerate((planted.references, other)):
        (folder := tmp_path / str(number)).mkdir()
        intervene(replace(planted, references=references), folder, doses=(-1, 1), samples=0, prompts=2, random=2)
        found.append(pd.read_parquet(folder / "outcomes.parquet"))
    pd.testing.assert_frame_equal(*found)
