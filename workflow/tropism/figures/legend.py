"""How many columns of a legend fit the page."""

from collections.abc import Sequence

import numpy as np
from matplotlib.textpath import TextPath

HANDLE, GAP, SIZE = 1.8, 1.4, 6.5
"""Widths of an entry's sample and of the space between columns, in letters of so many points."""
PAD = 0.8


def fitting_columns(labels: Sequence[str], most: int, width: float) -> int:
    """The most columns, up to ``most``, in which ``labels`` take no more than ``width`` points."""
    widths = [points_wide(label) + (HANDLE + PAD + GAP) * SIZE for label in labels]
    for columns in range(min(most, len(labels)), 1, -1):
        parts = np.array_split(widths, columns)  # as Matplotlib shares entries among columns
        if sum(float(part.max()) for part in parts) <= width:
            return columns
    return 1


def points_wide(label: str, size: float = SIZE) -> float:
    """The width of the longest line of ``label`` in letters of ``size`` points."""
    return max(
        (float(TextPath((0, 0), line, size=size).get_extents().x1) for line in label.split("\n") if line), default=0
    )
