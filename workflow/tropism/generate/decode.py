"""Sampling from a batch: each row has random numbers of its own, and rows that have ended leave the batch.

transformers' ``generate`` draws one stream of random numbers for a whole batch, so that a response would depend on its
neighbours, and keeps finished rows until the slowest has ended. Both matter here: a subset of the prompts must give the
same responses as the whole, and response lengths differ much.
"""

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

from tropism.records.keyed import keyed_seed


def uniforms(seed: int, key: tuple[object, ...], count: int) -> np.ndarray:
    """``count`` numbers in [0, 1) that depend on the seed and the key alone, (count,)."""
    return np.random.Generator(np.random.Philox(keyed_seed(seed, *key))).random(count)


def choose(logits: torch.Tensor, draws: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """One token a row, (rows,), by inversion of the cumulative distribution at ``draws``, (rows,).

    ``logits`` is (rows, vocabulary). Temperature 0 takes the most probable token. ``top_p`` keeps the fewest most
    probable tokens that together hold at least that much probability (Holtzman et al. 2020).
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = torch.softmax(logits.double() / temperature, dim=-1)
    if top_p < 1:
        ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
        beyond = ordered.cumsum(dim=-1) - ordered >= top_p
        probabilities = probabilities.masked_fill(torch.zeros_like(beyond).scatter(-1, order, beyond), 0.0)
    cumulative = probabilities.cumsum(dim=-1)
    targets = draws.to(cumulative)[:, None] * cumulative[:, -1:]
    # the first token whose cumulative probability exceeds the draw, so one of probability 0 is never taken
    return torch.searchsorted(cumulative, targets, right=True)[:, 0].clamp(max=logits.shape[-1] - 1)


@torch.inference_mode()
def decode(
    model: PreTrainedModel,
    prompts: list[list[int]],
    draws: np.ndarray,
    *,
    ends: set[int],
    pad: int,
    temperature: float,
    top_p: float,
) -> list[list[int]]:
    """Generated token ids of each prompt, the end token included where one was sampled.

    ``draws`` is (prompts, most new tokens). Prompts are padded on the left.
    """
    device = model.device
    width = max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    numbers = torch.from_numpy(draws).to(device)
    rows = torch.arange(len(prompts), device=device)  # which prompt each living row answers
    cache = DynamicCache(config=model.config)
    responses: list[list[int]] = [[] for _ in prompts]
    stops = torch.tensor(sorted(ends), device=device)
    for step in range(draws.shape[1]):
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        logits = model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, logits_to_keep=1
        ).logits[:, -1]
        tokens = choose(logits, numbers[rows, step], temperature, top_p)
        for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
            responses[row].append(token)
        living = ~torch.isin(tokens, stops)
        if not living.any():
            break
        ids = tokens[:, None]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        if not living.all():
            kept = living.nonzero()[:, 0]
            cache.batch_select_indices(kept)
            ids, mask, rows = ids[kept], mask[kept], rows[kept]
    return responses
