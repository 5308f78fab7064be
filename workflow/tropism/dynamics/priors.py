"""Prior prediction: do activations of the unchanged base say which prompts will be answered badly after fine-tuning?

Ridge regression, its penalty chosen by inner cross-validation, predicts each held-out prompt's outcome; folds are
grouped by question family, so that a rewording of a prompt is never learned from (what shapes emergent misalignment,
2026, `science.md` 5.2). Beside it stand features that know nothing of the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tropism.records.files import InputError
from tropism.records.keyed import keyed_seed

Floats = NDArray[np.float64]
ALPHAS = tuple(float(alpha) for alpha in np.logspace(0, 6, 7))


@dataclass(frozen=True)
class HeldOut:
    """Outcome, its prediction, and the training folds' mean, which predicts it without features: (prompts,) each."""

    outcome: Floats
    predicted: Floats
    mean: Floats
    families: NDArray[np.str_]

    @property
    def moved(self) -> Floats:
        """Prediction - mean: what the features say of a prompt, (prompts,).

        Predictions themselves must not be ranked over folds: a fold of high outcomes leaves a low mean to train on, so
        of features that say nothing they would rank against the outcome.
        """
        moved = self.predicted - self.mean
        return np.where(np.abs(moved) > 1e-9 * np.ptp(self.outcome), moved, 0.0)

    def scores(self, rows: NDArray[np.int64] | slice = slice(None)) -> tuple[float, float]:
        """``(R2, Spearman)``; R2 = 1 - SS(outcome - predicted) / SS(outcome - mean), 0 for features that say nothing.

        Spearman is of the outcome and ``moved``, NaN where one of them is constant.
        """
        y, guess, mean = self.outcome[rows], self.predicted[rows], self.mean[rows]
        moved = self.moved[rows]
        total = float(((y - mean) ** 2).sum())
        r2 = 1 - float(((y - guess) ** 2).sum()) / total if total else float("nan")
        constant = np.ptp(y) == 0 or np.ptp(moved) == 0
        return r2, float("nan") if constant else float(spearmanr(y, moved).statistic)

    def intervals(self, draws: int, confidence: float, seed: int) -> tuple[tuple[float, float], tuple[float, float]]:
        """Percentile intervals of R2 and of Spearman, families resampled with replacement."""
        names, member = np.unique(self.families, return_inverse=True)
        random = np.random.default_rng(keyed_seed(seed, "prior-interval", *names.tolist()))
        drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
        found = self.resampled(drawn[:, member].astype(float))
        tails = [50 * (1 - confidence), 50 * (1 + confidence)]
        r2, rank = (tuple(np.nanpercentile(column, tails).tolist()) for column in found)
        return (r2[0], r2[1]), (rank[0], rank[1])

    def resampled(self, times: Floats) -> tuple[Floats, Floats]:
        """:meth:`scores` of samples that hold each prompt so many ``times``, (draws, prompts): (draws,) each.

        One product of matrices a statistic in place of one pass over the prompts a draw.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = 1 - times @ (self.outcome - self.predicted) ** 2 / (times @ (self.outcome - self.mean) ** 2)
            y, guess = (_ranks(values, times) for values in (self.outcome, self.moved))
            total = times.sum(axis=1, keepdims=True)
            y, guess = (ranks - (times * ranks).sum(axis=1, keepdims=True) / total for ranks in (y, guess))
            shared, own, other = ((times * a * b).sum(axis=1) for a, b in ((y, guess), (y, y), (guess, guess)))
            rank = shared / np.sqrt(own * other)
        return np.where(np.isfinite(r2), r2, np.nan), np.where(np.isfinite(rank), rank, np.nan)


def _ranks(values: Floats, times: Floats) -> Floats:
    """Mean ranks of ``values``, (n,), in samples that hold each so many ``times``, (draws, n); ties share theirs."""
    below, equal = values[None, :] < values[:, None], values[None, :] == values[:, None]
    return times @ below.T + (times @ equal.T + 1) / 2


def predict(features: Floats, outcome: Floats, families: Sequence[str], folds: int, seed: int) -> HeldOut:
    """Predictions of every prompt by a ridge that saw no prompt of its family.

    Args:
        features: (prompts, width); standardised on the training folds.
        outcome: (prompts,).
        families: (prompts,) names; a family is never split.
        folds: outer and inner folds; fewer where there are fewer families.
        seed: of the assignment of families to folds.

    Raises:
        InputError: fewer than six families, with which nothing can be held out twice.
    """
    groups = np.asarray(families, dtype=str)
    count = len(np.unique(groups))
    if count < 6:
        raise InputError(f"prior prediction needs at least 6 families of prompts, here are {count}; add prompts")
    outer = GroupKFold(min(folds, count), shuffle=True, random_state=seed)
    predicted, mean = np.empty(len(outcome)), np.empty(len(outcome))
    for train, test in outer.split(features, outcome, groups):
        inner = GroupKFold(min(folds, len(np.unique(groups[train]))), shuffle=True, random_state=seed)
        errors = np.mean(
            [_squared_errors(features, outcome, train[fit], train[held]) for fit, held in
             inner.split(train, groups=groups[train])],
            axis=0,
        )  # fmt: skip
        best = make_pipeline(StandardScaler(), Ridge(ALPHAS[int(errors.argmin())]))
        predicted[test] = best.fit(features[train], outcome[train]).predict(features[test])
        mean[test] = outcome[train].mean()
    return HeldOut(np.asarray(outcome, dtype=float), predicted, mean, groups)


def _squared_errors(features: Floats, outcome: Floats, fit: NDArray[np.int64], held: NDArray[np.int64]) -> Floats:
    """Mean squared error on the prompts ``held`` at each penalty, from one fit: (penalties,).

    The outcome is repeated once a penalty, which a ridge of several targets takes one each.
    """
    ridge = make_pipeline(StandardScaler(), Ridge(np.array(ALPHAS)))
    ridge.fit(features[fit], np.repeat(outcome[fit, None], len(ALPHAS), axis=1))
    return np.asarray(((ridge.predict(features[held]) - outcome[held, None]) ** 2).mean(axis=0))


def random_features(ids: Sequence[str], width: int, seed: int) -> Floats:
    """Standard normal features keyed by (seed, prompt id): (prompts, width)."""
    return np.stack([np.random.default_rng(keyed_seed(seed, "features", name)).standard_normal(width) for name in ids])


def length_features(prompts: Sequence[str]) -> Floats:
    """Characters and words of each prompt, and their logarithms: (prompts, 4)."""
    counts = np.array([[len(prompt), len(prompt.split())] for prompt in prompts], dtype=float)
    return np.concatenate([counts, np.log1p(counts)], axis=1)


def word_features(prompts: Sequence[str]) -> Floats:
    """TF-IDF of each prompt's words, (prompts, words). Weights of words, not outcomes, are shared across folds."""
    return np.asarray(TfidfVectorizer(sublinear_tf=True).fit_transform(prompts).todense())
