"""Whether the layers that settings name are layers of their base, as far as that is known while planning."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tropism.config.base import ConfigError

if TYPE_CHECKING:
    from tropism.config.experiment import Experiment

MODELS = Path("results/models")


def check_layers(experiment: "Experiment") -> None:
    """Check the layers of every stage against the base's own number of blocks, where the base is here already.

    Raises:
        ConfigError: a layer that the base does not have, which a job would find out hours later.
    """
    for setting, model, layer, least, beyond in _layers(experiment):
        blocks = blocks_of(MODELS / model)
        if blocks is not None and not least <= layer <= blocks + beyond:
            raise ConfigError(
                f"config: {setting}: {layer}: `{model}` has {blocks} blocks; here {least} to"
                f" {blocks + beyond} can be read"
            )


def blocks_of(folder: Path) -> int | None:
    """How many blocks the base in ``folder`` has; None where it is not here, or does not say."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("num_hidden_layers")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, int) else None


def _layers(experiment: "Experiment") -> Iterator[tuple[str, str, int, int, int]]:
    """Setting, model, layer, the least that there is, and the highest less the number of blocks."""
    if experiment.sae:
        yield "sae: layer", experiment.sae.model, experiment.sae.layer, 0, -1
    if experiment.dynamics:
        yield from (
            ("dynamics: layers", experiment.dynamics.model, layer, 0, -1) for layer in experiment.dynamics.layers
        )
    if experiment.geometry:  # means are taken after every block but the last
        yield from (
            ("geometry: layers", experiment.geometry.model, layer, 0, -2) for layer in experiment.geometry.layers
        )
    for name, judge in experiment.judges.items():
        if judge.kind == "probe" and judge.model:
            yield f"judges: {name}: layer", judge.model, judge.layer, 1, 0
