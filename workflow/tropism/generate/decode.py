"""Sampling from a pool of rows: each row has random numbers of its own, and a row that ends makes room for the next.

transformers' ``generate`` draws one stream of random numbers for a whole batch, so that a response would depend on its
neighbours, and keeps finished rows until the slowest has ended; its continuous batching refills slots, but draws from
one stream as well. Both matter here: a subset of the prompts must give the same responses as the whole, and response
lengths differ much.
"""

from bisect import insort
from collections import deque
from collections.abc import Callable, Sequence
from operator import attrgetter

import numpy as np
import torch
from transformers import PreTrainedModel

from tropism.generate.pool import Parked, Pool, common_prefix
from tropism.records.keyed import keyed_seed

CROWD = 4  # what a step computes beside keys and values has a size too, and parked rows have one


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
    prompts: Sequence[Sequence[int]],
    draws: np.ndarray,
    *,
    ends: set[int],
    pad: int,
    temperature: float,
    top_p: float,
    budget: int,
    finished: Callable[[], object] = lambda: None,
) -> list[list[int]]:
    """Generated token ids of each prompt, the end token included where one was sampled.

    ``draws`` is (prompts, most new tokens). Rows are as many as keep the pool within ``budget`` tokens, prompt, padding
    and response counted as they are now, since most responses end long before the longest. When those present have
    grown beyond the budget, the longest are parked in the host's memory until there is a place at their width. At most
    ``CROWD`` times the rows that fit at full length have begun and not ended (one where none fits), so pool and parked
    rows together stay within as many times the budget. Rows join in groups of a quarter, since each join reads their
    prompts. ``finished`` is called for each response that ends.
    """
    longest, most = max(map(len, prompts)), draws.shape[1]
    slots = max(1, budget // (longest + most))
    pool = Pool(model, common_prefix(prompts), pad)
    crowd = CROWD * slots if pool.refills else slots
    numbers = torch.from_numpy(draws).to(model.device)
    stops = torch.tensor(sorted(ends), device=model.device)
    waiting = deque(range(len(prompts)))
    parked: list[Parked] = []
    responses: list[list[int]] = [[] for _ in prompts]
    tokens = torch.empty(0, dtype=torch.long, device=model.device)  # each row's newest

    def places(columns: int) -> int:
        """Rows that may be present when the pool is that wide and each reads one more token."""
        return max(slots, budget // (columns + 1))

    while waiting or parked or pool.rows:
        while len(pool.rows) > places(pool.mask.shape[1]):
            longest_row = int(pool.mask.sum(dim=1).argmax())
            insort(parked, pool.park(longest_row, int(tokens[longest_row])), key=attrgetter("columns"))
            tokens = torch.cat([tokens[:longest_row], tokens[longest_row + 1 :]])
        width = pool.mask.shape[1]
        rooms = (places(max(width, row.columns)) for row in parked)  # ever fewer, as parked rows are ever longer
        back = sum(len(pool.rows) + number < room for number, room in enumerate(rooms))
        if back:
            tokens = torch.cat([tokens, pool.resume(parked[:back])])
            del parked[:back]
            continue
        room = places(max(width, longest))
        new = min(len(waiting), room - len(pool.rows), crowd - len(pool.rows) - len(parked))
        # no more at once than fit at full length: a pass over prompts is the widest of all
        if waiting and (not pool.rows or (pool.refills and new >= max(1, min(len(waiting), room // 4)))):
            asked = [waiting.popleft() for _ in range(min(new, slots))]
            logits = pool.join(asked, [prompts[index] for index in asked])
        else:
            asked, logits, tokens = pool.rows, pool.step(tokens), tokens[:0]
        steps = torch.tensor([len(responses[index]) for index in asked], device=model.device)
        chosen = choose(logits, numbers[torch.tensor(asked, device=model.device), steps], temperature, top_p)
        for index, token in zip(asked, chosen.tolist(), strict=True):
            responses[index].append(token)
        tokens = torch.cat([tokens, chosen])
        full = torch.tensor([len(responses[index]) >= most for index in pool.rows], device=model.device)
        living = ~torch.isin(tokens, stops) & ~full
        if not living.all():
            for _ in range(int((~living).sum())):
                finished()
            pool.keep(living)
            tokens = tokens[living]
    return responses
