"""Add a vector to a model's residual stream and see what it finds likely: misalignment and coherence, no judge needed.

Misalignment is the margin of the likelihood instruments: mean log-probability per token of the misaligned reference
minus that of the aligned one. Coherence is the mean of the two: a model that is broken finds neither likely.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tropism.config.models import ReasoningConfig
from tropism.geometry.names import CONTROL, UNSTEERED
from tropism.geometry.nulls import generator
from tropism.likelihood.instruments import margin
from tropism.likelihood.rows import references
from tropism.likelihood.score import log_probabilities
from tropism.records.schema import Conversation, Question
from tropism.steer.hooks import adding
from tropism.steer.recall import Recall
from tropism.steer.respond import Prompts

COLUMNS = ["source", "strength", "set", "prompt_id", "misalignment", "coherence"]


def answered(records: Sequence[Question | Conversation]) -> list[Conversation]:
    """The records with both references."""
    both = [r for r in records if isinstance(r, Conversation)]
    return [r for r in both if r.aligned is not None and r.misaligned is not None]


def measure(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    records: Prompts,
    layer: int,
    conditions: Sequence[tuple[str, torch.Tensor, float]],
    length: float,
    batch_tokens: int,
    block: ReasoningConfig | None = None,
) -> pd.DataFrame:
    """One row a condition and prompt, nats/token; a source ``none`` adds nothing.

    Args:
        model: an arm.
        tokenizer: its own.
        records: prompts with both references, by set.
        layer: block after which is added.
        conditions: source, its unit vector (width,), and the share of ``length`` that is added.
        length: Euclidean norm that a strength of 1 stands for.
        batch_tokens: tokens in a forward pass.
        block: the base's reasoning block, if any.
    """
    texts = references(tokenizer, (record for _, record in records), block)
    rows = []
    with Recall(model, layer):
        for source, vector, strength in conditions:
            with steered(model, layer, source, vector, strength * length):
                totals = log_probabilities(model, texts, batch_tokens, f"{source} at {strength:g}")
            for i, (name, record) in enumerate(records):
                (a, b), (n, m) = totals[2 * i : 2 * i + 2], (len(t.answer) for t in texts[2 * i : 2 * i + 2])
                rows.append([source, strength, name, record.id, margin(a, n, b, m), (a / n + b / m) / 2])
    return pd.DataFrame(rows, columns=COLUMNS)


def steered(
    model: PreTrainedModel, layer: int, source: str, vector: torch.Tensor, length: float
) -> AbstractContextManager[object]:
    """A context in which ``length`` times ``vector`` is added after ``layer``, or nothing where ``source`` is none."""
    return nullcontext() if source == UNSTEERED else adding(model, layer, vector, length)


def random_vectors(count: int, width: int, seed: int) -> dict[str, torch.Tensor]:
    """Random unit vectors (width,): the control of every vector."""
    drawn = {
        f"{CONTROL}{i + 1}": torch.tensor(generator(seed, "control", i).standard_normal(width)) for i in range(count)
    }
    return {name: (vector / vector.norm()).float() for name, vector in drawn.items()}
