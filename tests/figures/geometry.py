"""Tables of steering vectors: those of the analysis are computed from made-up vectors, the others made up."""

from functools import cache

import numpy as np
import pandas as pd

from tropism.config.geometry import AnalysisConfig
from tropism.geometry import analyse
from tropism.geometry.files import Given

VECTORS = ["none-medical-original", "few-legal", "few-security", "poetry"]


@cache
def analysis() -> dict[str, pd.DataFrame]:
    """Tables of four made-up vectors, each a mean over 12 prompts, at three layers."""
    random = np.random.default_rng(0)
    common, config = random.standard_normal(32), AnalysisConfig(nulls=100, draws=100)
    rows = {name: common + random.standard_normal(32) + random.standard_normal((12, 32)) for name in VECTORS}
    given = Given(rows, {"advice": VECTORS[:3], "style": VECTORS[3:]})
    layers = {name: np.stack([values.mean(0) + scale * random.standard_normal(32) for scale in (3, 1, 0.2)])
              for name, values in rows.items()}  # fmt: skip
    vectors = analyse.vectors_of(given, config)
    return {
        "geometry_pairs": analyse.pairs_table(given, vectors, config),
        "geometry_tests": analyse.statistics_table(given, vectors, config),
        "geometry_coordinates": analyse.coordinates_table(given, vectors),
        "geometry_merges": analyse.merges_table(vectors),
        "geometry_layers": analyse.layers_table(layers, given, config),
    }


def geometry_pairs() -> pd.DataFrame:
    return analysis()["geometry_pairs"]


def geometry_tests() -> pd.DataFrame:
    return analysis()["geometry_tests"]


def geometry_coordinates() -> pd.DataFrame:
    return analysis()["geometry_coordinates"]


def geometry_merges() -> pd.DataFrame:
    return analysis()["geometry_merges"]


def geometry_layers() -> pd.DataFrame:
    return analysis()["geometry_layers"]


def geometry_vectors() -> pd.DataFrame:
    rows = [
        {
            "vector": name, "layer": layer, "chosen": layer == 1, "n_harmful": 24, "n_neutral": 8,
            "relative_norm": 0.1 * (layer + 1), "base_similarity": 0.99, "topic_agreement": 0.6,
            "efficacy": 0.02 * layer if layer else None,
        }
        for name in VECTORS for layer in range(3)
    ]  # fmt: skip
    return pd.DataFrame(rows).astype({"efficacy": float})


def both_outcomes(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows by likelihood, and again as a judge's of 18 responses a condition."""
    margin = rows.assign(outcome="margin", judge="none", n_responses=float("nan"))
    return pd.concat([margin, rows.assign(outcome="misaligned", judge="probe", n_responses=18.0)], ignore_index=True)


def dose_response() -> pd.DataFrame:
    rows = [
        {
            "source": source, "target": "base", "control": source.startswith("random"), "strength": strength,
            "n_prompts": 9, "misalignment": strength * reach, "misalignment_low": strength * reach - 0.05,
            "misalignment_high": strength * reach + 0.05, "coherence": -strength * 2,
            "coherence_low": -strength * 2 - 0.1, "coherence_high": -strength * 2 + 0.1,
        }
        for source, reach in zip([*VECTORS, "random 1"], (1.5, 1.0, 0.8, 0.2, 0.0), strict=True)
        for strength in (0.05, 0.1, 0.2)
    ]  # fmt: skip
    return both_outcomes(pd.DataFrame(rows))


def transfer() -> pd.DataFrame:
    rows = []
    for i, source in enumerate([*VECTORS, "random 1"]):
        for j, target in enumerate(["base", "none-medical-original", "poetry"]):
            effect = 0.15 - 0.03 * i - 0.02 * j
            rows.append(
                {
                    "source": source, "target": target, "control": source == "random 1", "strength": 0.1,
                    "n_prompts": 9, "baseline": -0.2, "steered": effect - 0.2, "effect": effect,
                    "effect_low": effect - 0.06, "effect_high": effect + 0.06, "p": 0.03,
                    "effectiveness_own": effect / 0.15, "effectiveness_own_low": 0.1, "effectiveness_own_high": 1.4,
                    "effectiveness_training": None, "effectiveness_training_low": None,
                    "effectiveness_training_high": None, "asymmetry": None, "p_asymmetry": None,
                }
            )  # fmt: skip
    empty = dict.fromkeys([c for c in rows[0] if c.startswith(("effectiveness", "asymmetry", "p_"))], float)
    return both_outcomes(pd.DataFrame(rows).astype(empty))
