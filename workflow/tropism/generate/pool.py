"""Rows that are answered together: one that ends leaves the key-value cache, and a waiting prompt takes its place."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import pad
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from tropism.models.attention import looks_all_the_way_back


def common_prefix(prompts: Sequence[Sequence[int]]) -> list[int]:
    """The tokens that all prompts begin with, short of any prompt's last one, which its first new token follows."""
    columns = zip(*(prompt[:-1] for prompt in prompts), strict=False)
    return [column[0] for column in itertools.takewhile(lambda column: len(set(column)) == 1, columns)]


@dataclass(frozen=True)
class Parked:
    """A row that waits outside the pool: keys and values of each layer, (heads, columns, width), in the host's memory.

    ``token`` is its newest, which has not been read yet.
    """

    row: int
    token: int
    states: list[tuple[torch.Tensor, torch.Tensor]]

    @property
    def columns(self) -> int:
        """Tokens that were read: the columns that the row takes in a pool."""
        return int(self.states[0][0].shape[1])


class Pool:
    """Living rows with their cache; what all prompts begin with (a template's system prompt) is read once.

    ``rows`` says which prompt each row answers; ``mask`` (rows, columns) which columns of the cache are its own.
    Columns that no row uses any more are dropped, so the pool is never wider than the longest prompt and the longest
    response together.

    A base with sliding or other special attention keeps a cache that cannot be put together from parts: there the
    prefix is read with each prompt, new rows wait until the pool is empty (``refills`` is False), and none is
    parked.
    """

    def __init__(self, model: PreTrainedModel, prefix: Sequence[int], padding: int) -> None:
        self.model, self.padding = model, padding
        self.rows: list[int] = []
        self.mask = torch.empty(0, 0, dtype=torch.long, device=model.device)
        self.cache = DynamicCache(config=model.config)
        self.refills = looks_all_the_way_back(self.cache)
        self.width = len(prefix) if self.refills else 0
        self.prefix = DynamicCache(config=model.config)
        if self.width:
            ids = torch.tensor([list(prefix)], device=model.device)
            # the decoder alone: nothing is predicted here, and an intervention on responses has to know that
            model.get_decoder()(input_ids=ids, past_key_values=self.prefix)

    def join(self, rows: Sequence[int], prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """Read new prompts and put them after the present rows; logits of their first tokens, (new, vocabulary).

        Raises:
            ValueError: rows are present and this base's cache cannot take others beside them.
        """
        if self.rows and not self.refills:
            raise ValueError("this base's cache takes new rows only when it is empty")
        tails = [list(prompt[self.width :]) for prompt in prompts]
        longest = max(map(len, tails))
        device = self.model.device
        ids = torch.tensor([[self.padding] * (longest - len(t)) + t for t in tails], device=device)
        mask = torch.tensor([[1] * self.width + [0] * (longest - len(t)) + [1] * len(t) for t in tails], device=device)
        cache = self._prefix_for(len(tails))
        logits = self._forward(ids, mask, cache)
        self._add(rows, mask, cache)
        return logits

    def park(self, at: int, token: int) -> Parked:
        """Take a row out, so that it goes on later with its newest ``token``, which was not read yet.

        Raises:
            ValueError: this base's cache cannot be taken apart.
        """
        if not self.refills:
            raise ValueError("this base's cache cannot be taken apart, so none of its rows can be parked")
        own = self.mask[at].nonzero()[:, 0]
        states = [
            (layer.keys[at].index_select(1, own).cpu(), layer.values[at].index_select(1, own).cpu())
            for layer in _layers(self.cache)
        ]
        parked = Parked(self.rows[at], token, states)
        self.keep(torch.arange(len(self.rows), device=self.mask.device) != at)
        return parked

    def resume(self, parked: Sequence[Parked]) -> torch.Tensor:
        """Put parked rows after the present ones; their newest tokens, (rows,)."""
        longest, device = max(row.columns for row in parked), self.model.device
        mask = torch.tensor([[0] * (longest - row.columns) + [1] * row.columns for row in parked], device=device)

        def together(parts: Sequence[torch.Tensor]) -> torch.Tensor:
            return torch.stack([pad(part, (0, 0, longest - part.shape[1], 0)) for part in parts]).to(device)

        cache = DynamicCache(config=self.model.config)
        for number, layer in enumerate(zip(*(row.states for row in parked), strict=True)):
            keys, values = zip(*layer, strict=True)
            cache.update(together(keys), together(values), number)
        self._add([row.row for row in parked], mask, cache)
        return torch.tensor([row.token for row in parked], device=device)

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Read each row's newest token, (rows,); logits of the next, (rows, vocabulary)."""
        self.mask = pad(self.mask, (0, 1), value=1)
        return self._forward(tokens[:, None], self.mask, self.cache)

    def keep(self, living: torch.Tensor) -> None:
        """Drop the rows that are not ``living``, (rows,), and the columns that only they used."""
        kept = living.nonzero()[:, 0]
        self.rows = [self.rows[index] for index in kept.tolist()]
        self.mask = self.mask[kept]
        if not self.refills:
            self.cache.batch_select_indices(kept)
            return
        used = self.mask.any(dim=0).nonzero()[:, 0]
        self.mask = self.mask[:, used]
        for layer in _layers(self.cache):
            layer.keys = layer.keys[kept].index_select(2, used)
            layer.values = layer.values[kept].index_select(2, used)

    def _add(self, rows: Sequence[int], mask: torch.Tensor, cache: DynamicCache) -> None:
        """Put rows, already read, behind the present ones."""
        if self.rows:
            columns = max(mask.shape[1], self.mask.shape[1])
            self.mask = torch.cat([pad(part, (columns - part.shape[1], 0)) for part in (self.mask, mask)])
            # a layer at a time, so that no second copy of the whole cache is held
            for own, new in zip(_layers(self.cache), _layers(cache), strict=True):
                own.keys, own.values = _stack(own.keys, new.keys), _stack(own.values, new.values)
                new.keys = new.values = None
        else:
            self.mask, self.cache = mask, cache
        self.rows += rows

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        output = self.model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, logits_to_keep=1
        )
        return output.logits[:, -1]

    def _prefix_for(self, rows: int) -> DynamicCache:
        """A cache that holds the prefix once for each of ``rows``."""
        states = [
            (layer.keys.expand(rows, -1, -1, -1), layer.values.expand(rows, -1, -1, -1))
            for layer in _layers(self.prefix)
        ]
        return DynamicCache(states, config=self.model.config) if states else DynamicCache(config=self.model.config)


def _layers(cache: DynamicCache) -> Iterator[Any]:
    """The layers that hold something: their ``keys`` and ``values`` are (rows, heads, columns, width)."""
    for layer in cache.layers:
        if isinstance(layer, DynamicLayer) and layer.keys is not None and layer.values is not None:
            yield layer


def _stack(present: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Rows of both, the shorter one padded on the left."""
    columns = max(present.shape[2], new.shape[2])
    return torch.cat([pad(part, (0, 0, columns - part.shape[2], 0)) for part in (present, new)])
