"""Choose the layer by what steering does there, write the vectors, and try them on targets."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save_file

from tropism.config.geometry import SteeringConfig
from tropism.config.models import ModelConfig
from tropism.geometry.gram import Floats
from tropism.geometry.names import UNSTEERED, condition
from tropism.geometry.states import split_prompts
from tropism.geometry.steering import answered, measure, random_vectors, steered
from tropism.geometry.tables import VECTORS_SCHEMA
from tropism.geometry.vectors import about_layers, best_layer, differences, read_states, residual_norm, unit_rows
from tropism.likelihood.check import check_same_scores
from tropism.likelihood.rows import references
from tropism.models.base import load_arm, load_base, load_tokenizer
from tropism.records.files import InputError, replacing, sha256_file, write_table
from tropism.records.schema import Conversation, Generation
from tropism.steer.respond import respond

NONE = torch.zeros(1)


def part(harmful: Sequence[Path], config: SteeringConfig, which: int) -> list[tuple[str, Conversation]]:
    """The prompts with both references of one part of every harmful set, by set: 1 validation, 2 reported.

    Raises:
        InputError: there is none.
    """
    found = [(path.stem, record) for path in harmful for record in answered(split_prompts(path, config)[which])]
    if not found:
        raise InputError(f"no prompt with both references among {', '.join(map(str, harmful))}: nothing to steer on")
    return found


def efficacies(
    base: Path, config: SteeringConfig, model: ModelConfig, harmful: Sequence[Path],
    change: Mapping[str, Floats], states: Floats,
) -> pd.DataFrame:  # fmt: skip
    """How much each arm's vector raises the base's margin on validation prompts at each candidate layer."""
    if len(config.layers) == 1:
        return pd.DataFrame({"vector": list(change), "layer": config.layers[0], "efficacy": np.nan})
    tokenizer, untrained = load_tokenizer(base, model.system_prompt), load_base(base, model.dtype)
    records = part(harmful, config, 1)
    check_same_scores(untrained, references(tokenizer, (r for _, r in records), model.reasoning_block()))
    rows = []
    plain = None
    for layer in sorted(config.layers):
        if layer >= len(states):
            raise InputError(f"geometry: layers: {layer}: layers 0 to {len(states) - 1} of this base can be read")
        units = {name: torch.tensor(unit_rows(v[layer]).mean(0)).float() for name, v in change.items()}
        some = units if plain is not None else {UNSTEERED: NONE, **units}
        scored = measure(
            untrained, tokenizer, records, layer, [(*one, config.strength) for one in some.items()],
            residual_norm(states, layer), config.batch_tokens, model.reasoning_block(),
        )  # fmt: skip
        means = scored.groupby("source")["misalignment"].mean()
        plain = means[UNSTEERED] if plain is None else plain
        rows += [{"vector": name, "layer": layer, "efficacy": means[name] - plain} for name in change]
    return pd.DataFrame(rows)


def write_vectors(
    base: Path, config: SteeringConfig, model: ModelConfig, harmful: Sequence[Path], given: Mapping[str, Path],
    base_states: Path, vectors: Path, layers: Path, clusters: Path, output: Path,
) -> None:  # fmt: skip
    """Write the arms' vectors with provenance, at the chosen layer and at all, their clusters, and the table of layers.

    One row of a vector is one prompt's share; their mean has length 1. Of all layers they are (layers, prompts, width),
    not scaled, so that the traces over layers have intervals too.
    """
    own, count = read_states(base_states)
    change = differences({name: read_states(given[name])[0] for name in config.arms}, own)
    efficacy = efficacies(base, config, model, harmful, change, own)
    layer = best_layer(efficacy) if len(config.layers) > 1 else config.layers[0]
    manifest = base / "manifest.json"
    provenance = {
        "layer": str(layer),
        "residual_norm": repr(residual_norm(own, layer)),
        "base": sha256_file(manifest) if manifest.is_file() else "",
        "made_of": json.dumps({name: sha256_file(given[name]) for name in config.arms}, sort_keys=True),
    }
    with replacing(vectors) as temporary:
        rows = {name: torch.tensor(unit_rows(values[layer])) for name, values in change.items()}
        save_file(rows, temporary, metadata=provenance)
    with replacing(layers) as temporary:
        rows = {name: torch.tensor(values).float().contiguous() for name, values in change.items()}
        save_file(rows, temporary)
    with replacing(clusters) as temporary:
        temporary.write_text(yaml.safe_dump(config.clusters, sort_keys=False), encoding="utf-8")
    write_table(output, about_layers(change, own, count, efficacy, layer), VECTORS_SCHEMA)


def score_target(
    arm: str, base: Path, adapter: Path | None, config: SteeringConfig, model: ModelConfig, harmful: Sequence[Path],
    vectors: Path,
) -> tuple[pd.DataFrame, list[Generation]]:  # fmt: skip
    """Scores of one target under every vector and random ones, of the base at every strength; and its responses.

    There are responses where ``config.samples`` asks for some; ``arm`` of each is the :func:`steering.condition`.
    """
    with safe_open(vectors, "pt") as file:
        layer, length = int(file.metadata()["layer"]), float(file.metadata()["residual_norm"])
        units = {name: file.get_tensor(name).mean(0).float() for name in config.arms}
    width = len(next(iter(units.values())))
    sources = {**units, **random_vectors(config.controls, width, config.analysis.seed)}
    tokenizer, target = load_tokenizer(base, model.system_prompt), load_arm(base, adapter, model.dtype)
    records = part(harmful, config, 2)
    check_same_scores(target, references(tokenizer, (r for _, r in records), model.reasoning_block()))
    strengths = sorted({config.strength, *config.strengths}) if arm == config.base else [config.strength]
    conditions = [(UNSTEERED, NONE, strengths[0])]
    conditions += [(source, vector, strength) for strength in strengths for source, vector in sources.items()]
    table = measure(target, tokenizer, records, layer, conditions, length, config.batch_tokens, model.reasoning_block())
    responses: list[Generation] = []
    for source, vector, strength in conditions if config.samples else ():
        with steered(target, layer, source, vector, strength * length):
            responses += respond(
                condition(source, strength), target, tokenizer, records, config, model,
                batch_tokens=config.batch_tokens, seed=config.analysis.seed,
            )  # fmt: skip
    return table.assign(target=arm, outcome="margin"), responses
