"""How wide the columns of a LaTeX table print, and which of them fit a page together.

A page is that of the standard classes (345 pt of text at 10 pt, 550 pt when turned); letters are those of Computer
Modern at 7 pt, the size of ``\\scriptsize`` there. In larger classes both grow alike.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

PORTRAIT, LANDSCAPE = 345.0, 548.0
GAP = 6.0
"""Points between columns: twice ``\\tabcolsep``."""
SIZES = {r"\small": 9 / 7, r"\footnotesize": 8 / 7, r"\scriptsize": 1.0}
WRAPPED = 62.0
"""Points from which a column of words is set over several lines where the page is too narrow for it."""
LINES, WIDEST = 3, 180.0
"""Lines that a wrapped cell takes at most, unless its column would be wider than so many points."""
_NARROW, _WIDE = set("iljftrI.,:;|'!()[]- "), set("mwMW%@+=<>")


@dataclass(frozen=True)
class Column:
    """A column: its name, what its cells print, and whether these are numbers."""

    name: str
    cells: Sequence[str]
    numeric: bool

    @property
    def width(self) -> float:
        """Points of the widest cell or line of the head, on one line."""
        return max(map(points, [*head_lines(self.name), *self.cells]))

    @property
    def narrow(self) -> float:
        """Points that a column of words takes when it is wrapped; its longest word is not broken."""
        if self.numeric:
            return self.width
        words = [word for cell in {*self.cells} for word in re.findall(r"[^\s_-]*[\s_-]?", cell)]
        fewest = min(self.width / LINES, WIDEST)
        return min(self.width, max([WRAPPED, fewest, *map(points, [*head_lines(self.name), *words])]))


@dataclass(frozen=True)
class Layout:
    """Names of columns by part, the size of the letters, whether the page is turned, points of wrapped columns."""

    parts: list[list[str]]
    size: str
    turned: bool
    wrapped: Mapping[str, float]


def head_lines(name: str) -> list[str]:
    """The name of a column in lines, broken after underscores."""
    return re.findall(r"[^_]*_|[^_]+", name)


def points(text: str) -> float:
    """An estimate of the width of ``text``, which may hold markup, erring towards too wide."""
    for markup, width_of in ((r"\ensuremath{-", "+"), (r"\ensuremath", ""), (r"\times", "  +")):
        text = text.replace(markup, width_of)
    plain = re.sub(r"[\\{}^]", "", text)
    return sum(2.9 if c in _NARROW else 6.6 if c in _WIDE else 5.4 if c.isupper() else 4.1 for c in plain)


def lay_out(columns: Sequence[Column], key: Sequence[str]) -> Layout:
    """The largest letters on an upright page; else a turned page, in parts that each begin with the ``key``."""
    everything = [column.name for column in columns]
    for size, scale in SIZES.items():
        if _total([column.width for column in columns], scale) <= PORTRAIT:
            return Layout([everything], size, turned=False, wrapped={})
    narrow = {column.name: column.narrow for column in columns}
    wrapped = {column.name: column.narrow for column in columns if column.narrow < column.width}
    if _total(narrow.values()) <= PORTRAIT:
        return Layout([everything], r"\scriptsize", turned=False, wrapped=wrapped)
    parts: list[list[str]] = [[]]
    named = [name for name in everything if name in key] or everything[:1]
    for name in everything:
        if name in named:
            continue
        if parts[-1] and _total(narrow[one] for one in [*named, *parts[-1], name]) > LANDSCAPE:
            parts.append([])
        parts[-1].append(name)
    return Layout([[*named, *part] for part in parts], r"\scriptsize", turned=True, wrapped=wrapped)


def _total(widths: Iterable[float], scale: float = 1.0) -> float:
    found = list(widths)
    return scale * sum(found) + GAP * len(found)
