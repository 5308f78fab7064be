"""What a detector's probabilities are worth, with intervals that respect prompts, and the points of its curves."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

THRESHOLD = 0.5
CHUNK = 500


def point_scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """AUROC, AUPRC (average precision), accuracy at a probability of 1/2, and Brier score."""
    return {
        "auroc": float(roc_auc_score(labels, probabilities)),
        "auprc": float(average_precision_score(labels, probabilities)),
        "accuracy": float(accuracy_score(labels, probabilities >= THRESHOLD)),
        "brier": float(brier_score_loss(labels, probabilities)),
    }


def weighted_aurocs(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUROC of one set of scores under many weightings of its responses, ties counted half: (weightings,).

    NaN where a weighting leaves one label without weight.

    Args:
        labels: bool, (responses,).
        probabilities: (responses,).
        weights: (weightings, responses).
    """
    order = np.argsort(probabilities, kind="stable")
    ties = np.flatnonzero(np.diff(probabilities[order], prepend=-np.inf) > 0)
    ordered = weights[:, order]
    positive = np.add.reduceat(ordered * labels[order], ties, axis=1)
    negative = np.add.reduceat(ordered * ~labels[order], ties, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    won = (positive * below).sum(axis=1)
    return np.divide(won, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def bootstrap_aurocs(
    labels: np.ndarray, probabilities: np.ndarray, prompts: np.ndarray, draws: int, seed: int
) -> np.ndarray:
    """AUROCs of ``draws`` bootstrap samples of whole prompts: (draws,)."""
    codes, names = pd.factorize(prompts, sort=True)
    generator = np.random.default_rng(seed)
    drawn = []
    for start in range(0, draws, CHUNK):
        size = min(CHUNK, draws - start)
        counts = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=size)
        drawn.append(weighted_aurocs(labels, probabilities, counts[:, codes].astype(float)))
    return np.concatenate(drawn)


def auroc_interval(
    labels: np.ndarray, probabilities: np.ndarray, prompts: np.ndarray, draws: int, seed: int, stretch: float = 1.0
) -> tuple[float, float]:
    """The 95 % percentile interval over samples of prompts, each end ``stretch`` times as far from the AUROC itself."""
    middle = roc_auc_score(labels, probabilities)
    ends = np.nanpercentile(bootstrap_aurocs(labels, probabilities, prompts, draws, seed), [2.5, 97.5])
    low, high = np.clip(middle + stretch * (ends - middle), 0, 1)
    return float(low), float(high)


def retraining_stretch(labellings: np.ndarray, runs: np.ndarray, prompts: np.ndarray, draws: int, seed: int) -> float:
    """How far a bootstrap of fixed predictions falls short of the spread that retraining adds, 1 at least.

    Folds share their training data, so an AUROC from cross-validation varies more than its predictions resampled do
    (Bengio and Grandvalet 2004). Permuted runs show by how much: the standard deviation of their AUROCs over the root
    mean square of their bootstrap standard errors.

    Args:
        labellings: bool, (permutations, responses).
        runs: probabilities, (permutations, ks, responses).
        prompts: (responses,).
        draws: bootstrap samples of each run.
        seed: of the samples.
    """
    spread, error = [], []
    for position in range(runs.shape[1]):
        pairs = list(zip(labellings, runs[:, position], strict=True))
        spread.append(np.var([roc_auc_score(y, p) for y, p in pairs], ddof=1))
        error.append(np.mean([np.nanvar(bootstrap_aurocs(y, p, prompts, draws, seed)) for y, p in pairs]))
    return float(max(1.0, np.sqrt(np.mean(spread) / np.mean(error))))


def curve_points(labels: np.ndarray, probabilities: np.ndarray) -> Iterator[dict[str, object]]:
    """Points (x, y) of three curves: ROC, precision-recall, and reliability in ten bins of probability."""
    false, true, _ = roc_curve(labels, probabilities)
    precision, recall, _ = precision_recall_curve(labels, probabilities, drop_intermediate=True)
    observed, predicted = calibration_curve(labels, probabilities, n_bins=10)
    for name, xs, ys in (
        ("roc", false, true),
        ("precision_recall", recall[::-1], precision[::-1]),
        ("reliability", predicted, observed),
    ):
        for point, (x, y) in enumerate(zip(xs, ys, strict=True)):
            yield {"curve": name, "point": point, "x": float(x), "y": float(y)}
