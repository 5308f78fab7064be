"""What the probe sees of a word: what it means here, and what it means alone.

MIP (Pragglejaz Group, 2007) asks whether a word's meaning in context differs from a more basic meaning that it has
elsewhere. A language model has both: the residual stream at the word's last piece, a few layers up, is the word
read in its context; the input embedding of its pieces is the word before any context. Both are given, side by side, for
every piece of the text; the head compares them.

The model reads from left to right, but its uppermost blocks may look both ways, as in Dukić and Snajder (2024), and be
tuned to it by LoRA factors that are added to their weights. Blocks that tell the probe little may be left out.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel

from tropism.models.base import device, load_tokenizer
from tropism.records.files import InputError
from tropism.records.words import words

WINDOW = 512
STRIDE = 384
BATCH_PIECES = 1024


@dataclass(frozen=True)
class Pieces:
    """A text in the model's pieces: ``ids``; the lexical units; for each unit its first and past-the-last piece."""

    ids: list[int]
    units: list[tuple[int, int]]
    ranges: list[tuple[int, int]]


class Reader:
    """Some of a base's ``blocks``, numbered from 1; by default the lowest, up to the highest of ``layers``.

    Layer k is what the k-th of these blocks gives. The uppermost ``unmasked`` of them see the pieces after a piece as
    well as those before it.
    """

    def __init__(
        self, folder: Path | str, layers: Sequence[int], unmasked: int = 0, blocks: Sequence[int] | None = None
    ) -> None:
        """Load the base in ``folder`` without its other blocks.

        Raises:
            InputError: the base has fewer blocks, or there are fewer than are read or unmasked.
        """
        self.layers = tuple(layers)
        self.tokenizer = load_tokenizer(folder, None)
        stack = AutoModel.from_pretrained(
            str(folder), dtype=torch.float32, local_files_only=True, trust_remote_code=False
        )
        blocks = range(1, max(layers) + 1) if blocks is None else blocks
        if min(blocks) < 1 or max(layers) > len(blocks) or unmasked > len(blocks):
            raise InputError(f"layers {list(layers)} of the blocks {list(blocks)}, {unmasked} unmasked: no such layers")
        if max(blocks) > len(stack.layers):
            raise InputError(
                f"{folder}: has {len(stack.layers)} blocks, the probe reads block {max(blocks)}: it was "
                "trained on another base; name that one as the annotator's `model`"
            )
        stack.layers = torch.nn.ModuleList(stack.layers[block - 1] for block in blocks)
        stack.norm = torch.nn.Identity()
        self.seen: torch.Tensor | None = None
        for block in stack.layers[len(stack.layers) - unmasked :]:
            block.register_forward_pre_hook(self._look_both_ways, with_kwargs=True)
        self.stack = stack.to(device()).eval()
        self.embeddings = stack.get_input_embeddings().weight.detach()
        self.start = self.tokenizer.bos_token_id
        if self.start is None:
            self.start = self.tokenizer.eos_token_id

    @property
    def width(self) -> int:
        """Numbers for each piece."""
        return int(self.embeddings.shape[1]) * (len(self.layers) + 1)

    def _look_both_ways(self, block: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, {**kwargs, "attention_mask": self.seen}

    @torch.no_grad()
    def tune(self, factors: Mapping[str, tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Add to the weight of each module named in ``factors`` the product ``b @ a``, for its ``(a, b)``.

        Raises:
            AttributeError: the base has no such module.
            RuntimeError: the module is of another shape.
        """
        for module, (a, b) in factors.items():
            weight = self.stack.get_parameter(f"{module}.weight")
            weight += (b.float() @ a.float()).to(weight.device)

    def pieces(self, text: str) -> Pieces:
        """``text`` cut into pieces, and the pieces that each lexical unit touches."""
        how = {"add_special_tokens": False, "split_special_tokens": True}  # a mark's name in a text is text
        encoded = self.tokenizer(text, return_offsets_mapping=True, verbose=False, **how)
        offsets = np.array(encoded["offset_mapping"], dtype=int).reshape(-1, 2)
        units = words(text)
        first = np.searchsorted(offsets[:, 1], [start for start, _ in units], side="right")
        past = np.searchsorted(offsets[:, 0], [end for _, end in units], side="left")
        return Pieces(list(encoded["input_ids"]), units, list(zip(first.tolist(), past.tolist(), strict=True)))

    @torch.inference_mode()
    def read(self, texts: Sequence[Pieces]) -> Iterator[tuple[int, torch.Tensor]]:
        """Each text's index and features (pieces, width), float32 on the CPU, in an order of its own.

        A text longer than a window is read in windows, which overlap; of two that hold a piece, that in which it lies
        further from the edge is taken, so that it has at least 64 pieces on either side. Windows of like length share a
        forward pass; padding stands on the right, and no piece sees it.
        """
        windows = [
            (index, begin, min(begin + WINDOW, len(text.ids)))
            for index, text in enumerate(texts)
            for begin in range(0, max(1, len(text.ids) - (WINDOW - STRIDE)), STRIDE)
        ]
        missing = Counter(index for index, _, _ in windows)
        states: dict[int, dict[int, torch.Tensor]] = {index: {} for index in missing}
        for batch in _like_length(windows):
            for (index, begin, end), state in zip(batch, self._forward(texts, batch), strict=True):
                half = (WINDOW - STRIDE) // 2
                states[index][begin] = state[
                    half if begin else 0 : len(state) if end == len(texts[index].ids) else -half
                ]
                missing[index] -= 1
                if not missing[index]:
                    parts = states.pop(index)
                    read = torch.cat([parts[key] for key in sorted(parts)])
                    yield index, torch.cat([read, self.alone(texts[index])], dim=-1)

    def _forward(self, texts: Sequence[Pieces], batch: Sequence[tuple[int, int, int]]) -> Iterator[torch.Tensor]:
        longest = max(end - begin for _, begin, end in batch)
        ids = torch.full((len(batch), longest + 1), int(self.start))
        for row, (index, begin, end) in enumerate(batch):
            ids[row, 1 : end - begin + 1] = torch.tensor(texts[index].ids[begin:end], dtype=torch.long)
        lengths = torch.tensor([end - begin + 1 for _, begin, end in batch])
        inside = torch.arange(longest + 1) < lengths[:, None]
        self.seen = inside[:, None, None].expand(-1, -1, longest + 1, -1).to(self.stack.device)
        output = self.stack(input_ids=ids.to(self.stack.device), use_cache=False, output_hidden_states=True)
        chosen = torch.cat([output.hidden_states[layer] for layer in self.layers], dim=-1).cpu()
        for row, (_, begin, end) in enumerate(batch):
            yield chosen[row, 1 : end - begin + 1]

    def alone(self, text: Pieces) -> torch.Tensor:
        """Each piece's embedding (pieces, numbers); at the last piece of a unit, the mean of its pieces."""
        alone = self.embeddings[torch.tensor(text.ids, dtype=torch.long, device=self.embeddings.device)].cpu()
        for first, past in text.ranges:
            if past - first > 1:
                alone[past - 1] = alone[first:past].mean(dim=0)
        return alone


def _like_length(windows: Sequence[tuple[int, int, int]]) -> Iterator[list[tuple[int, int, int]]]:
    """Batches of windows, longest first, each of at most ``BATCH_PIECES`` when padded."""
    batch: list[tuple[int, int, int]] = []
    for window in sorted(windows, key=lambda w: (w[1] - w[2], w)):
        longest = batch[0][2] - batch[0][1] + 1 if batch else 0
        if batch and (len(batch) + 1) * longest > BATCH_PIECES:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch
