"""What all figures share: reading tables, the look of the page, and writing the same bytes every time.

A figure is one journal column (3.4 in) or two (7.0 in) wide. Letters in the SVG are outlines, so that it looks the same
wherever it is opened; the PDF embeds its fonts (type 42). Colours are seaborn's colour-blind safe palette.
"""

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tropism.figures.legend import fitting_columns
from tropism.records.files import InputError, replacing, write_csv

SINGLE, DOUBLE = 3.4, 7.0
DPI = 250
BLUE, ORANGE, GREEN, VERMILION, PURPLE, BROWN, PINK, GREY, YELLOW, SKY = (
    "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9",
)  # fmt: skip
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, BROWN, GREY)
INK, FAINT, GRID, STRIPE = "#222222", "#b0b0b0", "#dddddd", "#f5f5f5"
BAND = "#dcdcdc"
POOLED = "pooled"
MOST_ROWS = 60
WORDS_WIDTH = 48
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "figure.titlesize": 8,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.0,
    "text.parse_math": False,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "tropism",
}
FORMATS = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}

Tables = Mapping[str, pd.DataFrame]
Arms = Mapping[str, str | None]
"""Arms in the order of the settings, each with the untrained arm that it is compared with (None: there is none)."""


@dataclass(frozen=True)
class Drawing:
    """A figure and the table of what was plotted in it."""

    figure: Figure
    points: pd.DataFrame


@dataclass(frozen=True)
class Plot:
    """How a figure is made: the columns that it needs of each table, and the function that draws them."""

    needs: Mapping[str, Sequence[str]]
    draw: Callable[[Tables, Arms], Drawing]


def read_tables(paths: Sequence[Path], needs: Mapping[str, Sequence[str]]) -> dict[str, pd.DataFrame]:
    """The tables that are needed, by name, from files or folders of CSV; files of one name are laid end to end.

    Raises:
        InputError: naming the table or file that is missing, or the column that a file lacks.
    """
    files = [file for path in paths for file in (sorted(path.glob("*.csv")) if path.is_dir() else [path])]
    tables = {}
    for name, columns in needs.items():
        found = [file for file in files if file.stem == name]
        if not found:
            raise InputError(
                f"no table {name}.csv among {', '.join(map(str, paths)) or 'no files'}; give it by --tables"
            )
        tables[name] = pd.concat([read_table(file, columns) for file in found], ignore_index=True)
    return tables


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A published table; an empty cell is a missing value and a name such as ``NA`` or ``None`` is itself.

    Raises:
        InputError: there is no such file, or it lacks one of ``columns``.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such table; run the workflow that makes it")
    table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}; found {', '.join(table.columns)}")
    return table


def publish(
    plot: Plot,
    paths: Sequence[Path],
    stem: Path,
    arms: Arms,
    findings: Callable[[pd.DataFrame], Sequence[str]] = lambda points: (),
) -> None:
    """Draw ``plot`` and write ``stem``.svg, .pdf, .png and .csv, each whole or not at all.

    ``findings`` says in sentences what the plotted points show; they are written to ``stem``.rst for the caption.
    """
    tables = read_tables(paths, plot.needs)
    style: Any = {**mpl.rcParamsDefault, "backend": "agg", **STYLE}
    with mpl.rc_context(style):
        drawing = plot.draw(tables, arms)
        drawing.figure.draw_without_rendering()
        drawing.figure.set_layout_engine(None)  # laid out once, so that the three formats agree
        for extension, metadata in FORMATS.items():
            with replacing(stem.with_name(f"{stem.name}.{extension}")) as temporary:
                drawing.figure.savefig(temporary, format=extension, dpi=DPI, metadata=metadata)
    write_csv(stem.with_name(f"{stem.name}.csv"), drawing.points)
    with replacing(stem.with_name(f"{stem.name}.rst")) as temporary:
        said = "".join(f"- {_plain(sentence)}\n" for sentence in findings(drawing.points))
        temporary.write_text(f"In this run:\n\n{said}" if said else "", encoding="utf-8", newline="\n")


def _plain(text: str) -> str:
    """``text`` as reStructuredText that says just that: what is markup there is escaped."""
    return re.sub(r"([\\*`_|<>])", r"\\\1", text)


def page(width: float, height: float) -> Figure:
    """An empty figure of that size, in inches, whose parts make room for one another."""
    layout = ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.06, wspace=0.03, hspace=0.04)
    return Figure(figsize=(width, height), layout=layout)


def in_words(text: str, points: pd.DataFrame, width: float = SINGLE) -> Drawing:
    """A figure that says why there is nothing to show."""
    figure = page(width, 1.0)
    note(figure.subplots(), wrap(text, WORDS_WIDTH))
    return Drawing(figure, points)


def note(axes: Axes, text: str) -> None:
    """Say ``text`` in the place of a plot."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color="#555555", transform=axes.transAxes, linespacing=1.4)


def name_rows(axes: Axes, labels: Sequence[str], show: bool = True) -> None:
    """Make the y axis one of named rows, from the top, every other one shaded."""
    for row in range(0, len(labels), 2):
        axes.axhspan(row - 0.5, row + 0.5, color=STRIPE, linewidth=0, zorder=0)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), labels if show else [""] * len(labels))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def estimate(
    axes: Axes, value: float, low: float, high: float, y: float, colour: str, marker: str = "o", *, hollow: bool = False
) -> None:
    """A point with its interval on row ``y``; without an interval, the point alone."""
    if pd.notna(low) and pd.notna(high):
        axes.plot([low, high], [y, y], color=colour, linewidth=1.0, solid_capstyle="butt", zorder=2)
    face = "white" if hollow else colour
    axes.plot(
        value,
        y,
        marker,
        color=colour,
        markerfacecolor=face,
        markersize=3.4,
        markeredgewidth=0.8,
        zorder=3,
        clip_on=False,
    )


def with_reference(rows: pd.DataFrame, table: pd.DataFrame, arms: Arms, keys: Sequence[str]) -> pd.DataFrame:
    """``rows`` with ``reference`` (the untrained arm), its ``reference_value`` of the same ``keys``, and ``change``."""
    values = table[["arm", *keys, "value"]].rename(columns={"arm": "reference", "value": "reference_value"})
    own = rows.assign(reference=rows["arm"].map(arms).astype(object))
    both = own.merge(values.astype({"reference": object}), on=["reference", *keys], how="left")
    return both.assign(change=both["value"] - both["reference_value"])


def arm_order(table: pd.DataFrame, arms: Arms) -> list[str]:
    """The arms to draw: those of ``arms`` that ``table`` has, in that order; all of the table's if none are named."""
    present = list(dict.fromkeys(table["arm"]))
    return ([arm for arm in arms if arm in present] if arms else present)[:MOST_ROWS]


def in_order(table: pd.DataFrame, column: str, names: Sequence[str]) -> pd.DataFrame:
    """The rows of ``table`` whose ``column`` is among ``names``, in the order of ``names``."""
    rows = table[table[column].isin(list(names))]
    return rows.sort_values(column, key=lambda values: values.map(list(names).index), kind="stable", ignore_index=True)


def left_out(all_names: pd.Series, drawn: pd.Series, things: str) -> str:
    """A remark on what was left out for want of room, if anything was."""
    total, shown = all_names.nunique(), drawn.nunique()
    return "" if shown == total else f"{shown} of {total} {things} are shown; the table has all"


def domain_order(table: pd.DataFrame) -> list[str]:
    """The domains of ``table`` by name, all of them together last."""
    return sorted(set(table["domain"]), key=lambda domain: (domain in (POOLED, "all"), domain))


def domain_colours(domains: Sequence[str]) -> dict[str, str]:
    """A colour for each domain; ink for all of them together."""
    single = [domain for domain in domains if domain not in (POOLED, "all")]
    return dict.fromkeys(domains, INK) | {domain: COLOURS[i % len(COLOURS)] for i, domain in enumerate(single)}


def rubric_first(key: tuple[str, str]) -> tuple[str, bool, str]:
    """Sort key of (target or judge, instrument): the five-point rubric before all others, likelihoods last."""
    first, instrument = key
    return first, instrument != "rubric5", instrument


def extent(counts: pd.Series) -> str:
    """``24``, or ``20-24`` where counts differ."""
    low, high = int(counts.min()), int(counts.max())
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def dodge(place: int, places: int) -> float:
    """How far from the middle of its row the point at ``place`` of ``places`` is drawn."""
    return (place - (places - 1) / 2) * 0.68 / places


def key(label: str, colour: str, marker: str = "", line: Any = "-", *, hollow: bool = False) -> Line2D:
    """An entry of a legend."""
    face = "white" if hollow else colour
    return Line2D(
        [], [], color=colour, marker=marker, linestyle=line, markersize=3.4, markerfacecolor=face, label=label
    )


def legend_below(
    figure: Figure, handles: Sequence[Artist], columns: int, remark: str = "", *, title: str | None = None
) -> None:
    """One legend for the whole figure, under it, in fewer columns where names are long.

    ``title`` names an axis that all panels share.
    """
    entries = [*handles, *([key(remark, INK, line="")] if remark else [])]
    if entries:
        figure.legend(
            handles=entries,
            loc="outside lower center",
            ncols=fitting_columns([str(entry.get_label()) for entry in entries], columns, 72 * figure.get_figwidth()),
            handlelength=1.8,
            columnspacing=1.4,
            title=title,
            title_fontsize=7,
        )


def wrap(name: str, width: int) -> str:
    """``name`` on lines of about ``width`` characters."""
    return textwrap.fill(name, width, break_on_hyphens=True)


def p_text(p: float) -> str:
    """A p-value in print, with more decimals than three where these would not say on which side of 0.05 it lies."""
    near = [f"{p:.{digits}f}" for digits in (3, 4, 5, 6)]
    return "" if np.isnan(p) else "<0.001" if p < 0.001 else next((t for t in near if float(t) != 0.05), near[0])


def patch(label: str, colour: str) -> Patch:
    """A legend entry of an area."""
    return Patch(color=colour, label=label, linewidth=0)


def parse_arms(text: str) -> dict[str, str | None]:
    """``a=a,b=a,c`` as arms with the untrained arm of each; an empty text is no arms."""
    pairs = [part.partition("=") for part in text.split(",") if part]
    return {arm: reference or None for arm, _, reference in pairs}
