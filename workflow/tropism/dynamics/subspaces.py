"""Do training prompts and evaluation prompts move in the same directions when a model is fine-tuned?

The shift of a prompt is its activation in the arm minus that in the base. The k leading right singular vectors of a
set's shifts, less their mean, span its subspace (`science.md` 5.3). What all prompts share, their mean shift, is
compared by its cosine: left in, it would be one direction of every subspace, which chance does not have.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def leading(shifts: Floats, k: int) -> Floats:
    """An orthonormal basis, (width, k), of the leading k directions of ``shifts`` (prompts, width) less their mean.

    Raises:
        ValueError: no more than k prompts, or fewer dimensions, so that there are not k directions.
    """
    if k > min(shifts.shape[0] - 1, shifts.shape[1]):
        raise ValueError(f"{k} directions of {shifts.shape[0]} shifts of width {shifts.shape[1]}")
    return np.linalg.svd(shifts - shifts.mean(axis=0), full_matrices=False)[2][:k].T


def moves(shifts: Floats, states: Floats) -> bool:
    """Whether shifts differ from their mean by more than rounding of the states (prompts, width) that they are of.

    Those of a trained vector do not, at its layer and below: it is added alike everywhere.
    """
    return bool(np.linalg.norm(shifts - shifts.mean(axis=0)) > 1e-5 * np.linalg.norm(states))


def overlap(one: Floats, other: Floats) -> float:
    """Mean squared cosine of the principal angles of two subspaces, given by orthonormal bases (width, k).

    ``|one' other|_F^2 / k``: 1 for the same subspace, 0 for orthogonal ones, k / width on average for random ones.
    """
    return float(((one.T @ other) ** 2).sum() / one.shape[1])


def cosine(one: Floats, other: Floats) -> float:
    """Cosine of two vectors; NaN where one is zero."""
    norm = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / norm) if norm else float("nan")


@dataclass(frozen=True)
class Control:
    """Overlaps that chance gives, and how often they reach the observed one."""

    mean: float
    quantile95: float
    p: float


def compare(observed: float, chance: Floats) -> Control:
    """The observed overlap against overlaps by chance, (draws,); p = (1 + how many reach it) / (1 + draws)."""
    p = (1 + int((chance >= observed - 1e-12).sum())) / (1 + len(chance))
    return Control(float(chance.mean()), float(np.quantile(chance, 0.95)), p)


def uniform_overlaps(basis: Floats, draws: int, random: np.random.Generator) -> Floats:
    """Overlaps of ``basis`` with subspaces of its dimension drawn uniformly: (draws,).

    Rotating shifts of any spectrum at random gives the same distribution: the spectrum fixes which directions lead, and
    a uniform rotation forgets it.
    """
    width, k = basis.shape
    return np.array([overlap(basis, np.linalg.qr(random.standard_normal((width, k)))[0]) for _ in range(draws)])


def spectrum_overlaps(basis: Floats, states: Floats, prompts: int, draws: int, random: np.random.Generator) -> Floats:
    """Overlaps of ``basis`` with leading subspaces of shifts that vary as activations themselves do: (draws,).

    Each draw makes ``prompts`` random combinations of the centred base activations ``states`` (n, width), so that the
    directions in which activations vary most are the likely ones, as they are for any change of a model. This is the
    stricter control.
    """
    centred = states - states.mean(axis=0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    # a shift is z' diag(values) directions: its leading subspace is found among the coordinates z' diag(values)
    kept = values > values[0] * 1e-9
    coordinates, axes = values[kept], directions[kept]
    inside = axes @ basis
    k = basis.shape[1]
    found = np.empty(draws)
    for draw in range(draws):
        mixed = random.standard_normal((prompts, len(coordinates))) * coordinates
        found[draw] = overlap(leading(mixed, k), inside)
    return found
