"""The term that keeps a training narrow: KL(reference || current) on answers of other domains.

The reference is the model as it was before this step: the same weights with the adapter switched off, so there is no
second copy. It is the ordinary KL, summed over the whole vocabulary in float32 and averaged over tokens; code that also
divides by the vocabulary's size needs a weight that is larger by that factor (narrow solutions, 2026, `science.md` 4).
"""

from collections.abc import Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from tropism.config.models import ModelConfig
from tropism.config.training import StepConfig
from tropism.models.adapters import without_step
from tropism.models.logits import logits_of
from tropism.records.keyed import keyed_bytes
from tropism.train.examples import IGNORE, Example, build_examples

CHUNK = 128
PREFIX = "kl_"
"""Marks the tensors of a batch that belong to the KL term."""


def reference_kl_sum(model: PeftModel, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Sum over labelled positions of KL(reference || current) = sum_v p_v (log p_v - log q_v), nats.

    p is the model without its adapter and without dropout, q with them. Logits are made for the labelled positions
    alone, ``CHUNK`` at a time, and where there are more again in the backward pass, so memory does not grow with
    vocabulary x sequence.
    """
    labels = inputs["labels"][:, 1:]
    wanted = labels != IGNORE
    causal: Any = model.get_base_model()
    fed = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
    training = model.training
    model.eval()
    with torch.no_grad(), without_step(model):
        before = causal.base_model(**fed).last_hidden_state[:, :-1][wanted]
    model.train(training)
    now = causal.base_model(**fed).last_hidden_state[:, :-1][wanted]

    # a step may train the output embedding too, which the reference reads without it
    head_trained = any(parameter.requires_grad for parameter in causal.get_output_embeddings().parameters())

    def chunk_kl(current: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        log_q = torch.log_softmax(logits_of(causal, current).float(), dim=-1)
        with torch.no_grad(), without_step(model) if head_trained else nullcontext():
            log_p = torch.log_softmax(logits_of(causal, reference).float(), dim=-1)
        return torch.nn.functional.kl_div(log_q, log_p, reduction="sum", log_target=True)

    total = now.new_zeros((), dtype=torch.float32)
    for start in range(0, len(now), CHUNK):
        parts = now[start : start + CHUNK], before[start : start + CHUNK]
        if len(now) > CHUNK and torch.is_grad_enabled():
            total = total + torch.utils.checkpoint.checkpoint(chunk_kl, *parts, use_reentrant=False)
        else:
            total = total + chunk_kl(*parts)
    return total


def kl_examples(
    tokenizer: PreTrainedTokenizerBase, datasets: Sequence[Path], step: StepConfig, model: ModelConfig, count: int
) -> list[Example]:
    """``count`` answers of the KL datasets' training rows, one for each example that is trained on.

    All of them are used before one is used again, in an order keyed by (seed, round, id).
    """
    assert step.kl is not None
    settings = step.model_copy(update={"objective": "sft", "side": step.kl.side, "aligned_share": 0.0})
    found = [example for path in datasets for example in build_examples(tokenizer, path, settings, model, False)]

    def endless() -> Any:
        turn = 0
        while True:
            yield from sorted(found, key=lambda e: keyed_bytes(step.seed, "kl", turn, e.id, *e.ids))
            turn += 1

    return list(islice(endless(), count))
