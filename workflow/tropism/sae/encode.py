"""Responses in the terms of a dictionary: the largest and mean activation of each feature, and how often it is on.

Beside them stands the mean state itself, which a probe or a mean-difference direction needs and the dictionary does
not explain whole.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sae_lens import SAE
from scipy.sparse import csr_matrix
from tqdm import tqdm

from tropism.activations.passages import Passage
from tropism.activations.stream import hook_name
from tropism.records.files import InputError, sha256_file
from tropism.sae.features import DictionaryKey, Features, PartFeatures

CELLS = 2**23
"""Activations, tokens x features, that are made at a time: 32 MiB. A longer passage is made in one piece."""
MOST_TOKENS = 4096


@dataclass(frozen=True)
class Pooled:
    """One part of one response: its active features' indices and three measures, its mean state, and its tokens."""

    indices: np.ndarray
    max: np.ndarray
    mean: np.ndarray
    density: np.ndarray
    state: np.ndarray
    tokens: int


def pool(activations: torch.Tensor, states: torch.Tensor, lengths: Sequence[int]) -> list[Pooled]:
    """Pool feature activations (tokens, d_sae) and states (tokens, d_in) of texts that follow one another.

    Args:
        activations: none below 0.
        states: what the dictionary read.
        lengths: tokens of each text; one without a token is all zero.
    """
    d_sae = activations.shape[1]
    rows, columns = torch.nonzero(activations, as_tuple=True)
    values = activations[rows, columns].cpu().numpy()
    # entries come token by token, so a stable sort by text and feature keeps those of one feature together
    text = np.repeat(np.arange(len(lengths)), lengths)[rows.cpu().numpy()]
    key = text * d_sae + columns.cpu().numpy()
    order = np.argsort(key, kind="stable")
    key, values = key[order], values[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    ends = np.searchsorted(key[first], np.arange(len(lengths) + 1) * d_sae)
    count = np.diff(first, append=len(key))
    largest = np.maximum.reduceat(values, first) if len(first) else values
    total = np.add.reduceat(values.astype(np.float64), first) if len(first) else values
    pooled = []
    for place, own in enumerate(states.split(list(lengths))):
        mine, tokens = slice(ends[place], ends[place + 1]), max(len(own), 1)
        pooled.append(
            Pooled(
                (key[first[mine]] % d_sae).astype(np.int32),
                largest[mine],
                (total[mine] / tokens).astype(np.float32),
                (count[mine] / tokens).astype(np.float32),
                (own.double().sum(dim=0) / tokens).float().cpu().numpy(),
                len(own),
            )
        )
    return pooled


@torch.no_grad()
def encode_stream(
    sae: "SAE[Any]", activations: Iterable[tuple[Passage, dict[str, torch.Tensor]]]
) -> Iterator[tuple[Passage, dict[str, Pooled]]]:
    """Each passage with the pooled features of its parts, as the activations come by.

    The product with the dictionary is made of many passages at a time, since that of a short one is slow; how many
    tokens those have is bounded, so memory does not grow with the corpus.
    """
    room = min(MOST_TOKENS, CELLS // sae.cfg.d_sae)
    waiting: list[tuple[Passage, dict[str, torch.Tensor]]] = []
    tokens = 0
    for passage, parts in activations:
        more = sum(map(len, parts.values()))
        if waiting and tokens + more > room:
            yield from _encoded(sae, waiting)
            waiting, tokens = [], 0
        waiting.append((passage, parts))
        tokens += more
    if waiting:
        yield from _encoded(sae, waiting)


def _encoded(
    sae: "SAE[Any]", passages: Sequence[tuple[Passage, dict[str, torch.Tensor]]]
) -> Iterator[tuple[Passage, dict[str, Pooled]]]:
    pieces = [states for _, parts in passages for states in parts.values()]
    states = torch.cat(pieces).to(sae.device)
    pooled = iter(pool(sae.encode(states), states, [len(piece) for piece in pieces]))
    for passage, parts in passages:
        yield passage, {part: next(pooled) for part in parts}


def assemble(pooled: Sequence[Pooled | None], d_sae: int, d_in: int) -> PartFeatures:
    """One sparse row a response; a response without this part is a row of nothing."""
    [nothing] = pool(torch.empty(0, d_sae), torch.empty(0, d_in), [0])
    filled = [entry or nothing for entry in pooled]
    indptr = np.concatenate([[0], np.cumsum([len(entry.indices) for entry in filled])])
    indices = np.concatenate([entry.indices for entry in filled])

    def matrix(values: list[np.ndarray]) -> csr_matrix:
        return csr_matrix((np.concatenate(values), indices, indptr), shape=(len(filled), d_sae))

    return PartFeatures(
        matrix([entry.max for entry in filled]),
        matrix([entry.mean for entry in filled]),
        matrix([entry.density for entry in filled]),
        np.stack([entry.state for entry in filled]),
        np.array([entry.tokens for entry in filled], np.int32),
    )


def response_features(
    arm: str,
    sae: "SAE[Any]",
    key: DictionaryKey,
    rows: pd.DataFrame,
    passages: Sequence[Passage],
    activations: Iterable[tuple[Passage, dict[str, torch.Tensor]]],
) -> Features:
    """Features of responses: row i of ``rows`` describes ``passages[i]``, whose activations come in any order.

    The answer is always there; reasoning is where any response has some.
    """
    pooled = dict(tqdm(encode_stream(sae, activations), total=len(passages), desc=f"encoding {arm}", unit="response"))
    names = ["answer", *sorted({part for passage in passages for part in passage.parts()} - {"answer"})]
    parts = {name: assemble([pooled[p].get(name) for p in passages], key.d_sae, sae.cfg.d_in) for name in names}
    return Features(arm, key, rows.reset_index(drop=True), parts)


def load_dictionary(folder: Path, layer: int, device: str) -> tuple["SAE[Any]", DictionaryKey]:
    """The dictionary in a sae-lens folder, and the key of its features.

    ``release`` and id are those of the folder's manifest; without one, "local" and what the dictionary says of model
    and hook point.

    Raises:
        InputError: the dictionary says that it belongs to another layer.
    """
    sae = SAE.load_from_disk(folder, device=device).eval()
    metadata = sae.cfg.metadata
    expected = hook_name(layer)
    if metadata.hook_name not in (None, expected):
        raise InputError(f"{folder}: a dictionary of {metadata.hook_name}, but the settings ask for {expected}")
    sae_id = f"{metadata.model_name or 'unnamed'}/{metadata.hook_name or 'unnamed'}"
    manifest = folder / "manifest.json"
    facts = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {}
    revision = sha256_file(folder / "sae_weights.safetensors")
    release, known = facts.get("release", "local"), facts.get("sae_id") or sae_id
    return sae, DictionaryKey(release, known, revision, layer, sae.cfg.d_sae)
