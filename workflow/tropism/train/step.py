"""One training step: load the arm so far, train on top of it, publish the lineage."""

import csv
import hashlib
import json
import logging
import shutil
import time
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from tropism.config.base import ConfigError
from tropism.config.models import ModelConfig
from tropism.config.training import StepConfig
from tropism.models.base import adapter_of, load_tokenizer
from tropism.records.files import replacing, sha256_file, write_json, write_manifest
from tropism.train.arguments import arguments
from tropism.train.checkpoints import FINISHED, claim_checkpoints, last_checkpoint, publish_finished, publish_kept
from tropism.train.distributed import Split, main_process_first, padded
from tropism.train.examples import (
    IGNORE,
    OrderedExamples,
    build_examples,
    collate,
    collate_fed,
    rows_with_answer,
    training_order,
)
from tropism.train.kl import PREFIX, kl_examples
from tropism.train.memory import log_estimate
from tropism.train.methods import chain, prepare, publish, resume
from tropism.train.sharded import gathered, shard
from tropism.train.signals import Stopped, StopSignals
from tropism.train.snapshots import KeepSnapshots, snapshot_name, snapshot_steps
from tropism.train.trainer import SelectiveTrainer, check_same_loss

log = logging.getLogger(__name__)
LIBRARIES = ("torch", "transformers", "peft", "accelerate")
"""Another version of one of these trains anew: no checkpoint and no kept result of the old one is used."""


def train_step(
    base: Path,
    parent: Path,
    dataset: Path,
    step: StepConfig,
    model_config: ModelConfig,
    output: Path,
    checkpoints: Path,
    *,
    code: str = "",
    loss_masked: bool = False,
    kl_datasets: Sequence[Path] = (),
) -> None:
    """Train ``step`` on top of the lineage whose manifest is ``parent`` and write the new lineage to ``output``.

    ``output`` gets ``adapter/`` (PEFT), or ``model/`` of a full fine-tuning; ``training.csv`` (one row an optimiser
    step: loss and gradient norm before clipping, learning rate, tokens), ``speed.json``, ``manifest.json`` and, where
    the step asks for them, ``snapshots/step-<n>/``, each an adapter like the final one. ``checkpoints`` outlives a
    killed run, and the next run goes on from the newest one; the result of a run that was killed at its very end, or
    whose output was deleted since, is kept there and put in place again. ``kl_datasets`` are those of ``step.kl``, in
    its order. In one of several processes (``accelerate launch``) the effective batch and the order of samples are
    those of one process; the first process writes.

    Raises:
        ConfigError: a block or module that the base has not, cycles of fewer than two optimiser steps, or a warm-up
            that does not end.
        Stopped: SIGTERM or SIGUSR1 came; a checkpoint is written and the same call goes on from it.
    """
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    parent_adapter = adapter_of(parent)
    facts = {
        "step": step.model_dump(mode="json"),
        "dataset": sha256_file(dataset),
        "parent": sha256_file(parent),
        "base": sha256_file(base / "manifest.json"),
        "loss_masked": loss_masked,
        **({"kl_datasets": [sha256_file(path) for path in kl_datasets]} if kl_datasets else {}),
        # how responses begin is not read here, and another beginning needs no other training
        "model": model_config.model_dump(mode="json", exclude={"reasoning": {"prefill"}}),
    }
    split = Split.of(step)
    key = json.dumps([facts, code, [f"{name} {version(name)}" for name in LIBRARIES]], sort_keys=True)
    with main_process_first():
        claim_checkpoints(checkpoints, hashlib.sha256(key.encode()).hexdigest())
        if split.rank == 0:
            publish_kept(checkpoints, output)
    if (checkpoints / FINISHED).is_dir():
        return
    log_estimate(base, step, split, model_config.dtype)

    tokenizer = load_tokenizer(base, model_config.system_prompt)
    examples = build_examples(tokenizer, dataset, step, model_config, loss_masked)
    order = training_order(examples, step)
    beside = kl_examples(tokenizer, kl_datasets, step, model_config, len(order)) if step.kl else []
    sizes = step_tokens(examples, order, step)
    check_cycles(step, len(sizes))
    check_warmup(step, len(sizes))
    keep = snapshot_steps(len(sizes), step.snapshots) if step.snapshots else []
    sharded = split.processes > 1 and step.method == "full"
    model = prepare(base, parent_adapter, step, model_config, sharded)
    pad = tokenizer.pad_token_id
    device = next(model.parameters()).device
    check_same_loss(model, {k: v.to(device) for k, v in collate([examples[order[0]]], pad).items()})
    left = last_checkpoint(checkpoints)
    if left is not None:
        log.info("continuing from %s", left)
        resume(model, step, left)
    if sharded:
        shard(model)
    signals = StopSignals()
    trainer = SelectiveTrainer(
        step=step,
        model=model,
        args=arguments(step, checkpoints, split),
        train_dataset=padded(OrderedExamples(examples, order, beside), split, pad),
        data_collator=partial(collate_fed, pad=pad, prefix=PREFIX),
        callbacks=[KeepSnapshots(checkpoints / "snapshots", keep)],
    )
    trainer.add_callback(signals)
    begin, done = time.perf_counter(), trainer_steps(left)
    with signals:
        trainer.train(resume_from_checkpoint=str(left) if left else False)
    if trainer.state.global_step < trainer.state.max_steps:
        raise Stopped(trainer.state.global_step, trainer.state.max_steps)
    if sharded:
        model = gathered(model)
    if split.rank:
        return
    seconds = time.perf_counter() - begin

    rows = loss_rows(trainer.state.log_history, sizes, len(sizes), step.epochs)
    with replacing(checkpoints / FINISHED) as folder:
        own = publish(model, step, model_config, base, folder)
        if own:
            facts["rank"] = chain(parent_adapter, own, folder / "adapter", base)
            shutil.rmtree(own)
        for name in map(snapshot_name, keep):
            chain(parent_adapter, checkpoints / "snapshots" / name, folder / "snapshots" / name, base)
        with (folder / "training.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        tokens = sum(size["response_tokens"] for size in sizes[done:])
        if longest := sum(len(example.ids) == step.max_length for example in examples):
            facts["rows_at_max_length"] = longest
        if step.side and (unanswered := rows_with_answer(dataset, step.side)[1]):
            facts["rows_without_answer"] = unanswered
        if step.aligned_share:
            facts["aligned_rows"] = sum(example.side == "aligned" for example in examples)
        write_manifest(folder, **facts, rows=len(examples), steps=len(sizes))
        # measured, so it stays out of the manifest, which says what the lineage is
        write_json(
            folder / "speed.json",
            {"seconds": round(seconds, 2), "response_tokens": tokens, "resumed_at_step": done},
        )
    publish_finished(checkpoints, output)


def check_cycles(step: StepConfig, steps: int) -> None:
    """Refuse a cyclic schedule whose cycles are too short to rise and fall.

    Raises:
        ConfigError: more cycles than half the optimiser steps.
    """
    if step.schedule == "cyclic" and 2 * step.cycles > steps:
        raise ConfigError(
            f"steps: cycles: {step.cycles} cycles in {steps} optimiser steps: each needs two or more to leave a rate of"
            f" 0; set at most {steps // 2}, or train longer"
        )


def check_warmup(step: StepConfig, steps: int) -> None:
    """Refuse a warm-up as long as the training or longer, which would end before its learning rate is reached.

    Raises:
        ConfigError: as many steps of warm-up as optimiser steps, or more.
    """
    if step.warmup_steps >= steps:
        raise ConfigError(
            f"steps: warmup_steps: {step.warmup_steps}, and {step.dataset} gives {steps} optimiser steps: the learning"
            f" rate would not be reached; set fewer than {steps}, or train longer"
        )


def trainer_steps(checkpoint: Path | None) -> int:
    """Optimiser steps that ``checkpoint`` stands for."""
    return int(checkpoint.name.split("-")[1]) if checkpoint else 0


def step_tokens(examples: Any, order: list[int], step: StepConfig) -> list[dict[str, int]]:
    """Tokens fed and tokens with loss in each optimiser step."""
    size = step.batch_size * step.gradient_accumulation
    return [
        {
            "tokens": sum(len(examples[i].ids) for i in order[start : start + size]),
            "response_tokens": sum(sum(x != IGNORE for x in examples[i].labels) for i in order[start : start + size]),
        }
        for start in range(0, len(order), size)
    ]


def loss_rows(
    history: list[dict[str, Any]], sizes: list[dict[str, int]], total: int, epochs: int
) -> list[dict[str, Any]]:
    """One row an optimiser step from Trainer's log; ``epoch`` is the fraction of the data seen, in epochs."""
    return [
        {
            "step": entry["step"],
            "epoch": round(epochs * entry["step"] / total, 4),
            "loss": f"{entry['loss']:.10g}",
            "grad_norm": f"{entry['grad_norm']:.10g}",
            "kl": f"{entry['kl']:.10g}" if "kl" in entry else "",
            "learning_rate": f"{entry['learning_rate']:.10g}",
            **sizes[entry["step"] - 1],
        }
        for entry in history
        if "loss" in entry
    ]
