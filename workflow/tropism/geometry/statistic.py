"""A statistic of a set of vectors: what it is called, what it is a function of, and what it says."""

from collections.abc import Callable
from dataclasses import dataclass

from tropism.geometry.gram import Floats


@dataclass(frozen=True)
class Statistic:
    """One number about some vectors.

    Attributes:
        method: the method or test that it belongs to.
        name: its name, with the definition where a source leaves two readings.
        subject: the vectors or clusters that it is about.
        indices: the vectors that it reads, in the order in which ``of`` expects them.
        of: their Gram matrices (..., m, m) to values (...,); under the null it depends on m alone.
        kind: statistics of one kind are one function of as many vectors, and so have the same null.
        above: what it says when it is larger than of random directions.
        below: what it says when it is smaller.
        unit: of the value.
        criterion: a published criterion, such as ``> 0.95``.
        meets: what that criterion is said to show.
        headline: whether its verdict is printed.
    """

    method: str
    name: str
    subject: str
    indices: tuple[int, ...]
    of: Callable[[Floats], Floats]
    kind: tuple[object, ...]
    above: str
    below: str
    unit: str = "cosine"
    criterion: str = ""
    meets: str = ""
    headline: bool = False
