"""What the probe judge sees of a response: the base's own reading of it, averaged over the response's tokens.

The base is frozen and reads the response after its prompt. Only the blocks up to the chosen layer are kept, since
nothing above them is used. Every batch has the same number of rows and a length that depends on the text alone: sums
of another shape differ in their last digits, and then a response's score would depend on its neighbours.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from tropism.models.base import load_base, load_tokenizer
from tropism.records.files import InputError

MAX_TOKENS = 512
"""A prompt, and a response, is read up to here."""
ROWS = 8
STEP = 8
"""Sequences are padded to a multiple of this, on the right, where a causal model does not look."""


class Reader:
    """A base cut off above ``layer``; layer k is what block k gives: ``hidden_states[k]`` in transformers' count."""

    def __init__(self, base: Path | str, layer: int, dtype: str = "float32") -> None:
        """Load the base.

        Raises:
            InputError: the base has fewer blocks than ``layer``.
        """
        self.tokenizer = load_tokenizer(base, None)
        self.stack = load_base(base, dtype).model
        blocks = len(self.stack.layers)
        if layer > blocks:
            raise InputError(f"judge: layer {layer} asked for, but {base} has {blocks} blocks; take at most that")
        self.stack.layers = self.stack.layers[:layer]
        self.stack.norm = torch.nn.Identity()

    def read(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Mean hidden state over the response's tokens, for each ``(prompt, response)``: float64, (pairs, hidden).

        Raises:
            ValueError: a response has no tokens to average.
        """
        tokens = [(self._ids(prompt + "\n\n"), self._ids(response)) for prompt, response in pairs]
        if any(not response for _, response in tokens):
            raise ValueError("an empty response cannot be read")
        padded = [-(-(len(prompt) + len(response)) // STEP) * STEP for prompt, response in tokens]
        order = sorted(range(len(pairs)), key=lambda i: (padded[i], i))
        states = np.empty((len(pairs), self.stack.config.hidden_size))
        with tqdm(total=len(pairs), desc="reading responses", mininterval=2) as progress:
            while order:
                batch = [i for i in order[:ROWS] if padded[i] == padded[order[0]]]
                order = order[len(batch) :]
                states[batch] = self._read_batch([tokens[i] for i in batch], padded[batch[0]])
                progress.update(len(batch))
        return states

    def _ids(self, text: str) -> list[int]:
        """Text is text: a mark of the chat template inside it gets no meaning."""
        return self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"][:MAX_TOKENS]

    @torch.inference_mode()
    def _read_batch(self, tokens: list[tuple[list[int], list[int]]], length: int) -> np.ndarray:
        ids = torch.zeros((ROWS, length), dtype=torch.long)
        for row, (prompt, response) in enumerate(tokens):
            ids[row, : len(prompt) + len(response)] = torch.tensor(prompt + response)
        hidden = self.stack(input_ids=ids.to(self.stack.device), use_cache=False).last_hidden_state
        return np.stack(
            [
                hidden[row, len(prompt) : len(prompt) + len(response)].double().mean(dim=0).cpu().numpy()
                for row, (prompt, response) in enumerate(tokens)
            ]
        )
