"""Dictionaries that others trained: sae-lens releases, and folders in its format.

Two mistakes are easy with a published dictionary and say nothing by themselves: to read the layer beside the right one,
and to leave out the factor that its training scaled activations by. Both cost explained variance, so it is measured on
a probe text before a feature of it is believed.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tropism.activations.passages import record_passages, tokenise
from tropism.activations.stream import attention_sinks
from tropism.config.models import ReasoningConfig
from tropism.config.sae import SaeSource
from tropism.records.files import InputError
from tropism.records.schema import Conversation, Text

if TYPE_CHECKING:
    from sae_lens import SAE

PROBE = 24
"""Records of the probe text."""
MARGIN = 0.02
"""Variance explained by which another layer or scale has to be better before it is suspected."""


def load_source(source: SaeSource, device: str) -> tuple["SAE[Any]", dict[str, str | None]]:
    """The dictionary that ``source`` names, and the ``release`` and ``sae_id`` that its features are known by.

    A release is loaded by its name, never by its files, because sae-lens knows a release's norm factor by that name. A
    folder's names are those of its manifest, where it has one, and else the folder's own or the registry's.

    Raises:
        InputError: there is no dictionary in the folder, or one that has to be converted first.
    """
    from sae_lens import SAE

    if source.kind == "release":
        facts = {"release": source.release, "sae_id": source.id}
        return SAE.from_pretrained(source.release, str(source.id), device=device), facts
    registered = source.kind == "registered"
    folder = (Path("results/sources", source.release) if registered else Path(source.release)) / (source.id or "")
    if not (folder / "cfg.json").is_file():
        pickled = sorted(path.name for path in folder.glob("*.pt"))
        if pickled:
            raise InputError(
                f"{folder}: holds {pickled[0]}, a pickle, which no job opens. Convert it once, `python -m tropism.sae"
                f" convert {folder} --output NEW`, and name NEW"
            )
        raise InputError(
            f"{folder}: no cfg.json; a dictionary in sae-lens format has cfg.json and sae_weights.safetensors"
        )
    manifest = folder / "manifest.json"
    known = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {}
    facts = {
        "release": known.get("release", source.release if registered else folder.name),
        "sae_id": known.get("sae_id", source.id),
    }
    return SAE.load_from_disk(folder, device=device), facts


@torch.no_grad()
def probe_states(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    records: Sequence[Text | Conversation],
    layers: Iterable[int],
    max_tokens: int,
    block: ReasoningConfig | None = None,
) -> dict[int, torch.Tensor]:
    """States of a probe text after each of ``layers``, (tokens, width) each: ``PROBE`` records, sinks left out.

    ``block`` is how the base reasons, if it does.
    """
    seen: dict[int, list[torch.Tensor]] = {layer: [] for layer in layers}
    latest: dict[int, torch.Tensor] = {}

    def reader(layer: int) -> Callable[..., None]:
        def keep(_module: torch.nn.Module, _inputs: Any, output: Any) -> None:
            latest[layer] = (output[0] if isinstance(output, tuple) else output)[0].float()

        return keep

    stack = model.get_decoder()
    handles = [stack.layers[layer].register_forward_hook(reader(layer)) for layer in seen]
    for record in records[:PROBE]:
        for passage in record_passages(tokenizer, record, block):
            ids = tokenise(tokenizer, passage, max_tokens).ids
            if ids:
                stack(input_ids=torch.tensor([ids], device=model.device), use_cache=False)
                for layer, states in latest.items():
                    seen[layer].append(states[~attention_sinks(states)])
    for handle in handles:
        handle.remove()
    return {layer: torch.cat(states) for layer, states in seen.items()}


@torch.no_grad()
def explained(sae: "SAE[Any]", states: torch.Tensor, scale: float = 1.0) -> float:
    """Share of the variance of ``states`` (tokens, d_in) that the dictionary explains when they are read ``scale``d."""
    read = states.to(sae.device).float() * scale
    error = (sae.decode(sae.encode(read)) - read).double().square().sum()
    return float(1 - error / (read.double() - read.double().mean(dim=0)).square().sum())


def check_variance(sae: "SAE[Any]", states: Mapping[int, torch.Tensor], layer: int, least: float) -> dict[str, float]:
    """Variance explained at ``layer``, if nothing looks wrong.

    Args:
        sae: the dictionary.
        states: a probe text's states after ``layer`` and, where they are, the layers beside it, (tokens, d_in) each.
        layer: block that the dictionary is said to read.
        least: the smallest share that is accepted.

    Raises:
        InputError: states scaled to norm sqrt(d_in), as many dictionaries are trained on, are explained better; or the
            layer beside is; or too little is. The message says which.
    """
    found = {number: explained(sae, values) for number, values in states.items()}
    here = found[layer]
    factor = math.sqrt(sae.cfg.d_in) / float(states[layer].float().norm(dim=1).mean())
    scaled = explained(sae, states[layer], factor)
    best = max(found, key=lambda number: (found[number], number == layer))
    says = f"the dictionary explains {here:.1%} of the variance after block {layer}"
    if scaled > max(here, found[best]) + MARGIN:
        raise InputError(
            f"{says}, and {scaled:.1%} of activations scaled by {factor:.4g}: it looks as if its norm factor is"
            " missing. Load a release by its name, not by its files, or fold the factor into the weights"
        )
    if found[best] > here + MARGIN:
        raise InputError(
            f"{says}, and {found[best]:.1%} after block {best}: it looks off by one layer."
            f" `resid_post_layer_k` is hidden_states[k + 1]; set `layer: {best}` if that is what it was trained on"
        )
    if here < least:
        raise InputError(
            f"{says}, less than `min_variance_explained` {least:g}; neither a layer beside it nor a norm factor mends"
            " it. Is it a dictionary of this model?"
        )
    return {"variance_explained": here, "variance_explained_scaled": scaled}
