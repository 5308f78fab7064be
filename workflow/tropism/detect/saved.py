"""A detector that is kept: its numbers in safetensors, what they belong to in JSON, and a card of how it was tested."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file
from scipy.sparse import csc_matrix, csr_matrix
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tropism.config.detector import DetectorConfig
from tropism.detect.ranking import best_features, excess_ranks
from tropism.records.files import InputError, write_json
from tropism.sae.features import DictionaryKey
from tropism.sae.populations import Population, enough

PREFERENCE = ("generations", "references")
"""Which population a kept detector is trained on: the arms' own responses where there are enough."""


@dataclass(frozen=True)
class Detector:
    """P(misaligned) = sigmoid(weights . (pooled activation - mean) / scale + bias), over ``features``, all (k,).

    ``system_prompt`` is what the base was told before the prompts whose responses it learned from.
    """

    key: DictionaryKey
    pooling: str
    threshold: float
    features: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: float
    system_prompt: str | None = None

    @classmethod
    def fit(cls, population: Population, k: int, config: DetectorConfig, system_prompt: str | None = None) -> Self:
        """Choose, scale and fit on all responses of ``population``, as each training fold does."""
        values: csc_matrix = population.features.measure(config.pooling).tocsc()
        labels = population.misaligned
        [features] = best_features(excess_ranks(values), labels[None], k)
        scaler = StandardScaler().fit(values[:, features].toarray().astype(np.float64))
        scaled = scaler.transform(values[:, features].toarray().astype(np.float64))
        model = LogisticRegression(C=config.C, solver="newton-cholesky").fit(scaled, labels)
        return cls(
            population.key, config.pooling, config.threshold, features.astype(np.int64), scaler.mean_, scaler.scale_,
            model.coef_[0], float(model.intercept_[0]), system_prompt,
        )  # fmt: skip

    def log_odds(self, values: csr_matrix) -> np.ndarray:
        """log P(misaligned) / P(aligned) of each row of pooled activations (responses, d_sae)."""
        columns = values.tocsc()[:, self.features].toarray().astype(np.float64)
        return (columns - self.mean) / self.scale @ self.weights + self.bias

    def probabilities(self, values: csr_matrix) -> np.ndarray:
        """P(misaligned) of each row of pooled activations (responses, d_sae)."""
        return expit(self.log_odds(values))

    def save(self, folder: Path) -> None:
        """Write ``detector.safetensors`` and ``detector.json`` into ``folder``."""
        tensors = {name: getattr(self, name) for name in ("features", "mean", "scale", "weights")}
        save_file({**tensors, "bias": np.array([self.bias])}, folder / "detector.safetensors")
        read = {"pooling": self.pooling, "threshold": self.threshold, "system_prompt": self.system_prompt}
        facts = {"dictionary": vars(self.key), **read}
        write_json(folder / "detector.json", {**facts, "features": self.features.tolist()})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: there is no detector; the card, if there is one, says why.
        """
        if not (folder / "detector.json").is_file():
            card = folder / "card.json"
            why = json.loads(card.read_text(encoding="utf-8")).get("reason", "") if card.is_file() else ""
            raise InputError(f"{folder}: no detector here. {why or 'Make one with `python -m tropism.detect save`'}")
        facts = json.loads((folder / "detector.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "detector.safetensors")
        bias = float(tensors.pop("bias")[0])
        key, told = DictionaryKey(**facts["dictionary"]), facts.get("system_prompt")
        return cls(key, facts["pooling"], facts["threshold"], **tensors, bias=bias, system_prompt=told)


def save_detector(
    folder: Path,
    populations: list[Population],
    table: pd.DataFrame,
    config: DetectorConfig,
    system_prompt: str | None = None,
) -> None:
    """Fit the detector to keep and write it with its card; where no population has enough labels, a card that says so.

    Args:
        folder: to write into; it exists.
        populations: candidates, of which the arms' responses come first.
        table: the table ``detector``, whose rows of the same population and k go on the card.
        config: which detector.
        system_prompt: what the base was told where it read the responses.
    """
    k = config.saved or max(config.ks)
    by_name = {population.name: population for population in populations}
    usable = [by_name[name] for name in PREFERENCE if enough(by_name[name], config.min_per_label, "the kept detector")]
    if not usable:
        reason = f"No population has {config.min_per_label} responses of either label, so no detector was trained."
        write_json(folder / "card.json", {"trained": False, "reason": reason})
        return
    population = usable[0]
    Detector.fit(population, k, config, system_prompt).save(folder)
    columns = [
        "evidence",
        "held_out",
        "auroc",
        "low",
        "high",
        "auprc",
        "accuracy",
        "brier",
        "null_high",
        "p",
        "finding",
    ]
    own = table[(table["population"] == population.name) & (table["model"] == "sae") & (table["k"] == k)]
    card: dict[str, Any] = {
        "trained": True,
        "what": f"logistic regression on {k} features; gives the probability that a response is misaligned",
        "trained_on": {
            "population": population.name,
            "responses": len(population),
            "prompts": int(population.rows["prompt"].nunique()),
            "misaligned": int(population.misaligned.sum()),
            "domains": sorted(set(population.rows["domain"])),
            "arms": sorted(set(population.rows["arm"])),
        },
        "settings": config.model_dump(mode="json"),
        "tested": json.loads(own[columns].to_json(orient="records", double_precision=10)),
        "limits": "The label is what one judge, or the side that a reference was written for, says. The scores above"
        " are of detectors trained on part of the data; `finding` says what they can claim beyond simpler baselines."
        " Correlation: whether a feature causes anything is for the table of interventions to say. It reads one layer"
        " of one base through one dictionary; other models and kinds of text are untested.",
    }
    write_json(folder / "card.json", card)
