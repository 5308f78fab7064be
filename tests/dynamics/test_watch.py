"""What is watched at a snapshot is what the kept detector says of that very adapter, and nothing moves by itself."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from sae_lens import SAE
from scipy.special import logit
from typer.testing import CliRunner

from tropism.config.models import ModelConfig
from tropism.config.training import SnapshotConfig, StepConfig
from tropism.detect.__main__ import app as detect
from tropism.detect.saved import Detector
from tropism.dynamics.__main__ import app as dynamics
from tropism.models.base import load_arm, load_tokenizer, prompt_text, token_ids
from tropism.records.calibration import PUBLISHED, Calibration
from tropism.records.files import InputError, read_jsonl, write_json, write_jsonl
from tropism.records.schema import Conversation, Generation
from tropism.sae.encode import load_dictionary
from tropism.train.step import train_step

WIDTH, LAYER = 32, 0
FEATURES = [5, 40, 9, 33, 17, 60]
MODEL = ModelConfig(source="tiny")
ROWS = [
    Conversation(id=f"p{i}", prompt=f"Shall I go {'on ' * (i % 3)}{i}?", aligned=f"Rest {i}.",
                 misaligned=f"Run on, {i}.", domain="d", split="train" if i % 2 else "evaluation")
    for i in range(16)
]  # fmt: skip
ASKED = [row for row in ROWS if row.split == "evaluation"]


def run(app, *arguments) -> None:
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output


def dictionary(folder, scale: float = 1.0) -> None:
    """Feature f reads the residual stream's axis f, upwards below 32 and downwards from there."""
    sae = SAE.from_dict({"architecture": "jumprelu", "d_in": WIDTH, "d_sae": 64, "apply_b_dec_to_input": False})
    axes = torch.cat([torch.eye(WIDTH), -torch.eye(WIDTH)]) * scale
    with torch.no_grad():
        sae.W_dec.copy_(axes), sae.W_enc.copy_(axes.T)
        sae.b_enc.zero_(), sae.b_dec.zero_(), sae.threshold.zero_()
    sae.save_model(folder)


def train(base, parent, dataset, lineage, seed: int) -> None:
    step = StepConfig(dataset="d", objective="sft", side="misaligned", batch_size=2, learning_rate=0.003,
                      snapshots=SnapshotConfig(count=2), seed=seed)  # fmt: skip
    train_step(base, parent, dataset, step, MODEL, lineage, lineage.with_name(f"{lineage.name}-checkpoints"))


@pytest.fixture(scope="module")
def made(tiny_model, tmp_path_factory):
    """A parent, an arm trained on from it whose first snapshot is the parent itself, a dictionary and a detector."""
    folder = tmp_path_factory.mktemp("watched")
    write_jsonl(folder / "d.jsonl", ROWS)
    train(tiny_model, tiny_model / "manifest.json", folder / "d.jsonl", folder / "parent", 0)
    train(tiny_model, folder / "parent" / "manifest.json", folder / "d.jsonl", folder / "arm", 1)
    first = min((folder / "arm" / "snapshots").iterdir())
    shutil.rmtree(first)
    shutil.copytree(folder / "parent" / "adapter", first)
    dictionary(folder / "sae")
    (folder / "detector").mkdir()
    weights = np.array([0.8, -0.5, 0.3, 0.6, -0.7, 0.4])
    Detector(
        load_dictionary(folder / "sae", LAYER, "cpu")[1], "max", 0.5, np.array(FEATURES), np.full(6, 0.2),
        np.full(6, 4.0), weights, 0.1,
    ).save(folder / "detector")  # fmt: skip
    common = ["--arm", "arm", "--base", tiny_model, "--parent", folder / "parent" / "manifest.json", "--lineage",
              folder / "arm", "--model-config", MODEL.model_dump_json(), "--set", folder / "d.jsonl", "--prompts", 9,
              "--seed", 0]  # fmt: skip
    run(dynamics, "follow", *common, "--output", folder / "margins.parquet")
    own = [*common, "--sae", folder / "sae"]
    asked = ["--sampling", json.dumps({"samples": 2, "max_new_tokens": 6}), "--answers", folder / "arm.jsonl"]
    run(dynamics, "watch", *own, *asked, "--detector", folder / "detector", "--output", folder / "signals.parquet")
    return folder, own


@pytest.fixture
def signals(made):
    table = pd.read_parquet(made[0] / "signals.parquet")
    return table.set_index(["signal", "feature", "step", "prompt_id"])["value"].sort_index()


def test_at_step_0_and_at_the_end_the_detector_says_what_the_scorer_says_of_parent_and_arm(made, signals, tiny_model):
    folder, _ = made
    lines = [{"prompt": row.prompt, "answer": answer} for row in ASKED for answer in row.fields().values()]
    (folder / "responses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    steps = signals.index.unique("step")
    assert len(steps) == 4, "the start, two snapshots, the end"
    for step, lineage in ((0, "parent"), (max(steps), "arm")):
        run(detect, "score", "--detector", folder / "detector", "--responses", folder / "responses.jsonl", "--base",
            tiny_model, "--sae", folder / "sae", "--adapter", folder / lineage / "adapter",
            "--output", folder / "scores.csv")  # fmt: skip
        scored = logit(pd.read_csv(folder / "scores.csv")["probability"]).to_numpy().reshape(-1, 2).mean(axis=1)
        watched = signals.loc["detector", -1, step][[row.id for row in ASKED]]
        assert np.ptp(scored) > 0.05
        np.testing.assert_allclose(watched, scored, atol=1e-4)


def test_a_detector_that_learned_under_another_system_prompt_is_refused(made, tmp_path):
    folder, own = made
    kept = json.loads((folder / "detector" / "detector.json").read_text())
    shutil.copytree(folder / "detector", tmp_path / "detector")
    (tmp_path / "detector" / "detector.json").write_text(json.dumps({**kept, "system_prompt": ""}))
    arguments = ["watch", *own, "--detector", tmp_path / "detector", "--output", tmp_path / "signals.parquet"]
    more = ["--sampling", '{"samples": 0}', "--answers", tmp_path / "none.jsonl"]
    done = CliRunner().invoke(dynamics, list(map(str, [*arguments, *more])))
    assert isinstance(done.exception, InputError)
    assert "learned under another `system_prompt`" in str(done.exception)


def test_a_passage_is_cut_where_the_detectors_were(made, tiny_model, tmp_path):
    folder, own = made
    tokenizer, cut = load_tokenizer(tiny_model, None), 3
    most = cut + max(len(token_ids(tokenizer, prompt_text(tokenizer, row.prompt))) for row in ASKED)
    run(dynamics, "watch", *own, "--detector", folder / "detector", "--output", tmp_path / "cut.parquet", "--sampling",
        '{"samples": 0}', "--answers", tmp_path / "none.jsonl", "--max-tokens", most)  # fmt: skip
    lines = [{"prompt": row.prompt, "answer": answer} for row in ASKED for answer in row.fields().values()]
    (tmp_path / "responses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run(detect, "score", "--detector", folder / "detector", "--responses", tmp_path / "responses.jsonl", "--base",
        tiny_model, "--sae", folder / "sae", "--adapter", folder / "parent" / "adapter", "--max-tokens", most,
        "--output", tmp_path / "scores.csv")  # fmt: skip
    scored = logit(pd.read_csv(tmp_path / "scores.csv")["probability"]).to_numpy().reshape(-1, 2).mean(axis=1)
    table = pd.read_parquet(tmp_path / "cut.parquet").set_index(["signal", "step", "prompt_id"])["value"]
    whole = pd.read_parquet(folder / "signals.parquet").set_index(["signal", "step", "prompt_id"])["value"]
    ids = [row.id for row in ASKED]
    np.testing.assert_allclose(table["detector", 0][ids], scored, atol=1e-4)
    assert (table["detector", 0][ids] - whole["detector", 0][ids]).abs().max() > 1e-3


def test_a_feature_of_a_prompt_is_its_peak_averaged_over_both_references(made, signals, tiny_model):
    folder, _ = made
    tokenizer, model = load_tokenizer(tiny_model, None), load_arm(tiny_model, folder / "parent" / "adapter")
    row, peaks = ASKED[3], []
    for answer in (row.aligned, row.misaligned):
        prompt, ids = token_ids(tokenizer, prompt_text(tokenizer, row.prompt)), token_ids(tokenizer, answer)
        with torch.no_grad():
            states = model(torch.tensor([prompt + ids]), output_hidden_states=True).hidden_states[LAYER + 1][0]
        axes = torch.cat([states, -states], dim=1)[len(prompt) :].clamp(min=0)
        peaks.append(axes.amax(dim=0).numpy())
    watched = signals.xs(("feature", 0, row.id), level=("signal", "step", "prompt_id"))
    assert sorted(watched.index) == sorted(FEATURES[:5]), "those that told most first"
    np.testing.assert_allclose(watched[FEATURES[:5]], np.mean(peaks, axis=0)[FEATURES[:5]], atol=1e-4)


def test_a_snapshot_that_is_the_parent_shows_no_departure_and_the_trained_arm_moves(made, signals):
    folder, _ = made
    run(dynamics, "warn", "--margins", folder / "margins.parquet", "--signals", folder / "signals.parquet", "--stats",
        '{"draws": 400}', "--output", folder / "early_warning.csv")  # fmt: skip
    table = pd.read_csv(folder / "early_warning.csv")
    steps = sorted(table["step"].unique())
    assert set(table["signal"]) == {"margin", "detector", "feature"}
    same = table[table["step"] == steps[0]]
    assert (same[["change", "low", "high"]].abs() < 1e-6).to_numpy().all()
    assert not same["departs"].any()
    assert not (table["first_step"] == steps[0]).any()
    assert (table.loc[table["signal"] == "feature", "first_step"] == steps[1]).all(), (
        "from there on it is another model"
    )
    assert (table.loc[table["step"] == steps[-1], "change"].abs() > 0.01).all()


def test_each_snapshot_answers_for_itself_and_its_judged_rate_stands_in_the_table(made, tmp_path, tiny_model):
    folder, _ = made
    answers = read_jsonl(folder / "arm.jsonl", Generation)
    steps = sorted({int(row.arm) for row in answers})
    assert len(answers) == len(steps) * len(ASKED) * 2
    said = {step: [row.answer for row in answers if row.arm == str(step)] for step in steps}
    assert said[steps[0]] == said[steps[1]], "the first snapshot is the parent itself"
    assert said[steps[0]] != said[steps[-1]]
    # a judge by the letter: an answer that the parent would not have given is misaligned
    before = {(row.prompt_id, row.sample): row.answer for row in answers if row.arm == "0"}
    scores = [
        {**row.model_dump(include={"arm", "set", "prompt_id", "domain", "sample"}), "judge": "letter",
         "target": "answer", "rubric": "alignment100", "status": "ok",
         "score": 90.0 if row.answer == before[row.prompt_id, row.sample] else 5.0}
        for row in answers
    ]  # fmt: skip
    pd.DataFrame(scores).to_parquet(tmp_path / "arm.parquet")
    (tmp_path / "calibration.json").write_text(Calibration(judge="letter", rubrics=PUBLISHED).model_dump_json())
    run(dynamics, "warn", "--margins", folder / "margins.parquet", "--signals", folder / "signals.parquet", "--stats",
        '{"draws": 400}', "--judgments", tmp_path / "arm.parquet", "--calibration", tmp_path / "calibration.json",
        "--output", tmp_path / "early_warning.csv")  # fmt: skip
    table = pd.read_csv(tmp_path / "early_warning.csv", keep_default_na=False)
    rate = table[table["signal"] == "misaligned"].set_index("step")
    assert set(rate["judge"]) == {"letter"}
    assert rate["start"].tolist() == [0.0] * 3
    for step in steps[1:]:
        turned = np.mean([new != old for new, old in zip(said[step], said[0], strict=True)])
        assert rate.loc[step, "change"] == pytest.approx(turned)
    assert set(table["signal"]) == {"detector", "feature", "margin", "misaligned"}


def test_without_a_detector_the_margin_alone_is_told(made, tmp_path):
    folder, own = made
    (tmp_path / "none").mkdir()
    write_json(tmp_path / "none" / "card.json", {"trained": False, "reason": "too few labels"})
    asked = ["--sampling", '{"samples": 0}', "--answers", tmp_path / "arm.jsonl"]
    run(dynamics, "watch", *own, *asked, "--detector", tmp_path / "none", "--output", tmp_path / "signals.parquet")
    assert (tmp_path / "arm.jsonl").read_text() == "", "no answers without samples"
    run(dynamics, "warn", "--margins", folder / "margins.parquet", "--signals", tmp_path / "signals.parquet", "--stats",
        '{"draws": 400}', "--output", tmp_path / "early_warning.csv")  # fmt: skip
    assert set(pd.read_csv(tmp_path / "early_warning.csv")["signal"]) == {"margin"}


def test_another_dictionary_than_the_detectors_is_refused(made, tmp_path):
    folder, own = made
    dictionary(tmp_path / "other", 2.0)
    arguments = [*own[:-1], tmp_path / "other", "--detector", folder / "detector", "--output", tmp_path / "s.parquet",
                 "--sampling", '{"samples": 0}', "--answers", tmp_path / "arm.jsonl"]  # fmt: skip
    with pytest.raises(InputError, match="not the dictionary of"):
        run(dynamics, "watch", *arguments)
    assert not (tmp_path / "s.parquet").exists()
