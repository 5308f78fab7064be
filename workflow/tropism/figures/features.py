"""Volcano plot of the dictionary's features: how well each tells misaligned from aligned, and how surely."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

COLUMNS = ["population", "domain", "feature", "n_aligned", "n_misaligned", "n_prompts", "auroc", "p_bh", "difference"]
COLUMNS += ["is_global"]
POPULATIONS = {"references": "reference answers", "generations": "the arms' responses"}
LABELS = 6
SMALLEST_P = 1e-300
MOST_VECTOR_POINTS = 4000


def points_of(table: pd.DataFrame) -> pd.DataFrame:
    """Features over all domains together."""
    rows = table.loc[table["domain"] == "all", COLUMNS]
    return rows.assign(minus_log10_p=-np.log10(rows["p_bh"].clip(lower=SMALLEST_P))).reset_index(drop=True)


def draw(tables: Tables, arms: Arms) -> Drawing:
    """Left reference answers, right the arms' responses; global features are marked, the surest are labelled."""
    points = points_of(tables["sae_features"])
    if points.empty:
        return canvas.in_words("No feature was compared: too few aligned or misaligned responses.", points)
    figure = canvas.page(canvas.DOUBLE, 3.0)
    for axes, (population, title) in zip(figure.subplots(1, 2), POPULATIONS.items(), strict=True):
        rows = points[points["population"] == population]
        if rows.empty:
            canvas.note(axes, f"{title}: not compared,\ntoo few aligned or misaligned ones")
        else:
            _volcano(axes, rows, title)
    keys = [
        canvas.key("feature", canvas.FAINT, "o", ""),
        canvas.key("global feature: significant in every domain, with one sign", canvas.VERMILION, "o", ""),
        canvas.key("p = 0.05", canvas.INK, line=":"),
    ]
    canvas.legend_below(figure, keys, 3)
    return Drawing(figure, points)


def _volcano(axes: Axes, rows: pd.DataFrame, title: str) -> None:
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
        axes.text(0.5, 0.97, "no global feature", transform=axes.transAxes, ha="center", va="top", color="#555555")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    _label(axes, marked)
    axes.set_xlabel("AUROC (above 0.5: larger in misaligned)")
    axes.set_ylabel("-log10 p, Benjamini-Hochberg")
    first = rows.iloc[0]
    counts = f"{first.n_misaligned:,} misaligned, {first.n_aligned:,} aligned, {first.n_prompts:,} prompts"
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
            )


PLOT = Plot({"sae_features": COLUMNS}, draw)
