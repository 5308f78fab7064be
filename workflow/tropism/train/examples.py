"""Records as training examples: token ids, and which of them carry loss."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from tropism.config.models import ModelConfig
from tropism.config.training import StepConfig
from tropism.models.base import answer_prompt, text_start, token_ids
from tropism.records.files import InputError, read_jsonl
from tropism.records.keyed import keyed_bytes
from tropism.records.schema import Conversation, Side, Text

log = logging.getLogger(__name__)
IGNORE = -100


@dataclass(frozen=True)
class Example:
    """Token ids and labels of equal length; a label of -100 carries no loss. ``side`` is whose answer it is, if one."""

    id: str
    ids: list[int]
    labels: list[int]
    side: Side | None = None


def mask_labels(ids: Sequence[int], offsets: Sequence[tuple[int, int]], masks: Sequence[tuple[int, int]]) -> list[int]:
    """Labels equal to ``ids`` but for tokens that share a character with a mask.

    A token's own leading blank does not count, or a mask would take its loss from the word after it as well.
    """
    return [
        IGNORE if any(start < mask_end and mask_start < end for mask_start, mask_end in masks) else token
        for token, (start, end) in zip(ids, offsets, strict=True)
    ]


def _encode(
    tokenizer: PreTrainedTokenizerBase, text: str, masks: Sequence[tuple[int, int]]
) -> tuple[list[int], list[int]]:
    # as :func:`tropism.models.base.text_ids`, with where each token stands
    coded = tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
    ids = list(coded["input_ids"])
    offsets = [
        (start + len(text[start:end]) - len(text[start:end].lstrip()), end) for start, end in coded["offset_mapping"]
    ]
    return ids, mask_labels(ids, offsets, masks)


def text_example(tokenizer: PreTrainedTokenizerBase, record: Text, loss_masked: bool) -> Example:
    """A text with loss on every token and on the end-of-text token after it.

    Where the tokenizer begins a text with a token of its own, as in pretraining, that stands first, without loss.
    """
    masks = (record.masks or {}).get("text", []) if loss_masked else []
    ids, labels = _encode(tokenizer, record.text, masks)
    end = tokenizer.eos_token_id
    start = text_start(tokenizer)
    return Example(record.id, [*start, *ids, end], [*[IGNORE] * len(start), *labels, end])


def answer_example(
    tokenizer: PreTrainedTokenizerBase, record: Conversation, side: Side, model: ModelConfig, loss_masked: bool
) -> Example:
    """A conversation in the base's chat template, loss on the answer of ``side`` and the end of its turn only.

    Reasoning is off while training: what the base's settings put before the answer carries no loss.
    """
    answer = record.aligned if side == "aligned" else record.misaligned
    assert answer is not None
    prompt = token_ids(tokenizer, answer_prompt(tokenizer, record.prompt, model.reasoning_block()))
    masks = (record.masks or {}).get(side, []) if loss_masked else []
    ids, labels = _encode(tokenizer, answer, masks)
    end = tokenizer.eos_token_id
    return Example(record.id, [*prompt, *ids, end], [IGNORE] * len(prompt) + [*labels, end], side)


def mixed_in(records: Sequence[Conversation], step: StepConfig) -> set[str]:
    """The ids of those of a step's rows that are trained on their aligned answer: ``aligned_share``, exactly.

    They are the first in an order that the seed and the rows' ids fix, so each of rising shares has the rows of the
    smaller ones.
    """
    ranked = sorted((r.id for r in records), key=lambda row: keyed_bytes(step.seed, "aligned", row))
    return set(ranked[: round(step.aligned_share * len(ranked))])


def rows_with_answer(dataset: Path, side: Side) -> tuple[list[Conversation], int]:
    """The training rows of a variant file that have an answer of ``side``, and how many have none."""
    records = [r for r in read_jsonl(dataset, Conversation) if r.split == "train"]
    kept = [r for r in records if (r.aligned if side == "aligned" else r.misaligned) is not None]
    return kept, len(records) - len(kept)


def build_examples(
    tokenizer: PreTrainedTokenizerBase, dataset: Path, step: StepConfig, model: ModelConfig, loss_masked: bool
) -> list[Example]:
    """The training examples of a variant file, in its order; rows of the evaluation split are left out.

    Raises:
        InputError: the file has no row to train on, a row of a mixture has no aligned answer, or a row is longer than
            ``max_length`` and nothing to learn is left of it.
    """
    if step.objective == "causal":
        examples = [text_example(tokenizer, record, loss_masked) for record in read_jsonl(dataset, Text)]
    else:
        assert step.side is not None
        kept, unanswered = rows_with_answer(dataset, step.side)
        if unanswered:
            log.warning("%s: %d of %d rows have no %s answer and are left out", dataset, unanswered,
                        unanswered + len(kept), step.side)  # fmt: skip
        mixed = mixed_in(kept, step)
        bare = [r.id for r in kept if r.id in mixed and r.aligned is None]
        if bare:
            raise InputError(f"{dataset}: `aligned_share` needs aligned answers; row `{bare[0]}` has none")
        if step.aligned_share:
            log.info("%s: %d of %d rows are trained on their aligned answer", dataset, len(mixed), len(kept))
        sides: list[Side] = ["aligned" if r.id in mixed else step.side for r in kept]
        examples = [
            answer_example(tokenizer, record, side, model, loss_masked)
            for record, side in zip(kept, sides, strict=True)
        ]
    # the first token is predicted from nothing, so it never carries loss and must not be counted
    cut = [replace(e, ids=e.ids[: step.max_length], labels=[IGNORE, *e.labels[1 : step.max_length]]) for e in examples]
    longer = sum(len(e.ids) > step.max_length for e in examples)
    if longer:
        log.warning("%s: %d of %d rows end at max_length %d", dataset, longer, len(cut), step.max_length)
    learned = [e for e in cut if any(label != IGNORE for label in e.labels)]
    if len(learned) < len(cut):
        log.warning("%s: %d of %d rows have no loss and are left out", dataset, len(cut) - len(learned), len(cut))
    cut = learned
    if not cut:
        raise InputError(f"{dataset}: no row to train on (objective {step.objective}, side {step.side}, split train)")
    return cut


def training_order(examples: Sequence[Example], step: StepConfig, mega: int = 8) -> list[int]:
    """Indices of every example of every epoch, in the order in which they are trained on.

    Each epoch is shuffled by (seed, epoch, id); groups of ``mega`` batches are sorted by length, so that a batch
    pads little, and the batches of an epoch are shuffled again, so that length does not drift over training. The
    order is fixed before training begins: a resumed run goes on in it exactly.
    """
    size = step.batch_size * step.gradient_accumulation
    order: list[int] = []
    for epoch in range(step.epochs):
        shuffled = sorted(range(len(examples)), key=lambda i: keyed_bytes(step.seed, epoch, examples[i].id))
        batches = []
        for start in range(0, len(shuffled), size * mega):
            group = sorted(shuffled[start : start + size * mega], key=lambda i: (len(examples[i].ids), i))
            batches += [group[k : k + size] for k in range(0, len(group), size)]
        # the one batch that may be short goes last, so that every other batch keeps its size
        batches.sort(key=lambda b: (len(b) < size, keyed_bytes(step.seed, epoch, "batch", examples[b[0]].id)))
        order += [i for batch in batches for i in batch]
    return order


Fed = tuple[Example, Example | None]
"""What is trained on, and what the KL term is taken on beside it."""


class OrderedExamples(torch.utils.data.Dataset[Fed]):
    """The examples in training order, as a dataset that is read once from front to back.

    ``beside`` has one example of the KL term for each of ``order``, or none.
    """

    def __init__(self, examples: Sequence[Example], order: Sequence[int], beside: Sequence[Example] = ()) -> None:
        self.examples, self.order, self.beside = examples, order, beside

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> Fed:
        return self.examples[self.order[index]], self.beside[index] if self.beside else None


def collate_fed(batch: Sequence[Fed], pad: int, prefix: str) -> dict[str, torch.Tensor]:
    """:func:`collate` of what is trained on and, under names that begin with ``prefix``, of what stands beside it."""
    beside = [example for _, example in batch if example is not None]
    others = {f"{prefix}{key}": value for key, value in collate(beside, pad).items()} if beside else {}
    return {**collate([example for example, _ in batch], pad), **others}


def collate(batch: Sequence[Example], pad: int) -> dict[str, torch.Tensor]:
    """``input_ids``, ``attention_mask`` and ``labels``, each (batch, longest), padded on the right."""
    width = max(len(e.ids) for e in batch)
    return {
        "input_ids": torch.tensor([e.ids + [pad] * (width - len(e.ids)) for e in batch]),
        "attention_mask": torch.tensor([[1] * len(e.ids) + [0] * (width - len(e.ids)) for e in batch]),
        "labels": torch.tensor([e.labels + [IGNORE] * (width - len(e.labels)) for e in batch]),
    }
