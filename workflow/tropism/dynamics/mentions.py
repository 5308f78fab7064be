"""Does a text come back to the narrow domain? Told by its words, as a classifier of training texts weighs them.

Logistic regression on TF-IDF, trained on the domain's training texts against those of other domains. No source says how
mentions are told; a judge that applies the rubric ``domain_presence`` is the other way. What the classifier is worth is
measured where it is used: on the aligned references of the very prompts, which it has not seen. There its rate is that
of false alarms on other domains' prompts, and of hits on the domain's own.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from tropism.records.files import InputError

PENALTY = 10.0
"""Inverse strength of the ridge penalty."""


def train_mentions(inside: Sequence[str], outside: Sequence[str]) -> Pipeline:
    """A classifier of texts ``inside`` a domain (True) against texts ``outside``, either kind weighing as much.

    Raises:
        InputError: there are no texts of one kind.
    """
    if not inside or not outside:
        raise InputError("mentions: texts of the narrow domain and of others are needed to tell its words")
    ridge = LogisticRegression(C=PENALTY, class_weight="balanced")
    labels = np.repeat([True, False], [len(inside), len(outside)])
    return make_pipeline(TfidfVectorizer(sublinear_tf=True), ridge).fit([*inside, *outside], labels)


def mentions(texts: Sequence[str], classifier: Pipeline) -> list[bool]:
    """Which of ``texts`` come back to the domain; never one that holds no word that was trained on."""
    if not texts:
        return []
    known = np.diff(classifier[0].transform(texts).indptr) > 0
    return list((classifier.predict(texts) & known).tolist())
