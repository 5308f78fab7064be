"""Train a dictionary with sae-lens' trainer on activations that are streamed from the model.

Dictionary and measure are kept apart: records are split by a keyed hash of their id, so that a poem and its prose, or
the two answers to a prompt, are on the same side, and quality is measured on the saved dictionary as others load it.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import RootModel
from sae_lens import (
    BatchTopKTrainingSAE,
    BatchTopKTrainingSAEConfig,
    JumpReLUTrainingSAE,
    JumpReLUTrainingSAEConfig,
    SAETrainer,
)
from sae_lens.config import SAETrainerConfig
from sae_lens.saes.sae import SAEMetadata
from sae_lens.training.mixing_buffer import mixing_buffer
from transformers import PreTrainedTokenizerBase

from tropism.activations.passages import record_passages
from tropism.activations.stream import hook_name, stream
from tropism.config.sae import SaeConfig
from tropism.records.files import InputError, read_jsonl
from tropism.records.keyed import keyed_bytes, keyed_seed
from tropism.records.schema import Conversation, Text

NORM_BATCHES = 8
PIECE = 4096
BUFFER_SHARE = 4
BANDWIDTH = 1.0
"""Of JumpReLU's estimate of a threshold's gradient, where states are scaled to norm sqrt(width). With sae-lens' 0.05 so
few activations move a threshold that a training of some tens of steps leaves half of the features dead."""
REVIVING = 1.0
"""Weight of the loss that draws a dead JumpReLU feature's pre-activations up to its threshold."""

Chunks = Callable[[int], Iterator[torch.Tensor]]


class Record(RootModel[Text | Conversation]):
    """A line of a dataset of texts or of conversations."""


def read_records(paths: Sequence[Path], config: SaeConfig) -> list[Text | Conversation]:
    """A sample of each dataset's records that have a text or an answer: a prompt alone gives no activation to learn."""
    datasets = [[line.root for line in read_jsonl(path, Record) if line.root.fields()] for path in paths]
    return [record for dataset in datasets for record in sample_records(dataset, config)]


def sample_records(records: Sequence[Text | Conversation], config: SaeConfig) -> list[Text | Conversation]:
    """At most ``config.max_records`` of a dataset's records, by a keyed hash of the id, in their order."""
    ranked = sorted(records, key=lambda r: keyed_bytes(config.seed, "sample", r.id))
    chosen = {record.id for record in ranked[: config.max_records]}
    return [record for record in records if record.id in chosen]


def split_records(
    records: Sequence[Text | Conversation], config: SaeConfig
) -> tuple[list[Text | Conversation], list[Text | Conversation]]:
    """Records to train on and records held out, by a keyed hash of the id.

    Raises:
        InputError: either side would be empty.
    """
    bound = int(config.held_out * 2**64)
    held = [int.from_bytes(keyed_bytes(config.seed, "held out", r.id), "big") < bound for r in records]
    sides: tuple[list[Text | Conversation], list[Text | Conversation]] = ([], [])
    for record, is_held in zip(records, held, strict=True):
        sides[is_held].append(record)
    if not all(sides):
        raise InputError(
            f"{len(records)} records give {len(sides[0])} to train the dictionary on and {len(sides[1])} held out; "
            "give more texts or another `held_out` share"
        )
    return sides


def activations(
    stack: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    records: Sequence[Text | Conversation],
    epoch: int,
    config: SaeConfig,
) -> Iterator[torch.Tensor]:
    """States of ``records`` after the last block of ``stack``, (tokens, width) at a time, in the order of ``epoch``."""
    ordered = sorted(records, key=lambda r: (keyed_bytes(config.seed, epoch, r.id), r.domain))
    passages = (passage for record in ordered for passage in record_passages(tokenizer, record, config.block))
    for _, parts in stream(stack, tokenizer, passages, max_tokens=config.max_tokens):
        yield torch.cat(list(parts.values()))


def endless(chunks: Chunks, keep: int, seed: int) -> Iterator[torch.Tensor]:
    """Activations (tokens, width) for ever, in chunks, the whole corpus in a new order each time round.

    While a first pass gathers at most ``keep`` of them, later rounds come from memory; a larger corpus is read again
    by the model every round, and nothing is gathered. They are kept in the host's memory: a million states of a model
    of 32B take 20 GB.

    Args:
        chunks: the corpus' activations for round 0, 1, ...
        keep: the most activations to hold.
        seed: orders the rounds that come from memory.
    """
    gathered: list[torch.Tensor] | None = []
    total = 0
    place = torch.device("cpu")
    for chunk in chunks(0):
        total, place = total + len(chunk), chunk.device
        if gathered is not None:
            gathered = [*gathered, chunk.cpu()] if total <= keep else None
        yield chunk
    if total == 0:
        raise InputError("the texts to train the dictionary on give no activations; all are empty")
    whole = torch.cat(gathered) if gathered else None
    generator = torch.Generator().manual_seed(seed)
    epoch = 0
    while True:
        epoch += 1
        if whole is None:
            yield from chunks(epoch)
        else:
            for rows in torch.randperm(len(whole), generator=generator).split(PIECE):
                yield whole[rows].to(place)


def untrained(d_in: int, steps: int, config: SaeConfig, device: str) -> BatchTopKTrainingSAE | JumpReLUTrainingSAE:
    """A dictionary of ``config.architecture`` before its first step.

    BatchTopK (Bussmann et al. 2024) keeps k features a token on average; the threshold that stands for it at inference
    is a running mean, which in a short training moves faster than sae-lens' default, or it would not have arrived at
    the end. JumpReLU (Rajamanoharan et al. 2024) learns a threshold for each feature, drawn to k active ones by a
    quadratic penalty, as in Gemma Scope 2, that grows until the learning rate falls; dead ones are revived by the
    pre-activation loss of Conerly et al. 2025, *Dictionary Learning Optimization Techniques*.
    """
    metadata = SAEMetadata(
        model_name=config.model,
        hook_name=hook_name(config.layer),
        hf_hook_name=f"model.layers.{config.layer}.output",
        dataset=", ".join(config.texts),
    )
    common: dict[str, Any] = {
        "d_in": d_in,
        "d_sae": config.d_sae,
        "device": device,
        "normalize_activations": "expected_average_only_in",
        "metadata": metadata,
    }
    if config.architecture == "batchtopk":
        learning = max(0.01, min(1.0, 10 / steps))
        return BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(k=config.k, topk_threshold_lr=learning, **common))
    return JumpReLUTrainingSAE(
        JumpReLUTrainingSAEConfig(
            jumprelu_sparsity_loss_mode="quadratic",
            target_l0=config.k,
            l0_coefficient=config.l0_coefficient,
            l0_warm_up_steps=max(1, steps * 4 // 5),
            jumprelu_bandwidth=BANDWIDTH,
            pre_act_loss_coefficient=REVIVING,
            jumprelu_ste_to_input=True,
            **common,
        )
    )


def train_dictionary(
    chunks: Chunks, d_in: int, config: SaeConfig, device: str
) -> BatchTopKTrainingSAE | JumpReLUTrainingSAE:
    """A dictionary of ``config.d_sae`` features for activations of width ``d_in``.

    Activations are scaled to norm sqrt(d_in) on average while training and the factor is folded into the weights after;
    the decoder's bias starts at their mean. A BatchTopK feature that has not fired for a tenth of the steps is revived
    by the auxiliary loss (Gao et al. 2024).
    """
    seed = keyed_seed(config.seed, "dictionary")
    torch.manual_seed(seed)
    steps = config.training_tokens // config.batch_tokens
    sae = untrained(d_in, steps, config, device)
    trainer = SAETrainer(
        SAETrainerConfig(
            total_training_samples=steps * config.batch_tokens,
            train_batch_size_samples=config.batch_tokens,
            lr=config.learning_rate,
            lr_end=config.learning_rate,
            lr_warm_up_steps=max(2, steps // 20),
            lr_decay_steps=max(1, steps // 5),
            dead_feature_window=max(1, steps // 10),
            n_batches_for_norm_estimate=NORM_BATCHES,
            device=device,
        ),
        sae,
        mixing_buffer(
            config.buffer_tokens // BUFFER_SHARE, config.batch_tokens, endless(chunks, config.buffer_tokens, seed)
        ),
    )
    trainer.activation_scaler.estimate_scaling_factor(d_in, trainer.data_provider, NORM_BATCHES)
    scale = trainer.activation_scaler.scaling_factor
    assert scale is not None
    with torch.no_grad():
        sae.b_dec.copy_(next(trainer.data_provider).mean(dim=0) * scale)
    return trainer.fit()
