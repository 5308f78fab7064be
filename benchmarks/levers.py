"""What ``gpu.py`` trains on without padding, and what of a training counts as computed."""

from collections.abc import Sequence
from typing import Any

import torch
from shapes import Shape

from tropism.train.examples import IGNORE, Example


def packed(batch: Sequence[Example]) -> dict[str, Any]:
    """A batch as one row without padding: positions begin anew with each example, which attention sees by that.

    No example is trained to predict the first token of the next one. Without a cache, since a model that keeps one
    takes the row for a single text.
    """
    return {
        "input_ids": torch.tensor([[token for example in batch for token in example.ids]]),
        "position_ids": torch.tensor([[place for example in batch for place in range(len(example.ids))]]),
        "labels": torch.tensor([[label for example in batch for label in (IGNORE, *example.labels[1:])]]),
        "use_cache": False,
    }


def training_flops(shape: Shape, lengths: list[int]) -> float:
    """FLOPs that LoRA training of these sequences needs: see the head of this file."""
    attention = shape.hidden * shape.head * (2 * shape.heads + 2 * shape.kv_heads)
    weights = shape.layers * (attention + 3 * shape.hidden * shape.inner) + shape.hidden * shape.vocabulary
    # scores and mixing: 2 x 2 FLOPs a pair of tokens, half of the pairs, forward and twice that backward
    pairs = sum(length**2 for length in lengths)
    return 4 * weights * sum(lengths) + 3 * 2 * shape.layers * shape.heads * shape.head * pairs
