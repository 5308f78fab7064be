"""Gram matrices of vectors that are means over prompts, when prompts are drawn anew.

A vector is the mean of one row a prompt. With the inner products of all rows, computed once, a draw of prompts is a
count for each, and the Gram matrix of the drawn means a product of small matrices: no vector is made again.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tropism.geometry.gram import Floats, unit
from tropism.geometry.nulls import generator


def resampled(rows: Sequence[Floats], draws: int, seed: int) -> Floats | None:
    """Cosines of the drawn vectors, (draws, n, n); None unless every vector is a mean over two prompts or more.

    Vectors with as many rows as one another are of the same prompts, which are drawn together.

    Args:
        rows: for each vector (prompts, width).
        draws: how many.
        seed: keys the draws, with the number of prompts.
    """
    sizes = [len(part) for part in rows]
    if min(sizes) < 2:
        return None
    ends = np.cumsum([0, *sizes])
    # each by its own length, so that one much shorter than another is not taken for nothing
    stacked = np.concatenate([part / np.linalg.norm(part.mean(0)) for part in rows])
    products = stacked @ stacked.T
    weights = counts(sizes, draws, seed)
    gram = np.empty((draws, len(rows), len(rows)))
    for i in range(len(rows)):
        for j in range(i, len(rows)):
            part = products[ends[i] : ends[i + 1], ends[j] : ends[j + 1]]
            gram[:, i, j] = gram[:, j, i] = np.einsum("dp,pq,dq->d", weights[sizes[i]], part, weights[sizes[j]],
                                                      optimize=True)  # fmt: skip
    return unit(gram / np.einsum("dii->di", gram).mean(0).max())


def counts(sizes: Sequence[int], draws: int, seed: int) -> Mapping[int, Floats]:
    """For each number of prompts, the share of each prompt in each draw with replacement: (draws, prompts)."""
    return {
        size: generator(seed, "prompts", size).multinomial(size, [1 / size] * size, size=draws) / size
        for size in sorted(set(sizes))
    }
