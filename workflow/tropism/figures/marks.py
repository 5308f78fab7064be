"""What tells series apart: a colour for each, and another mark once the colours are used up."""

from collections.abc import Sequence

import pandas as pd

from tropism.figures.canvas import COLOURS, GREY, INK, POOLED

SERIES = tuple(colour for colour in COLOURS if colour != GREY)
"""Colours of series where grey means that there is nothing to tell apart."""
MARKS = ("o", "s", "^", "v", "P", "X", "<", "h")
NO_CLUSTER = "no cluster"
Look = tuple[str, str]
"""A colour and a mark."""


def looks_of(names: Sequence[str]) -> dict[str, Look]:
    """A colour and a mark for each name; 64 of them differ."""
    count = len(COLOURS)
    return {name: (COLOURS[i % count], MARKS[i // count % len(MARKS)]) for i, name in enumerate(names)}


def domain_looks(domains: Sequence[str]) -> dict[str, Look]:
    """A colour and a mark for each domain, in their order; an ink diamond for all of them together."""
    own = looks_of([domain for domain in domains if domain not in (POOLED, "all")])
    return {domain: own.get(domain, (INK, "D")) for domain in domains}


def cluster_names(places: pd.DataFrame) -> pd.Series:
    """The cluster of each vector, in words where it has none."""
    return places["cluster"].fillna(NO_CLUSTER).astype(str)


def cluster_looks(places: pd.DataFrame) -> dict[str, Look]:
    """A colour and a mark for each cluster, in the order of their vectors' numbers; a grey dot for none."""
    names = list(dict.fromkeys(cluster_names(places.sort_values("number"))))
    count = len(SERIES)
    own = [name for name in names if name != NO_CLUSTER]
    looks = {name: (SERIES[i % count], MARKS[i // count % len(MARKS)]) for i, name in enumerate(own)}
    return {name: looks.get(name, (GREY, "o")) for name in names}
