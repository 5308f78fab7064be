"""What random directions would give: Gram matrices of random unit vectors, drawn without the vectors.

*Isotropic*: n directions of the same width, all equally likely. Of n Gaussian vectors of width d the Gram matrix is
L L' with L lower triangular, standard normal below its diagonal and chi with d - i degrees of freedom on it
(Bartlett 1933), so n x n numbers stand for n x d. *Covariance*: directions with the second moment of the vectors
under study, X' g for Gaussian g: their Gram matrix is B G B', B (m, n) Gaussian. Then all are scaled to length 1.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.sparse.linalg import LinearOperator, eigsh
from threadpoolctl import threadpool_limits

from tropism.geometry.gram import Floats, unit
from tropism.records.keyed import keyed_seed

CELLS = 1 << 21
"""Numbers in a batch of Gram matrices: 16 MiB of doubles."""
THREADS = 2
KINDS = ("random", "covariance")
HEAD = 96
"""Axes of largest spread among which a start for Lanczos is sought."""


def generator(seed: int, *purpose: object) -> np.random.Generator:
    """Random numbers that depend on the arguments alone."""
    return np.random.Generator(np.random.Philox(keyed_seed(seed, *purpose)))


def isotropic(n: int, width: int, draws: int, random: np.random.Generator) -> Floats:
    """Cosines of ``n`` random directions in ``width`` dimensions: (draws, n, n)."""
    rank = min(n, width)
    lower = np.tril(random.standard_normal((draws, n, rank)), -1)
    diagonal = np.sqrt(random.chisquare(width - np.arange(rank), size=(draws, rank)))
    lower[:, range(rank), range(rank)] = diagonal
    return unit(lower @ np.swapaxes(lower, 1, 2))


def alike(roots: Floats, n: int, draws: int, random: np.random.Generator) -> Floats:
    """Cosines of ``n`` random directions with the second moment of given vectors: (draws, n, n).

    ``roots``: square roots of the eigenvalues of the vectors' Gram matrix (rank,); only these matter, since a rotation
    of Gaussian weights is Gaussian.
    """
    weights = random.standard_normal((draws, n, len(roots))) * roots
    return unit(weights @ np.swapaxes(weights, 1, 2))


def roots_of(gram: Floats) -> Floats:
    """Square roots of the eigenvalues of a Gram matrix, those that are not zero."""
    values = np.linalg.eigvalsh(gram)
    return np.sqrt(values[values > 1e-9 * values[-1]])


def batches(kind: str, n: int, width: int, roots: Floats, draws: int, seed: int) -> Iterator[Floats]:
    """``draws`` random Gram matrices of ``n`` vectors in batches of bounded memory."""
    random = generator(seed, kind, n)
    size = max(1, CELLS // (n * max(n, len(roots) if kind == "covariance" else 0)))
    for start in range(0, draws, size):
        some = min(size, draws - start)
        yield isotropic(n, width, some, random) if kind == "random" else alike(roots, n, some, random)


def top_shares(kind: str, n: int, width: int, roots: Floats, draws: int, seed: int, k: int = 3) -> Floats:
    """Shares of the ``k`` largest eigenvalues of random Gram matrices too large to be drawn: (draws, k).

    Isotropic directions are left Gaussian, not scaled to length 1, so that their eigenvalues are those of a tridiagonal
    matrix of chi-square variables (Dumitriu and Edelman 2002); at a width of hundreds that changes a share by less than
    the draws scatter. The others are scaled, and their eigenvalues found by Lanczos. Neither is centred, which would
    take one of n degrees of freedom.
    """
    draw = _wishart_shares if kind == "random" else _alike_shares
    # draws go side by side, so each takes one thread: with BLAS' own beside them both kinds wait for one another
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(THREADS) as pool:
        # numpy's fastest bits: a million normal numbers a draw are half of its cost
        seeds = (keyed_seed(seed, kind, n, "shares", number) for number in range(draws))
        randoms = (np.random.Generator(np.random.SFC64(number)) for number in seeds)
        return np.array(list(pool.map(lambda random: draw(n, width, roots, k, random), randoms)))


def _wishart_shares(n: int, width: int, roots: Floats, k: int, random: np.random.Generator) -> Floats:
    small, large = min(n, width), max(n, width)
    diagonal = random.chisquare(large - np.arange(small))
    below = random.chisquare(np.arange(small - 1, 0, -1))
    middle = diagonal + np.concatenate([[0.0], below])
    off = np.sqrt(diagonal[:-1] * below)
    top = eigh_tridiagonal(middle, off, eigvals_only=True, select="i", select_range=(small - k, small - 1))
    return top[::-1] / middle.sum()


def _alike_shares(n: int, width: int, roots: Floats, k: int, random: np.random.Generator) -> Floats:
    vectors = random.standard_normal((n, len(roots)), dtype=np.float32) * roots[::-1].astype(np.float32)
    vectors /= np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    start, size = np.ones(n, np.float32), 20
    if len(roots) > HEAD and roots[-1 - HEAD] < 0.5 * roots[-k]:
        # the first axes hold the largest eigenvectors nearly whole: about half the steps
        head = vectors[:, :HEAD]
        start, size = (head @ np.linalg.eigh(head.T @ head)[1][:, -k:]).sum(1), 10
    operator = LinearOperator((n, n), matvec=lambda v: vectors @ (v @ vectors), dtype=np.float32)
    top = eigsh(operator, k=k, ncv=size, tol=1e-3, v0=start, return_eigenvectors=False)
    return np.sort(top)[::-1] / n
