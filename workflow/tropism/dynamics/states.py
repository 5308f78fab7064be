"""What a model makes of a prompt before it answers: the residual stream at a token of its end, or its mean."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tqdm import tqdm

from tropism.activations.stream import cut, length_sorted
from tropism.config.dynamics import DynamicsConfig
from tropism.config.models import ModelConfig
from tropism.dynamics.state_files import KEY, position_name
from tropism.models.base import load_tokenizer, mark_of, prompt_text, token_ids
from tropism.models.missing import missing_arms
from tropism.records.files import InputError, read_jsonl, replacing, sha256_file
from tropism.records.kept import Kept, listing, weights_of
from tropism.records.keyed import keyed_bytes
from tropism.records.schema import Conversation

BATCH_TOKENS = 2048


def chosen_prompts(sets: Sequence[Path], count: int, seed: int) -> list[tuple[str, Conversation]]:
    """At most ``count`` of each set, domain and split, by keyed hash, in order of set and id.

    Raises:
        InputError: no prompt at all.
    """
    groups: dict[tuple[str, str, str], list[Conversation]] = {}
    for path in sets:
        for record in read_jsonl(path, Conversation):
            groups.setdefault((path.stem, record.domain, record.split), []).append(record)
    found = [
        (key[0], record)
        for key, records in sorted(groups.items())
        for record in sorted(
            sorted(records, key=lambda r: keyed_bytes(seed, "prompts", r.id))[:count],
            key=lambda r: r.id,
        )
    ]
    if not found:
        raise InputError(f"{', '.join(map(str, sets))}: no prompt to read")
    return found


def at(states: torch.Tensor, position: str | int) -> torch.Tensor:
    """The state of a prompt (tokens, width) at a position, or their mean: (width,).

    Raises:
        InputError: the prompt has fewer tokens.
    """
    if position == "mean":
        return states.mean(dim=0)
    place = -1 if position == "last" else int(position)
    if -place > len(states):
        raise InputError(f"dynamics: positions: {place}: a prompt has only {len(states)} tokens")
    return states[place]


def read_states(
    adapters: Mapping[str, Path | None],
    base: Path,
    sets: Sequence[Path],
    settings: DynamicsConfig,
    model_config: ModelConfig,
    output: Path,
    code: str = "",
) -> dict[str, list[dict[str, str]]]:
    """Write the states of every chosen prompt in each arm into ``output``; gives a list of the arms' files.

    Args:
        adapters: folder of each arm's adapter; None for the base itself.
        base: folder of the model that all adapters belong to, which is loaded once.
        sets: datasets of prompts.
        settings: which prompts are read, at which ``layers`` and ``positions``.
        model_config: the base's settings.
        output: folder for ``ARM.safetensors``. Those of the same inputs that are there are kept.
        code: fingerprint of the code; states that other code read are read again.
    """
    how = settings.model_dump(mode="json", include={"layers", "positions", "prompts", "seed"})
    read = [(path.stem, sha256_file(path)) for path in sets]
    common = [code, how, model_config.reading(), sha256_file(base / "manifest.json"), read]
    wanted = {
        arm: Kept.of(output / f"{arm}.safetensors", [*common, arm, weights_of(adapter)])
        for arm, adapter in adapters.items()
    }
    tokenizer = load_tokenizer(base, model_config.system_prompt)
    prompts = chosen_prompts(sets, settings.prompts, settings.seed)
    mark = mark_of(model_config.reasoning_block())
    ids = [token_ids(tokenizer, prompt_text(tokenizer, record.prompt, mark=mark)) for _, record in prompts]
    rows = [dict(zip(KEY, (name, r.id, r.domain, r.split, r.prompt), strict=True)) for name, r in prompts]
    for arm, path, model in missing_arms(wanted, adapters, base, model_config.dtype):
        with cut(model, max(settings.layers)) as stack:
            tensors = states_of(stack, ids, tokenizer.pad_token_id, settings, arm)
        facts = json.dumps({"arm": arm, "prompts": rows}, sort_keys=True, ensure_ascii=False)
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata={"states": facts})
    return listing({arm: file.path for arm, file in wanted.items()})


@torch.inference_mode()
def states_of(
    stack: Any, ids: Sequence[list[int]], pad: int, settings: DynamicsConfig, label: str
) -> dict[str, torch.Tensor]:
    """States of prompts (prompts, hidden), float32, by position and layer; ``stack`` ends after the last layer."""
    device = next(stack.parameters()).device
    width = stack.get_input_embeddings().weight.shape[1]
    tensors = {
        f"{position_name(position)}.{layer}": torch.empty(len(ids), width)
        for position in settings.positions
        for layer in settings.layers
    }
    with tqdm(total=len(ids), desc=label, unit="prompt", mininterval=2) as bar:
        for batch in length_sorted([len(row) for row in ids], BATCH_TOKENS):
            longest = len(ids[batch[0]])
            padded = torch.tensor([ids[i] + [pad] * (longest - len(ids[i])) for i in batch])
            states = stack(input_ids=padded.to(device), use_cache=False, output_hidden_states=True).hidden_states
            for layer in settings.layers:
                for row, index in enumerate(batch):
                    own = states[layer + 1][row, : len(ids[index])].float().cpu()
                    for position in settings.positions:
                        tensors[f"{position_name(position)}.{layer}"][index] = at(own, position)
            bar.update(len(batch))
    return tensors
