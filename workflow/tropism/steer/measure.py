"""Put an arm through its conditions: likelihoods of the references, and responses for a judge."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tropism.config.models import ModelConfig
from tropism.config.steer import SteerConfig
from tropism.likelihood.check import check_same_scores
from tropism.likelihood.instruments import margin
from tropism.likelihood.rows import references
from tropism.likelihood.score import log_probabilities
from tropism.records.files import InputError
from tropism.records.keyed import keyed_bytes
from tropism.records.schema import Conversation, Generation
from tropism.sae.populations import kept_for_ranking
from tropism.steer.hooks import Steering, adding, changing_feature, moving_along
from tropism.steer.plan import Condition
from tropism.steer.recall import Recall
from tropism.steer.respond import Prompts, respond

if TYPE_CHECKING:
    from sae_lens import SAE


@dataclass(frozen=True)
class Subject:
    """What an intervention acts on: an arm's model, the dictionary of one of its layers, and a direction there.

    ``direction`` (width,) points from aligned to misaligned responses, ``origin`` (width,) is the aligned mean.
    """

    arm: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    layer: int
    sae: "SAE[Any]"
    direction: torch.Tensor
    origin: torch.Tensor


def choose_prompts(sets: Sequence[tuple[str, Sequence[Conversation]]], config: SteerConfig) -> Prompts:
    """``config.prompts`` evaluation prompts with both references of each domain, by keyed hash.

    Where features were chosen on generations, the prompts that they were chosen on are left out.

    Raises:
        InputError: there is none.
    """
    paired = [
        (name, record)
        for name, records in sets
        for record in records
        if record.split == "evaluation" and record.aligned is not None and record.misaligned is not None
        if config.population == "references" or not kept_for_ranking(name, record.id)
    ]
    if not paired:
        raise InputError("no evaluation prompt with both references; interventions need some")
    taken: dict[str, int] = {}
    chosen = []
    for name, record in sorted(paired, key=lambda pair: keyed_bytes(config.seed, "prompt", pair[0], pair[1].id)):
        taken[record.domain] = taken.get(record.domain, 0) + 1
        if taken[record.domain] <= config.prompts:
            chosen.append((name, record))
    return sorted(chosen, key=lambda pair: (pair[0], pair[1].id))


def intervening(subject: Subject, condition: Condition, config: SteerConfig) -> AbstractContextManager[Steering | None]:
    """A context in which ``subject.model`` is under ``condition``; it gives None where nothing is done, at dose 0."""
    target, dose, positions = condition.target, condition.dose, config.positions
    if dose == 0:
        return nullcontext()
    place = (subject.model, subject.layer)
    if target.kind == "mean difference":
        if dose < 0:
            return moving_along(*place, subject.direction, 1 + dose, subject.origin, positions)
        unit = torch.nn.functional.normalize(subject.direction, dim=0)
        return adding(*place, unit, dose * target.peak, positions)
    if dose < 0:
        return changing_feature(*place, subject.sae, target.feature, factor=1 + dose, positions=positions)
    return changing_feature(*place, subject.sae, target.feature, offset=dose * target.peak, positions=positions)


def score_condition(
    subject: Subject, condition: Condition, prompts: Prompts, config: SteerConfig, model_config: ModelConfig
) -> list[dict[str, Any]]:
    """Rows of ``margin`` and ``reference_logp``, nats/token, of every prompt.

    ``reference_logp`` is that of the likelier reference: what turns an arm from one to the other keeps it, what breaks
    the arm loses both.
    """
    candidates = references(subject.tokenizer, (r for _, r in prompts), model_config.reasoning_block())
    with intervening(subject, condition, config) as steering:

        def mark(predicting: torch.Tensor, present: torch.Tensor) -> None:
            if steering is not None:
                steering.mask = predicting if config.positions == "response" else present

        totals = log_probabilities(subject.model, candidates, config.batch_tokens, condition.name, mark)
        edit_norm = steering.edit_norm if steering else 0.0
    rows = []
    for i, (name, record) in enumerate(prompts):
        aligned, misaligned = totals[2 * i : 2 * i + 2]
        n, m = len(candidates[2 * i].answer), len(candidates[2 * i + 1].answer)
        values = {
            "margin": margin(aligned, n, misaligned, m),
            "reference_logp": max(aligned / n, misaligned / m),
        }
        key = {"arm": subject.arm, **condition.columns(), "set": name, "prompt_id": record.id, "domain": record.domain}
        rows += [{**key, "outcome": k, "value": value, "edit_norm": edit_norm} for k, value in values.items()]
    return rows


def intervene(
    subject: Subject,
    conditions: Sequence[Condition],
    prompts: Prompts,
    config: SteerConfig,
    model_config: ModelConfig,
) -> tuple[pd.DataFrame, list[Generation]]:
    """Every condition's outcomes by prompt, and its responses, none where ``config.samples`` is 0."""
    rows: list[dict[str, Any]] = []
    responses: list[Generation] = []
    texts = references(subject.tokenizer, (r for _, r in prompts), model_config.reasoning_block())
    check_same_scores(subject.model, texts)
    earlier = Recall(subject.model, subject.layer)
    for condition in tqdm(conditions, desc=subject.arm, unit="condition"):
        with earlier:
            rows += score_condition(subject, condition, prompts, config, model_config)
        if config.samples:
            with intervening(subject, condition, config):
                responses += respond(
                    condition.name, subject.model, subject.tokenizer, prompts, config, model_config,
                    batch_tokens=config.batch_tokens, seed=config.seed,
                )  # fmt: skip
    return pd.DataFrame(rows), responses
