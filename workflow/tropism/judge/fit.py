"""Fitting a head of the probe judge, and predicting each reference by a head that never saw its prompt."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from tropism.config.judges import JudgeConfig
from tropism.judge.probe import DECIMALS, Floats, Head
from tropism.records.files import InputError

Labels = NDArray[np.bool_]


def fit_head(states: Floats, positive: Labels, prompts: NDArray[np.str_], config: JudgeConfig) -> tuple[Head, Floats]:
    """A head, and for each row P(positive) by a regression and a calibration that saw neither it nor its prompt.

    Args:
        states: (n, hidden).
        positive: (n,).
        prompts: (n,) the group of each row.
        config: folds, seed and C.

    Raises:
        InputError: fewer prompts than folds, or one class only.
    """
    scores, fold = held_out_scores(_regression(config), states, positive, prompts, config)
    slope, offset = platt(scores, positive)
    crossed = np.empty(len(scores))
    for number in np.unique(fold):
        inside = fold == number
        a, b = platt(scores[~inside], positive[~inside])
        crossed[inside] = expit(a * scores[inside] + b)
    scaler, regression = (step for _, step in _regression(config).fit(states, positive).steps)
    head = Head(scaler.mean_, scaler.scale_, regression.coef_[0], float(regression.intercept_[0]), slope, offset)
    return head, np.round(crossed, DECIMALS)


def held_out_scores(
    model: Pipeline, rows: NDArray, positive: Labels, prompts: NDArray[np.str_], config: JudgeConfig
) -> tuple[Floats, NDArray[np.int64]]:
    """Decision scores of each row by ``model`` fitted on the other folds, and each row's fold; grouped by prompt.

    Raises:
        InputError: fewer prompts than folds, or one class only.
    """
    if len(np.unique(prompts)) < config.folds or len(np.unique(positive)) < 2:
        raise InputError(
            f"a probe needs references of both classes and at least {config.folds} prompts (`folds`) to learn from;"
            f" got {len(np.unique(prompts))} prompts, {int(positive.sum())} positive, {int((~positive).sum())} negative"
        )
    folds = GroupKFold(config.folds, shuffle=True, random_state=config.seed)
    fold = np.empty(len(rows), dtype=np.int64)
    for number, (_, inside) in enumerate(folds.split(rows, positive, prompts)):
        fold[inside] = number
    scores = cross_val_predict(model, rows, positive, groups=prompts, cv=folds, method="decision_function")
    return scores, fold


def platt(scores: Floats, positive: Labels) -> tuple[float, float]:
    """``(slope, offset)`` of Platt's sigmoid, with his smoothed targets (Platt 1999, section 2.2).

    The targets keep the slope finite where the scores separate the classes. A target t is fitted as weight t on the
    positive and 1 - t on the negative class.
    """
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    spread = float(scores.std()) or 1.0
    twice = np.concatenate([scores, scores])[:, None] / spread
    labels = np.repeat([True, False], len(scores))
    weights = np.concatenate([target, 1 - target])
    fitted = LogisticRegression(C=np.inf, max_iter=1000, tol=1e-8).fit(twice, labels, sample_weight=weights)
    return float(fitted.coef_[0, 0]) / spread, float(fitted.intercept_[0])


def word_baseline(
    texts: NDArray, positive: Labels, prompts: NDArray[np.str_], train: Labels, config: JudgeConfig
) -> dict[str, float]:
    """Accuracy of the response's words and word pairs alone (TF-IDF), on the same folds and the same held-out split."""
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10))
    scores, _ = held_out_scores(model, texts[train], positive[train], prompts[train], config)
    accuracy = {"cross-validation": float(np.mean((scores > 0) == positive[train]))}
    if not train.all():
        accuracy["evaluation split"] = float(
            model.fit(texts[train], positive[train]).score(texts[~train], positive[~train])
        )
    return accuracy


def _regression(config: JudgeConfig) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=config.C, max_iter=1000, class_weight="balanced"))
