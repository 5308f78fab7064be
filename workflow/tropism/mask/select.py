"""Which units of a text are hidden: its metaphors, and for each a control that is no metaphor.

The control hides, in the same text, one lexical unit for each masked metaphor, of the same part of speech where
possible, then of the same length band, then closest in length, so that a difference between the two variants is one
of figure and not of amount. The pairs are an optimal assignment (scipy) and not a greedy choice: where one word is the
only match of one metaphor and one of several matches of another, a greedy choice may spend it on the second.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from tropism.records.keyed import keyed_seed
from tropism.records.schema import Unit

# Characters: function words, short, middling, long and very long words. Bands are 1-3, 4-5, 6-7, 8-10 and 11 upwards.
BAND_STARTS = (4, 6, 8, 11)
UNKNOWN = "X"


@dataclass(frozen=True, order=True)
class Span:
    """A lexical unit: characters ``start`` to ``end`` (exclusive) and its part of speech."""

    start: int
    end: int
    pos: str = UNKNOWN

    def __len__(self) -> int:
        """Its characters."""
        return self.end - self.start

    def overlaps(self, other: "Span") -> bool:
        """Whether the two share a character."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class Key:
    """What the choices in a text depend on, beside the text."""

    seed: int
    text_id: str
    field: str

    def uniform(self, purpose: str, span: Span) -> float:
        """A number in [0, 1) that depends on the key, the purpose and the span alone."""
        return keyed_seed(self.seed, purpose, self.text_id, self.field, span.start, span.end) / 2**63


def merge(units: Sequence[Unit]) -> list[Span]:
    """The units as spans in order; units that overlap are one, with the part of speech of the longest."""
    merged: list[Span] = []
    longest = 0
    for unit in sorted(units, key=lambda unit: (unit.start, unit.end)):
        span = Span(unit.start, unit.end, unit.pos)
        if merged and span.overlaps(merged[-1]):
            last = merged[-1]
            pos = span.pos if len(span) > longest else last.pos
            longest = max(longest, len(span))
            merged[-1] = Span(last.start, max(last.end, span.end), pos)
        else:
            longest = len(span)
            merged.append(span)
    return merged


def choose_metaphors(metaphors: Sequence[Span], fraction: float, key: Key) -> list[Span]:
    """The metaphors to mask: each with probability ``fraction``, nested as the fraction grows."""
    return [span for span in metaphors if key.uniform("metaphor", span) < fraction]


def match_controls(
    masked: Sequence[Span], metaphors: Sequence[Span], units: Sequence[Span], key: Key
) -> list[tuple[Span, Span]]:
    """Pairs ``(metaphor, control)``, one to one, fewer than ``masked`` where the text runs out of other units.

    Controls are ``units`` that overlap none of ``metaphors``. Over the whole text the pairs have as many equal parts
    of speech as possible; given that, as many equal length bands; given that, the smallest sum of differences in
    length; what is still tied is drawn by key.
    """
    free = [unit for unit in units if not any(unit.overlaps(metaphor) for metaphor in metaphors)]
    if not masked or not free:
        return []
    # Each weight is more than all lesser terms of the whole assignment can sum to.
    pairs = min(len(masked), len(free))
    gaps = np.array([[abs(len(metaphor) - len(unit)) for unit in free] for metaphor in masked], dtype=float)
    band_weight = pairs * (gaps.max() + 1)
    pos_weight = (pairs + 1) * band_weight
    other_band = np.array([[band(metaphor) != band(unit) for unit in free] for metaphor in masked])
    other_pos = np.array([[metaphor.pos != unit.pos for unit in free] for metaphor in masked])
    draw = np.array([key.uniform("control", unit) for unit in free]) / (pairs + 1)
    cost = pos_weight * other_pos + band_weight * other_band + gaps + draw
    rows, columns = linear_sum_assignment(cost)
    return [(masked[row], free[column]) for row, column in zip(rows, columns, strict=True)]


def band(span: Span) -> int:
    """The length band of a unit, from 0 (function words) to 4."""
    return bisect_right(BAND_STARTS, len(span))
