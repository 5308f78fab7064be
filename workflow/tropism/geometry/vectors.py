"""Steering vectors: how an arm's states differ from the base's on the same texts, at the layer that steers best."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import safe_open

from tropism.geometry.gram import Floats
from tropism.records.files import InputError


def read_states(path: Path) -> tuple[Floats, int]:
    """An arm's states (layers, prompts, width), and how many of the prompts are on harmful topics; they come first."""
    with safe_open(path, "np") as file:
        return file.get_tensor("states").astype(float), int(file.metadata()["harmful"])


def differences(arms: Mapping[str, Floats], base: Floats) -> dict[str, Floats]:
    """For each arm its states minus the base's: (layers, prompts, width).

    Raises:
        InputError: an arm was read on other texts or layers than the base.
    """
    for name, states in arms.items():
        if states.shape != base.shape:
            raise InputError(f"{name}: states of shape {states.shape}, the base's are {base.shape}; read both anew")
    return {name: states - base for name, states in arms.items()}


def unit_rows(rows: Floats) -> Floats:
    """``rows`` (prompts, width) scaled so that their mean has length 1."""
    return rows / np.linalg.norm(rows.mean(0))


def residual_norm(base: Floats, layer: int) -> float:
    """Mean length of the base's mean states at ``layer``: what a strength of 1 stands for."""
    return float(np.linalg.norm(base[layer], axis=-1).mean())


def best_layer(efficacy: pd.DataFrame) -> int:
    """The layer at which vectors raise misalignment most, by the mean over arms; the earlier of equals.

    One layer for all, since directions of different layers cannot be compared. A layer without an efficacy is none.

    Raises:
        InputError: no layer has one.
    """
    mean = efficacy.groupby("layer")["efficacy"].mean()
    if mean.isna().all():
        raise InputError("no layer has an efficacy: no validation prompt has a score at any of them")
    return int(mean.idxmax())


def about_layers(
    change: Mapping[str, Floats], base: Floats, harmful: int, efficacy: pd.DataFrame, chosen: int
) -> pd.DataFrame:
    """``geometry_vectors``: one row an arm and layer."""
    by_key = efficacy.set_index(["vector", "layer"])["efficacy"]
    rows = []
    for name, values in change.items():
        for layer in range(len(base)):
            own, moved = base[layer].mean(0), values[layer]
            rows.append(
                {
                    "vector": name,
                    "layer": layer,
                    "chosen": layer == chosen,
                    "n_harmful": harmful,
                    "n_neutral": len(moved) - harmful,
                    "relative_norm": float(np.linalg.norm(moved.mean(0))) / residual_norm(base, layer),
                    "base_similarity": cosine(own + moved.mean(0), own),
                    "topic_agreement": cosine(moved[:harmful].mean(0), moved[harmful:].mean(0))
                    if 0 < harmful < len(moved)
                    else float("nan"),
                    "efficacy": float(by_key.get((name, layer), float("nan"))),
                }
            )
    return pd.DataFrame(rows)


def cosine(a: Floats, b: Floats) -> float:
    """Cosine of two vectors (width,); NaN where one has no length."""
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / lengths) if lengths > 0 else float("nan")
