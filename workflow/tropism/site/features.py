"""The features that stand out in each answer: those furthest above their own mean over all answers.

The largest activations alone would name the same few features everywhere, since some are always strongly active; so a
feature is ranked by z = (activation - mean) / standard deviation over all answers, where an inactive feature counts 0.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from tropism.sae.features import read_arms
from tropism.site.scripts import number

TOP = 6
LEAST_ACTIVE = 5


def top_features(paths: Sequence[Path], top: int = TOP) -> dict[tuple[str, str, str, int], list[list[float | None]]]:
    """[feature, maximal activation over the answer's tokens, z] of the ``top`` features of each answer, by its key.

    Features active in fewer than ``LEAST_ACTIVE`` answers are left out: a mean over so few says nothing.
    """
    files = read_arms(paths)
    if not files:
        return {}
    matrices = [file.parts["answer"].max for file in files]
    n = sum(matrix.shape[0] for matrix in matrices)
    total = sum(np.asarray(matrix.sum(axis=0)).ravel() for matrix in matrices)
    squares = sum(np.asarray(matrix.multiply(matrix).sum(axis=0)).ravel() for matrix in matrices)
    active = sum(np.bincount(matrix.indices, minlength=matrix.shape[1]) for matrix in matrices)
    mean = np.asarray(total) / n
    deviation = np.sqrt(np.maximum(np.asarray(squares) / n - mean**2, 0))
    usable = (np.asarray(active) >= LEAST_ACTIVE) & (deviation > 0)
    found = {}
    for file, matrix in zip(files, matrices, strict=True):
        columns = ["set", "prompt_id", "sample"]
        for row, (dataset, prompt, sample) in enumerate(file.rows[columns].itertuples(index=False)):
            found[file.arm, str(dataset), str(prompt), int(sample)] = _of_row(matrix, row, mean, deviation, usable, top)
    return found


def auroc_of(table: Path) -> dict[str, float | None]:
    """AUROC of each feature over the arms' responses of all domains, from ``sae_features``."""
    rows = pd.read_csv(table, usecols=["feature", "population", "domain", "auroc"])
    rows = rows[(rows["population"] == "generations") & (rows["domain"] == "all")]
    return {str(feature): number(auroc, 3) for feature, auroc in zip(rows["feature"], rows["auroc"], strict=True)}


def _of_row(
    matrix: csr_matrix, row: int, mean: np.ndarray, deviation: np.ndarray, usable: np.ndarray, top: int
) -> list[list[float | None]]:
    part = slice(matrix.indptr[row], matrix.indptr[row + 1])
    indices, values = matrix.indices[part], matrix.data[part].astype(float)
    kept = usable[indices]
    indices, values = indices[kept], values[kept]
    z = (values - mean[indices]) / deviation[indices]
    order = np.lexsort((indices, -z))[:top]
    return [[int(indices[i]), number(values[i]), number(z[i], 3)] for i in order if z[i] > 0]
