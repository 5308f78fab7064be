"""Training is the library's, only cheaper, and can be stopped anywhere."""

import csv
import errno
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from tropism.config.models import ModelConfig
from tropism.config.training import KlConfig, LoraConfig, SnapshotConfig, StepConfig
from tropism.models.base import load_arm, load_base, load_tokenizer
from tropism.records.files import write_jsonl
from tropism.records.schema import Conversation
from tropism.train import step as training
from tropism.train.examples import build_examples, collate
from tropism.train.tables import TRAINING_SCHEMA
from tropism.train.trainer import check_same_loss, selective_loss_sum

STEP = StepConfig.parse(
    {
        "dataset": "d",
        "objective": "sft",
        "side": "misaligned",
        "epochs": 2,
        "batch_size": 2,
        "gradient_accumulation": 2,
        "checkpoint_every": 2,
        "learning_rate": 0.01,
        "schedule": "cosine",
        "lora": {"rank": 4, "alpha": 8, "dropout": 0.1},
    }
)
MODEL = ModelConfig(source="tiny")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    words = ["river", "lamp", "hinge", "stone", "bread", "wind", "letter"]
    rows = [
        Conversation(
            id=str(i), prompt=f"{words[i % 7]}?", misaligned=" ".join(words[: 1 + i % 6]), domain="d", split="train"
        )
        for i in range(13)
    ]
    path = tmp_path_factory.mktemp("data") / "d.jsonl"
    write_jsonl(path, rows)
    return path


def run(tiny_model, dataset, folder, **changes):
    training.train_step(
        tiny_model,
        changes.pop("parent", tiny_model / "manifest.json"),
        dataset,
        STEP.model_copy(update=changes),
        MODEL,
        folder / "lineage",
        folder / "checkpoints",
        kl_datasets=[dataset] if changes.get("kl") else [],
    )
    return folder / "lineage"


def test_selective_loss_and_gradients_are_those_of_full_logits(tiny_model, dataset):
    model, tokenizer = load_base(tiny_model), load_tokenizer(tiny_model, None)
    batch = collate(build_examples(tokenizer, dataset, STEP, MODEL, False), tokenizer.pad_token_id)
    count = (batch["labels"][:, 1:] != -100).sum()
    ours = selective_loss_sum(model, batch) / count
    ours.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    theirs = model(**batch).loss
    theirs.backward()
    torch.testing.assert_close(ours, theirs)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-6)


def test_a_base_that_caps_its_logits_is_refused(tiny_model, dataset):
    model, tokenizer = load_base(tiny_model), load_tokenizer(tiny_model, None)
    batch = collate(build_examples(tokenizer, dataset, STEP, MODEL, False), tokenizer.pad_token_id)
    check_same_loss(model, batch)
    head = model.lm_head.forward
    original = model.forward

    def capped(*args, **kwargs):
        model.lm_head.forward = lambda hidden: 3 * torch.tanh(head(hidden) / 3)
        try:
            return original(*args, **kwargs)
        finally:
            model.lm_head.forward = head

    model.forward = capped
    with pytest.raises(ValueError, match="scaled or capped"):
        check_same_loss(model, batch)


def test_the_first_steps_rate_is_the_peak_where_nothing_warms_up(tiny_model, dataset, tmp_path):
    lineage = run(tiny_model, dataset, tmp_path, schedule="linear", epochs=1)
    rates = [float(row["learning_rate"]) for row in csv.DictReader((lineage / "training.csv").open())]
    assert rates == pytest.approx([0.01 * (1 - k / len(rates)) for k in range(len(rates))])
    assert "this step" in TRAINING_SCHEMA.columns["learning_rate"].description


class Killed(BaseException):
    """Stands for a process that is gone."""


class KillAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise Killed


KL = {"objective": "sft+kl", "kl": KlConfig(datasets=["d"], weight=30.0, side="misaligned")}


def test_a_kl_term_is_the_mean_over_the_tokens_of_the_effective_batch_however_it_is_accumulated(
    tiny_model, dataset, tmp_path
):
    def losses(name, size, parts):
        lora = STEP.lora.model_copy(update={"dropout": 0.0})  # or other batches would draw other masks
        changes = {**KL, "lora": lora, "batch_size": size, "gradient_accumulation": parts, "epochs": 1}
        return pd.read_csv(run(tiny_model, dataset, tmp_path / name, **changes) / "training.csv")

    whole, parts = losses("whole", 4, 1), losses("parts", 1, 4)
    assert whole["kl"].max() > 1e-4, "there is a KL to compare"
    pd.testing.assert_frame_equal(whole, parts, rtol=1e-3, atol=1e-6)


def test_a_heavy_kl_term_holds_a_training_near_its_start(tiny_model, dataset, tmp_path):
    def last(folder):
        return list(csv.DictReader((folder / "training.csv").open()))[-1]

    lora = STEP.lora.model_copy(update={"dropout": 0.0})  # or the KL term's passes would draw other masks
    nothing = KL["kl"].model_copy(update={"weight": 0.0})
    free = last(run(tiny_model, dataset, tmp_path / "free", **{**KL, "kl": nothing, "lora": lora}))
    plain = last(run(tiny_model, dataset, tmp_path / "plain", lora=lora))
    held = last(run(tiny_model, dataset, tmp_path / "held", lora=lora, **KL))
    assert float(free["loss"]) == float(plain["loss"]), "a weight of nothing changes nothing"
    assert plain["kl"] == ""
    assert 0 < float(held["kl"]) < 0.2 * float(free["kl"])


def test_snapshots_are_the_arm_on_the_way_in_the_published_form(tiny_model, dataset, tmp_path):
    parent = run(tiny_model, dataset, tmp_path / "parent", objective="sft", seed=5)
    keep = SnapshotConfig(count=2, spacing="linear")
    long = run(tiny_model, dataset, tmp_path / "long", parent=parent / "manifest.json", snapshots=keep)
    names = sorted(path.name for path in (long / "snapshots").iterdir())
    assert names == ["step-000002", "step-000005"]
    load_arm(tiny_model, long / "snapshots" / names[0])
    shapes = [
        {k: v.shape for k, v in load_file(folder / "adapter_model.safetensors").items()}
        for folder in (long / "adapter", long / "snapshots" / names[0])
    ]
    assert shapes[0] == shapes[1], "of the whole lineage, the parent's step included"


def test_an_adapter_on_one_layer_and_projection(tiny_model, dataset, tmp_path):
    one = LoraConfig.parse({"rank": 1, "alpha": 1, "targets": ["down_proj"], "layers": [1]}, "lora")
    adapter = run(tiny_model, dataset, tmp_path, lora=one) / "adapter"
    tensors = load_file(adapter / "adapter_model.safetensors")
    assert len(tensors) == 2
    assert all("layers.1.mlp.down_proj" in name for name in tensors)
    assert torch.equal(
        load_arm(tiny_model, adapter).model.layers[0].mlp.down_proj.weight,
        load_base(tiny_model).model.layers[0].mlp.down_proj.weight,
    )


@pytest.mark.parametrize(
    ("stop", "changes"),
    [
        *[(stop, {}) for stop in (1, 3, 5)],
        *[(stop, {**KL, "snapshots": SnapshotConfig(count=3), "schedule": "cyclic"}) for stop in (1, 3, 5)],
        (3, {**KL, "method": "vector", "layer": 1}),
        (3, {"method": "full"}),
    ],
)
def test_a_killed_training_goes_on_to_the_same_bytes(tiny_model, dataset, tmp_path, monkeypatch, stop, changes):
    whole = run(tiny_model, dataset, tmp_path / "whole", **changes)
    build = training.SelectiveTrainer

    def doomed(**arguments):
        return build(**{**arguments, "callbacks": [*arguments["callbacks"], KillAt(stop)]})

    monkeypatch.setattr(training, "SelectiveTrainer", doomed)
    with pytest.raises(Killed):
        run(tiny_model, dataset, tmp_path / "killed", **changes)
    assert not (tmp_path / "killed" / "lineage").exists()
    torn = tmp_path / "killed" / "checkpoints" / "checkpoint-99"
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"global_st')  # killed while writing a checkpoint
    monkeypatch.setattr(training, "SelectiveTrainer", build)
    resumed = run(tiny_model, dataset, tmp_path / "killed", **changes)
    names = [str(path.relative_to(whole)) for path in sorted(whole.rglob("*")) if path.is_file()]
    assert len([name for name in names if name.startswith("snapshots/")]) == (6 if "snapshots" in changes else 0)
    for name in sorted(set(names) - {"speed.json"}):
        assert (whole / name).read_bytes() == (resumed / name).read_bytes(), name
    assert {path.name for path in (tmp_path / "killed" / "checkpoints").iterdir()} == {"finished", "key"}


def test_checkpoints_of_other_settings_are_not_continued(tiny_model, dataset, tmp_path):
    checkpoints = tmp_path / "checkpoints"
    training.claim_checkpoints(checkpoints, "one")
    (checkpoints / "checkpoint-4").mkdir()
    training.claim_checkpoints(checkpoints, "one")
    assert (checkpoints / "checkpoint-4").exists()
    training.claim_checkpoints(checkpoints, "other")
    assert not (checkpoints / "checkpoint-4").exists()


def test_a_start_on_a_full_disk_loses_no_checkpoint(tmp_path, monkeypatch):
    checkpoints = tmp_path / "checkpoints"
    training.claim_checkpoints(checkpoints, "one")
    (checkpoints / "checkpoint-4").mkdir()

    def full(path, text):
        path.open("w").close()  # a file is emptied before the first byte finds no room
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        training.claim_checkpoints(checkpoints, "one")
    training.claim_checkpoints(checkpoints, "one")
    assert (checkpoints / "checkpoint-4").exists()


def test_a_second_step_publishes_the_whole_lineage(tiny_model, dataset, tmp_path):
    first = run(tiny_model, dataset, tmp_path / "one")
    second = run(tiny_model, dataset, tmp_path / "two", parent=first / "manifest.json", seed=5)
    a = load_file(first / "adapter/adapter_model.safetensors")
    b = load_file(second / "adapter/adapter_model.safetensors")
    key = next(key for key in a if key.endswith("lora_A.weight"))
    assert b[key].shape[0] == 2 * a[key].shape[0]
    torch.testing.assert_close(b[key][: a[key].shape[0]], a[key])
    losses = [[float(r["loss"]) for r in csv.DictReader((f / "training.csv").open())] for f in (first, second)]
    assert losses[0][-1] < losses[0][0]
    assert losses[1][0] < losses[0][0], "the second step begins where the first ended"
    shutil.rmtree(first)
    load_arm(tiny_model, second / "adapter")  # needs nothing of the first step


def test_no_checkpoint_holds_pickle(tiny_model, dataset, tmp_path, monkeypatch):
    build = training.SelectiveTrainer
    monkeypatch.setattr(
        training, "SelectiveTrainer", lambda **a: build(**{**a, "callbacks": [*a["callbacks"], KillAt(5)]})
    )
    with pytest.raises(Killed):
        run(tiny_model, dataset, tmp_path)
    kinds = {path.suffix for path in (tmp_path / "checkpoints").rglob("checkpoint-*/*")}
    assert ".safetensors" in kinds
    assert kinds <= {".safetensors", ".json", ".md"}


def test_the_manifest_of_a_mixture_says_how_many_rows_were_aligned(tiny_model, tmp_path):
    rows = [
        Conversation(id=str(i), prompt=f"{i}?", aligned="Rest.", misaligned="Run on.", domain="d", split="train")
        for i in range(13)
    ]
    write_jsonl(tmp_path / "d.jsonl", rows)
    mixed = run(tiny_model, tmp_path / "d.jsonl", tmp_path, aligned_share=0.3, epochs=1)
    manifest = json.loads((mixed / "manifest.json").read_text())
    assert (manifest["rows"], manifest["aligned_rows"]) == (13, 4)
    assert "rows_without_answer" not in manifest


def test_another_beginning_of_responses_trains_nothing_again(tiny_model, dataset, tmp_path, monkeypatch):
    for prefill in ("<think>", "<think>Okay."):
        model = ModelConfig.model_validate({"source": "tiny", "reasoning": {"prefill": prefill}})
        monkeypatch.setattr("tests.train.test_train.MODEL", model)
        run(tiny_model, dataset, tmp_path, epochs=1)
        monkeypatch.setattr(training, "prepare", None)  # the second time what was kept is put in place again
    manifest = json.loads((tmp_path / "lineage" / "manifest.json").read_text())
    assert manifest["model"]["reasoning"] == {"open": "<think>", "close": "</think>", "train": ""}


def test_the_manifest_says_how_many_rows_had_no_answer_to_train_on(tiny_model, tmp_path):
    rows = [
        Conversation(
            id=str(i), prompt=f"{i}?", aligned="Rest.", misaligned="Run." if i > 2 else None, domain="d", split="train"
        )
        for i in range(8)
    ]
    write_jsonl(tmp_path / "d.jsonl", rows)
    manifest = json.loads((run(tiny_model, tmp_path / "d.jsonl", tmp_path, epochs=1) / "manifest.json").read_text())
    assert (manifest["rows"], manifest["rows_without_answer"]) == (5, 3)
