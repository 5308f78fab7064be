"""How far a judge can be trusted: its error on labelled references, by evidence, head and domain."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from tropism.records.keyed import keyed_seed

BINS = 10
DRAWS = 10_000
CHUNK = 1_000


@dataclass(frozen=True)
class Predictions:
    """P(positive) of references that were held out, with their true class, prompt and domain; each (n,)."""

    head: str
    evidence: str
    probability: NDArray[np.float64]
    positive: NDArray[np.bool_]
    prompts: NDArray[np.str_]
    domains: NDArray[np.str_]

    def within(self, domain: str) -> "Predictions":
        """Those of one domain; all of them for ``all``."""
        rows = np.ones(len(self.domains), dtype=bool) if domain == "all" else self.domains == domain
        arrays = (array[rows] for array in (self.probability, self.positive, self.prompts, self.domains))
        return Predictions(self.head, self.evidence, *arrays)


def calibration_error(probability: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten bins of equal width (Naeini et al. 2015)."""
    table = calibration_bins(probability, positive)
    return float((table["n"] * (table["observed"] - table["predicted"]).abs()).sum() / len(probability))


def calibration_bins(probability: NDArray[np.float64], positive: NDArray[np.bool_]) -> pd.DataFrame:
    """Mean prediction and observed share in each of ten bins of equal width that holds any row."""
    number = np.minimum((probability * BINS).astype(int), BINS - 1)
    rows = pd.DataFrame({"bin": number, "probability": probability, "positive": positive.astype(float)})
    table = rows.groupby("bin", as_index=False).agg(
        n=("positive", "size"), predicted=("probability", "mean"), observed=("positive", "mean")
    )
    return table.assign(low=table["bin"] / BINS, high=(table["bin"] + 1) / BINS)


def accuracy_interval(
    correct: NDArray[np.bool_], prompts: NDArray[np.str_], seed: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the accuracy by bootstrap over prompts, 10,000 draws."""
    _, group = np.unique(prompts, return_inverse=True)
    sums, sizes = np.bincount(group, weights=correct), np.bincount(group)
    random = np.random.default_rng(keyed_seed(seed, "accuracy", len(sizes)))
    n = len(sizes)
    drawn = []
    for start in range(0, DRAWS, CHUNK):
        counts = random.multinomial(n, np.full(n, 1 / n), size=min(CHUNK, DRAWS - start))
        drawn.append((counts @ sums) / (counts @ sizes))
    low, high = np.quantile(np.concatenate(drawn), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def reliability_row(predictions: Predictions, domain: str, seed: int) -> dict[str, str | int | float | None]:
    """One row of ``judge_reliability.csv``, without the judge; AUROC is None where there is one class only."""
    chosen = predictions.within(domain)
    probability, positive = chosen.probability, chosen.positive
    correct = (probability > 0.5) == positive
    low, high = accuracy_interval(correct, chosen.prompts, seed)
    return {
        "head": predictions.head,
        "evidence": predictions.evidence,
        "domain": domain,
        "n": len(positive),
        "n_prompts": len(np.unique(chosen.prompts)),
        "accuracy": float(correct.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        "auroc": float(roc_auc_score(positive, probability)) if 0 < positive.sum() < len(positive) else None,
        "brier": float(np.mean((probability - positive) ** 2)),
        "ece": calibration_error(probability, positive),
        "base_rate": float(positive.mean()),
    }


def reliability_rows(predictions: Predictions, seed: int) -> list[dict[str, str | int | float | None]]:
    """A row for all domains together and one for each, in order of name."""
    domains = [str(domain) for domain in np.unique(predictions.domains)]
    return [reliability_row(predictions, domain, seed) for domain in ["all", *domains]]
