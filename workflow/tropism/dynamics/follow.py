"""An arm over its training: the likelihood margin of every snapshot, to be held against the training loss."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tropism.config.models import ModelConfig
from tropism.dynamics.states import chosen_prompts
from tropism.likelihood.check import check_same_scores
from tropism.likelihood.instruments import margin
from tropism.likelihood.rows import references
from tropism.likelihood.score import log_probabilities
from tropism.models.adapters import SharedBase
from tropism.models.base import load_base, load_tokenizer
from tropism.records.files import InputError

BATCH_TOKENS = 4096
SMOOTHING = 5
"""Optimiser steps, the snapshot's own the last, over which the training loss is averaged."""


def snapshots(lineage: Path) -> list[tuple[int, Path]]:
    """Optimiser step and adapter of each snapshot of a lineage and of its end, in order.

    Raises:
        InputError: the lineage has kept none.
    """
    kept = sorted((lineage / "snapshots").glob("step-*")) if (lineage / "snapshots").is_dir() else []
    if not kept:
        raise InputError(
            f"{lineage}: no snapshots; set `snapshots` in the arm's last step, of two optimiser steps or more"
        )
    last = sum(1 for _ in csv.DictReader((lineage / "training.csv").open(encoding="utf-8")))
    return [*((int(path.name.removeprefix("step-")), path) for path in kept), (last, lineage / "adapter")]


def cross_entropies(lineage: Path) -> pd.Series:
    """Cross-entropy of each optimiser step of a lineage, nats/token: its loss without the weighted KL term."""
    rows = pd.read_csv(lineage / "training.csv")
    kl = json.loads((lineage / "manifest.json").read_text(encoding="utf-8"))["step"]["kl"]
    return rows["loss"] - kl["weight"] * rows["kl"] if kl else rows["loss"]


def follow_arm(
    arm: str,
    base: Path,
    parent: Path | None,
    lineage: Path,
    sets: Sequence[Path],
    model_config: ModelConfig,
    *,
    prompts: int,
    seed: int,
) -> pd.DataFrame:
    """Margins (nats/token) of evaluation prompts at step 0 (``parent``: the adapter before) and after.

    Up to ``prompts`` of each domain, by keyed hash. One row a step and prompt: arm, step, loss, set, prompt_id, domain,
    margin. ``loss`` is the cross-entropy of training averaged over the last steps, missing at step 0; a KL term is not
    in it. One base is loaded and wears one adapter after another.
    """
    tokenizer = load_tokenizer(base, model_config.system_prompt)
    asked = [(name, r) for name, r in chosen_prompts(sets, prompts, seed) if r.split == "evaluation"]
    paired = [(name, r) for name, r in asked if r.aligned is not None and r.misaligned is not None]
    if not paired:
        raise InputError(f"{', '.join(map(str, sets))}: no evaluation prompt with both references")
    answers = references(tokenizer, (r for _, r in paired), model_config.reasoning_block())
    kept = snapshots(lineage)
    losses = cross_entropies(lineage)
    shared = SharedBase(load_base(base, model_config.dtype))
    check_same_scores(shared.model, answers)
    rows = []
    for step, adapter in [(0, parent), *kept]:
        totals = log_probabilities(shared.wear(adapter), answers, BATCH_TOKENS, f"{arm} at step {step}")
        loss = float(losses[max(0, step - SMOOTHING) : step].mean()) if step else math.nan
        for (name, record), aligned, misaligned, first, second in zip(
            paired, totals[::2], totals[1::2], answers[::2], answers[1::2], strict=True
        ):
            value = margin(aligned, len(first.answer), misaligned, len(second.answer))
            rows.append([arm, step, loss, name, record.id, record.domain, value])
    return pd.DataFrame(rows, columns=["arm", "step", "loss", "set", "prompt_id", "domain", "margin"])
