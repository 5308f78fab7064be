"""Rank features by how well each alone tells the labels apart, for many labellings at once.

A column's ranks do not depend on the labels. So they are computed once a training fold, and the AUROC of every feature
under the real and every permuted labelling is one sparse matrix product: a null that repeats the selection is cheap.
"""

import numpy as np
from scipy.sparse import csc_matrix


def excess_ranks(values: csc_matrix) -> csc_matrix:
    """Mid-ranks within each column of non-negative ``values`` (responses, features), less the rank of its zeros.

    Stored values must be positive. What is not stored stays zero, so the result is as sparse as the input.
    """
    values = values.tocsc()
    rows, columns = values.shape
    stored = np.diff(values.indptr)
    column = np.repeat(np.arange(columns), stored)
    order = np.lexsort((values.data, column))
    sorted_column, sorted_value = column[order], values.data[order]
    new_tie = np.ones(len(order), bool)
    new_tie[1:] = (sorted_column[1:] != sorted_column[:-1]) | (sorted_value[1:] != sorted_value[:-1])
    tie = np.cumsum(new_tie) - 1
    first = np.flatnonzero(new_tie)
    last = np.append(first[1:], len(order)) - 1
    middle = ((first + last) / 2)[tie] - values.indptr[sorted_column]
    zeros = (rows - stored)[sorted_column]
    excess = np.empty(len(order))
    excess[order] = zeros + middle + 1 - (zeros + 1) / 2
    return csc_matrix((excess, values.indices, values.indptr), shape=values.shape)


def aurocs(excess: csc_matrix, labels: np.ndarray) -> np.ndarray:
    """AUROC of each feature under each labelling: (labellings, features).

    With R the rank sum of the positives, n1 positives and n0 negatives, AUROC = (R - n1 (n1 + 1) / 2) / (n1 n0).

    Args:
        excess: from :func:`excess_ranks`, (responses, features).
        labels: bool, (labellings, responses), both labels in each.
    """
    rows = excess.shape[0]
    stored = np.diff(excess.indptr)
    positives = labels.sum(axis=1, keepdims=True).astype(float)
    rank_sum = (excess.T @ labels.T.astype(float)).T + positives * (rows - stored + 1) / 2
    return (rank_sum - positives * (positives + 1) / 2) / (positives * (rows - positives))


def best_features(excess: csc_matrix, labels: np.ndarray, count: int) -> np.ndarray:
    """The ``count`` features whose AUROCs are farthest from 1/2, best first, for each labelling; ties by index."""
    distance = np.abs(aurocs(excess, labels) - 0.5)
    return np.argsort(-distance.round(12), axis=1, kind="stable")[:, :count]
