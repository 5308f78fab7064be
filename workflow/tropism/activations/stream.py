"""Stream token activations: batches of like length through as many layers as needed, no more kept than one batch.

``resid_post_layer_k`` is the residual stream after block k, counted from 0: ``hidden_states[k + 1]`` of transformers.
After the last block transformers gives the normalised state instead, so the stack here ends in no norm at all.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tropism.activations.passages import Passage, Tokens, tokenise
from tropism.records.files import InputError

SINK_RATIO = 10.0
MAX_TOKENS = 2048
BATCH_TOKENS = 2048
WINDOW = 512


def hook_name(layer: int) -> str:
    """The residual stream after block ``layer``, as sae-lens and TransformerLens call it."""
    return f"blocks.{layer}.hook_resid_post"


def truncate(model: PreTrainedModel, layer: int) -> torch.nn.Module:
    """The embedding and blocks 0 to ``layer`` of ``model``, which is taken apart and cannot be used after.

    Raises:
        InputError: the model has no such layer.
    """
    stack = _stack(model, layer)
    stack.layers = stack.layers[: layer + 1]
    stack.norm = torch.nn.Identity()
    return stack.eval()


@contextmanager
def cut(model: PreTrainedModel, layer: int) -> Iterator[torch.nn.Module]:
    """As :func:`truncate`, inside the ``with`` block alone: the model is whole after, so one copy serves both uses.

    Raises:
        InputError: the model has no such layer.
    """
    stack = _stack(model, layer)
    layers, norm = stack.layers, stack.norm
    stack.layers, stack.norm = layers[: layer + 1], torch.nn.Identity()
    try:
        yield stack.eval()
    finally:
        stack.layers, stack.norm = layers, norm


def _stack(model: PreTrainedModel, layer: int) -> Any:
    stack = model.get_decoder()
    if not 0 <= layer < len(stack.layers):
        raise InputError(f"layer {layer}: the model has layers 0 to {len(stack.layers) - 1}; mend `layer` of the SAE")
    return stack


def attention_sinks(residual: torch.Tensor) -> torch.Tensor:
    """Which tokens of one sequence, (tokens, width), have a norm above ten times the sequence's median (tokens,).

    Such tokens, the first one above all, hold attention that has nowhere to go; their huge states say nothing of the
    text and would be most of a dictionary's variance.
    """
    norms = residual.float().norm(dim=-1)
    return norms > SINK_RATIO * norms.median()


def length_sorted(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Batches of indices, longest first, each at most ``batch_tokens`` when padded, or one sequence."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


@torch.no_grad()
def read_batch(stack: torch.nn.Module, batch: Sequence[Tokens], pad: int) -> Iterator[dict[str, torch.Tensor]]:
    """For each sequence its parts' activations, (tokens, width) each in float32, attention sinks left out.

    Padding stands on the right, where causal attention never sees it, so no mask is needed.
    """
    width = max(len(tokens.ids) for tokens in batch)
    ids = torch.tensor([tokens.ids + [pad] * (width - len(tokens.ids)) for tokens in batch])
    device = next(stack.parameters()).device
    states = stack(input_ids=ids.to(device), use_cache=False).last_hidden_state
    for tokens, state in zip(batch, states, strict=True):
        residual = state[: len(tokens.ids)].float()
        kept = ~attention_sinks(residual)
        yield {
            part: residual[kept & torch.tensor([p == part for p in tokens.parts], device=device)]
            for part in tokens.passage.parts()
        }


def stream(
    stack: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    passages: Iterable[Passage],
    *,
    max_tokens: int = MAX_TOKENS,
    batch_tokens: int = BATCH_TOKENS,
) -> Iterator[tuple[Passage, dict[str, torch.Tensor]]]:
    """Each passage with the activations of its parts, (tokens, width) each, not in the order given.

    Passages are sorted by length within windows, so that a corpus of any length takes the memory of one batch. A
    passage without a token gives empty parts.

    Args:
        stack: from :func:`truncate` or :func:`cut`.
        tokenizer: the model's own.
        passages: what to read.
        max_tokens: a longer passage is cut.
        batch_tokens: tokens in a forward pass, padding included.
    """
    width = stack.get_input_embeddings().weight.shape[1]  # type: ignore[operator]
    pending = iter(passages)
    while window := list(islice(pending, WINDOW)):
        tokens = [tokenise(tokenizer, passage, max_tokens) for passage in window]
        for indices in length_sorted([len(t.ids) for t in tokens], batch_tokens):
            batch = [tokens[i] for i in indices if tokens[i].ids]
            for empty in (tokens[i] for i in indices if not tokens[i].ids):
                yield empty.passage, {part: torch.empty(0, width) for part in empty.passage.parts()}
            if batch:
                for entry, parts in zip(batch, read_batch(stack, batch, tokenizer.pad_token_id), strict=True):
                    yield entry.passage, parts
