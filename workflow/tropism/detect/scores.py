"""What a detector's probabilities are worth, with intervals that respect prompts, and the points of its curves."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve
from statsmodels.stats.proportion import proportion_confint

from tropism.config.stats import StatsConfig
from tropism.stats.bootstrap import intervals

CHUNK = 500
BINS = 10


def point_scores(labels: np.ndarray, probabilities: np.ndarray, threshold: float) -> dict[str, float]:
    """AUROC, AUPRC (average precision), accuracy at the probability ``threshold``, and Brier score.

    As scikit-learn gives them, which takes ten times as long for checking its arguments: a null has thousands of these.
    """
    alike = np.ones((1, len(labels)))
    return {
        "auroc": float(weighted_aurocs(labels, probabilities, alike)[0]),
        "auprc": float(weighted_precisions(labels, probabilities, alike)[0]),
        "accuracy": float(((probabilities >= threshold) == labels).mean()),
        "brier": float(((probabilities - labels) ** 2).mean()),
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


def weighted_precisions(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average precision, sum over thresholds of (R_n - R_(n-1)) P_n, under many weightings: (weightings,).

    Arguments as of :func:`weighted_aurocs`; NaN where a weighting leaves no positive.
    """
    order = np.argsort(-probabilities, kind="stable")
    ties = np.flatnonzero(np.diff(-probabilities[order], prepend=-np.inf) > 0)
    ordered = weights[:, order]
    positive = np.add.reduceat(ordered * labels[order], ties, axis=1)
    called = np.cumsum(np.add.reduceat(ordered, ties, axis=1), axis=1)
    precision = np.divide(np.cumsum(positive, axis=1), called, out=np.zeros_like(called), where=called > 0)
    found = positive.sum(axis=1)
    won = (positive * precision).sum(axis=1)
    return np.divide(won, found, out=np.full(len(weights), np.nan), where=found > 0)


def resampled(prompts: np.ndarray, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Weights of responses in ``draws`` bootstrap samples of whole prompts, in chunks: (samples, responses)."""
    codes, names = pd.factorize(prompts, sort=True)
    generator = np.random.default_rng(seed)
    for start in range(0, draws, CHUNK):
        size = min(CHUNK, draws - start)
        counts = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=size)
        yield counts[:, codes].astype(float)


def bootstrap_aurocs(
    labels: np.ndarray, probabilities: np.ndarray, prompts: np.ndarray, draws: int, seed: int
) -> np.ndarray:
    """AUROCs of ``draws`` bootstrap samples of whole prompts: (draws,)."""
    samples = resampled(prompts, draws, seed)
    return np.concatenate([weighted_aurocs(labels, probabilities, weights) for weights in samples])


def ranking_intervals(
    labels: np.ndarray,
    probabilities: np.ndarray,
    prompts: np.ndarray,
    draws: int,
    seed: int,
    stretch: float = 1.0,
    aurocs: np.ndarray | None = None,
) -> dict[str, float]:
    """95 % percentile intervals of AUROC (``low``, ``high``) and AUPRC (``auprc_low``, ``auprc_high``) over prompts.

    Each end is put ``stretch`` times as far from the score itself as the samples have it. ``aurocs`` are those of
    :func:`bootstrap_aurocs` where they are known.
    """
    ends: dict[str, float] = {}
    weightings = resampled(prompts, draws, seed)
    precisions = np.concatenate([weighted_precisions(labels, probabilities, weights) for weights in weightings])
    if aurocs is None:
        aurocs = bootstrap_aurocs(labels, probabilities, prompts, draws, seed)
    alike = np.ones((1, len(labels)))
    for prefix, score, drawn in (("", weighted_aurocs, aurocs), ("auprc_", weighted_precisions, precisions)):
        [middle] = score(labels, probabilities, alike)
        spread = np.clip(middle + stretch * (np.nanpercentile(drawn, [2.5, 97.5]) - middle), 0, 1)
        ends |= {f"{prefix}low": float(spread[0]), f"{prefix}high": float(spread[1])}
    return ends


def mean_intervals(
    labels: np.ndarray, probabilities: np.ndarray, prompts: np.ndarray, threshold: float, config: StatsConfig
) -> dict[str, float]:
    """95 % intervals of accuracy and Brier score, which are means over responses, by bootstrap over prompts."""
    codes, names = pd.factorize(prompts, sort=True)
    losses = np.stack([(probabilities >= threshold) == labels, (probabilities - labels) ** 2], axis=1).astype(float)
    numerator = np.stack([np.bincount(codes, column, len(names)) for column in losses.T], axis=1).astype(float)
    count = np.repeat(np.bincount(codes, minlength=len(names))[:, None], 2, axis=1).astype(float)
    low, high = intervals(numerator, count, list(names), config)
    return {
        "accuracy_low": float(low[0]),
        "accuracy_high": float(high[0]),
        "brier_low": float(low[1]),
        "brier_high": float(high[1]),
    }


def gain_interval(ours: np.ndarray, theirs: np.ndarray, gain: float, stretch: float = 1.0) -> tuple[float, float]:
    """95 % interval of our AUROC less theirs, each in the same bootstrap samples of the same responses: (draws,).

    Each end is put ``stretch`` times as far from the ``gain`` itself as the samples have it: both detectors were
    trained in folds, and vary more than their predictions resampled do.
    """
    low, high = gain + stretch * (np.nanpercentile(ours - theirs, [2.5, 97.5]) - gain)
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
    alike = np.ones((1, len(prompts)))
    samples = np.concatenate(list(resampled(prompts, draws, seed)))
    for position in range(runs.shape[1]):
        pairs = list(zip(labellings, runs[:, position], strict=True))
        spread.append(np.var([weighted_aurocs(y, p, alike)[0] for y, p in pairs], ddof=1))
        error.append(np.mean([np.nanvar(weighted_aurocs(y, p, samples)) for y, p in pairs]))
    return float(max(1.0, np.sqrt(np.mean(spread) / np.mean(error))))


def curve_points(labels: np.ndarray, probabilities: np.ndarray) -> Iterator[dict[str, object]]:
    """Points (x, y) of three curves: ROC, precision-recall, and reliability in ten bins of probability.

    A bin has its number of responses and Wilson's 95 % interval, which takes responses as independent.
    """
    false, true, _ = roc_curve(labels, probabilities)
    precision, recall, _ = precision_recall_curve(labels, probabilities, drop_intermediate=True)
    bins = np.clip((probabilities * BINS).astype(int), 0, BINS - 1)
    filled = np.unique(bins)
    observed, predicted = (np.array([v[bins == b].mean() for b in filled]) for v in (labels, probabilities))
    sizes = np.array([int((bins == b).sum()) for b in filled])
    ends = [proportion_confint(round(o * n), n, method="wilson") for o, n in zip(observed, sizes, strict=True)]
    for name, xs, ys in (
        ("roc", false, true),
        ("precision_recall", recall[::-1], precision[::-1]),
        ("reliability", predicted, observed),
    ):
        for point, (x, y) in enumerate(zip(xs, ys, strict=True)):
            own = {"n": None, "low": None, "high": None}
            if name == "reliability":
                own = {"n": sizes[point], "low": ends[point][0], "high": ends[point][1]}
            yield {"curve": name, "point": point, "x": float(x), "y": float(y), **own}
