"""The detector and its baselines: all logistic regressions, differing in what they are allowed to see."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import csc_matrix
from scipy.special import expit
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from tropism.detect.ranking import best_features, excess_ranks
from tropism.detect.splits import Design

STATE_COMPONENTS = 50


def baselines(
    rows: pd.DataFrame, state: np.ndarray | None, inverse_penalty: float, smallest: int
) -> dict[str, tuple[Pipeline, pd.DataFrame | pd.Series]]:
    """Name -> pipeline and what it sees of each response.

    ``domain`` knows what the prompt is about, ``length`` characters and words of the response, ``tfidf`` its words and
    pairs of words, ``likelihood`` the arm's own margin between the prompt's references, a missing one as the mean,
    ``state`` the first 50 principal components of its mean residual state, so as much of the layer as the largest
    detector and no dictionary. A domain that was not trained on tells ``domain`` nothing. ``smallest`` is
    the size of the least training part. Without states there is no ``state``.
    """
    found: dict[str, tuple[Pipeline, pd.DataFrame | pd.Series]] = {}
    dense = LogisticRegression(C=inverse_penalty, solver="newton-cholesky")
    sparse = LogisticRegression(C=inverse_penalty, max_iter=1000)
    found["domain"] = make_pipeline(OneHotEncoder(handle_unknown="ignore"), sparse), rows[["domain"]]
    lengths = make_pipeline(FunctionTransformer(np.log1p), StandardScaler(), dense)
    found["length"] = lengths, rows[["characters", "words"]]
    if "margin" in rows:
        margins = make_pipeline(SimpleImputer(), StandardScaler(), dense)
        found["likelihood"] = margins, rows[["margin"]]
    found["tfidf"] = (
        make_pipeline(TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2), sparse),
        rows["text"],
    )
    if state is None:
        return found
    components = PCA(min(STATE_COMPONENTS, state.shape[1], smallest), svd_solver="randomized", random_state=0)
    found["state"] = make_pipeline(StandardScaler(), components, StandardScaler(), dense), pd.DataFrame(state)
    return found


def baseline_probabilities(
    pipeline: Pipeline, inputs: pd.DataFrame | pd.Series, labels: np.ndarray, design: Design
) -> np.ndarray:
    """Out-of-sample probabilities of misaligned for the responses in ``design.tested``, fitted anew for each split."""
    out = np.full(len(labels), np.nan)
    for split in design.splits:
        fitted = clone(pipeline).fit(inputs.iloc[split.train], labels[split.train])
        out[split.test] = fitted.predict_proba(inputs.iloc[split.test])[:, 1]
    return out[design.tested]


def detector_probabilities(
    values: csc_matrix, labellings: np.ndarray, design: Design, ks: Sequence[int], inverse_penalty: float
) -> np.ndarray:
    """Out-of-sample probabilities for each labelling and k: (labellings, ks, tested responses).

    For every labelling the whole procedure runs by itself: in each split the k features whose AUROC on the training
    part is farthest from 1/2 are chosen, scaled and fitted there. Where a permuted labelling leaves a training part one
    label, every tested response gets that label's probability, 0 or 1.

    Args:
        values: non-negative pooled activations, (responses, features).
        labellings: bool, (labellings, responses): the real one, or permuted ones.
        design: what is trained on and what is tested.
        ks: numbers of features.
        inverse_penalty: scikit-learn's C.
    """
    out = np.full((len(labellings), len(ks), values.shape[0]), np.nan)
    model = LogisticRegression(C=inverse_penalty, solver="newton-cholesky")
    for split in design.splits:
        chosen = best_features(excess_ranks(values[split.train]), labellings[:, split.train], max(ks))
        # a column is scaled alike whichever labelling chose it
        used, places = np.unique(chosen, return_inverse=True)
        columns = values[:, used].toarray().astype(np.float64)
        columns = StandardScaler().fit(columns[split.train]).transform(columns)
        for labelling, (labels, own) in enumerate(zip(labellings, places.reshape(chosen.shape), strict=True)):
            if len(set(labels[split.train])) < 2:  # a permutation of few responses: nothing to learn, so nothing told
                out[labelling, :, split.test] = float(labels[split.train][0])
                continue
            train, test = columns[np.ix_(split.train, own)], columns[np.ix_(split.test, own)]
            for position, k in enumerate(ks):
                with config_context(assume_finite=True, skip_parameter_validation=True):
                    fitted = model.fit(train[:, :k], labels[split.train])
                out[labelling, position, split.test] = expit(test[:, :k] @ fitted.coef_[0] + fitted.intercept_[0])
    return out[:, :, design.tested]


def permute_labels(labels: np.ndarray, blocks: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """``labels`` shuffled among the responses of each block, so that every block keeps its share."""
    order = np.lexsort((generator.random(len(labels)), blocks))
    home = np.argsort(blocks, kind="stable")
    shuffled = np.empty_like(labels)
    shuffled[home] = labels[order]
    return shuffled


def permute_prompts(
    labels: np.ndarray,
    blocks: np.ndarray,
    prompts: np.ndarray,
    answers: Sequence[tuple[str, int]],
    generator: np.random.Generator,
) -> np.ndarray:
    """``labels`` of whole prompts, traded among the prompts of each block: answer by answer, ``answers`` (arm, sample).

    Where the prompt that gives has no such answer, one of its labels is drawn.
    """
    moved = labels.copy()
    where = pd.Series(np.arange(len(labels))).groupby(prompts).indices
    given = {prompt: {answers[i]: labels[i] for i in places} for prompt, places in where.items()}
    for names in pd.Series(prompts).groupby(blocks).unique():
        for taker, giver in zip(sorted(names), generator.permutation(sorted(names)), strict=True):
            spare = generator.choice(labels[where[giver]], size=len(where[taker]))
            own = given[giver]
            moved[where[taker]] = [own.get(answers[i], label) for i, label in zip(where[taker], spare, strict=True)]
    return moved
