"""A volcano plot: how well each feature tells two groups of responses apart, and how surely."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tropism.figures import canvas

LABELS = 6
SMALLEST_P = 1e-300
MOST_VECTOR_POINTS = 4000
PLAIN = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}
"""Behind a label, so that no line runs through it."""


def points_of(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """``columns`` of the features over all domains together."""
    rows = table.loc[table["domain"] == "all", columns]
    return rows.assign(minus_log10_p=-np.log10(rows["p_bh"].clip(lower=SMALLEST_P))).reset_index(drop=True)


def volcano(axes: Axes, rows: pd.DataFrame, title: str, counts: str, larger: str) -> None:
    """AUROC against -log10 p of the features ``rows``; above 0.5 they are larger in ``larger``."""
    many = len(rows) > MOST_VECTOR_POINTS
    plain, marked = rows[~rows["is_global"]], rows[rows["is_global"]]
    for some, colour, size in ((plain, canvas.FAINT, 1.8), (marked, canvas.VERMILION, 2.8)):
        axes.plot(
            some["auroc"], some["minus_log10_p"], "o", color=colour, markersize=size, markeredgewidth=0, rasterized=many
        )
    axes.axhline(-np.log10(0.05), color=canvas.INK, linewidth=0.7, linestyle=":")
    axes.axvline(0.5, color=canvas.GRID, linewidth=0.6, zorder=0)
    reach = max(0.1, float((rows["auroc"] - 0.5).abs().max()) * 1.45)
    top = max(2.0, float(rows["minus_log10_p"].max()) * 1.06)
    axes.set_xlim(0.5 - reach, 0.5 + reach)
    axes.set_ylim(-0.02 * top, top)
    if marked.empty:
        axes.text(
            0.5, 0.97, "no global feature", transform=axes.transAxes, ha="center", va="top", color="#555555", bbox=PLAIN
        )
    # labels stand at the edges, past 0 and 1 if need be; the axis itself ends there, as AUROC does
    low, high = max(0.0, 0.5 - reach), min(1.0, 0.5 + reach)
    axes.spines["bottom"].set_bounds(low, high)
    axes.set_xticks([tick for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high])
    _label(axes, rows[rows["p_bh"] < 0.05] if marked.empty else marked)
    axes.set_xlabel(f"AUROC (above 0.5: larger in {larger})")
    axes.set_ylabel("-log10 p, Benjamini-Hochberg")
    axes.set_title(f"{title}: {len(rows):,} features, {len(marked):,} global\n{counts}")


def _label(axes: Axes, marked: pd.DataFrame) -> None:
    """The surest of either side, named in a column at the edge with a thin line to each."""
    left, right = axes.get_xlim()
    left, right = left + 0.02 * (right - left), right - 0.02 * (right - left)
    top = axes.get_ylim()[1]
    for side, edge, align in ((marked["auroc"] < 0.5, left, "left"), (marked["auroc"] >= 0.5, right, "right")):
        best = marked[side].sort_values(["minus_log10_p", "feature"], ascending=[False, True])[:LABELS]
        heights = best["minus_log10_p"].to_numpy(copy=True)
        if len(heights):
            heights[0] = min(heights[0], 0.97 * top)
        for i in range(1, len(heights)):
            heights[i] = min(heights[i], heights[i - 1] - 0.055 * top)
        for (_, row), y in zip(best.iterrows(), heights, strict=True):
            axes.annotate(
                f"{row['feature']}",
                (row["auroc"], row["minus_log10_p"]),
                (edge, y),
                ha=align,
                va="center",
                fontsize=5.5,
                arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": canvas.FAINT, "shrinkA": 1, "shrinkB": 1},
                bbox=PLAIN,
            )


def legend(figure: Figure, remark: str = "") -> None:
    """What the marks mean, under the figure."""
    keys = [
        canvas.key("feature", canvas.FAINT, "o", ""),
        canvas.key("global feature: significant in every domain, with one sign", canvas.VERMILION, "o", ""),
        canvas.key("p = 0.05", canvas.INK, line=":"),
    ]
    canvas.legend_below(figure, keys, 3, remark)
