"""The kinds of column that published tables are made of, so that each room declares only names and meanings.

Every function takes the description that `docs/tables.md` prints, and gives a pandera column that is checked when the
table is written. `nullable` says whether an empty cell is allowed: a measured number may be empty unless told
otherwise (nothing was there to measure), a key or a count may not.
"""

from collections.abc import Sequence

import pandera.pandas as pa


def text(description: str, *, nullable: bool = False) -> pa.Column:
    """A name, a key or a sentence."""
    return pa.Column(str, nullable=nullable, description=description)


def one_of(values: Sequence[str], description: str) -> pa.Column:
    """One of a closed list of names."""
    return pa.Column(str, pa.Check.isin(list(values)), description=description)


def flag(description: str) -> pa.Column:
    """True or False."""
    return pa.Column(bool, description=description)


def count(description: str, *, least: int = 0, nullable: bool = False) -> pa.Column:
    """A number of things, `least` or more."""
    return pa.Column("Int64" if nullable else int, pa.Check.ge(least), nullable=nullable, description=description)


def integer(description: str, *checks: pa.Check) -> pa.Column:
    """A whole number that counts nothing: a layer, an index, a sign."""
    return pa.Column(int, list(checks), description=description)


def number(description: str, *checks: pa.Check, nullable: bool = True) -> pa.Column:
    """A measured number; its unit stands in the description."""
    return pa.Column(float, list(checks), nullable=nullable, description=description)


def share(description: str, *, nullable: bool = True) -> pa.Column:
    """A number from 0 to 1: a share, a probability, an area under a curve."""
    return number(description, pa.Check.in_range(0, 1), nullable=nullable)
