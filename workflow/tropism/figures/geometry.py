"""Cosines of steering vectors in the order of their tree, the tree, and their map."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from scipy.cluster.hierarchy import dendrogram

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

NEEDS = {
    "geometry_pairs": ["a", "b", "cosine", "low", "high", "random_high", "p_random_bh", "p_covariance_bh"],
    "geometry_coordinates": ["vector", "number", "cluster", "leaf", "map_x", "map_y"],
    "geometry_merges": ["left", "right", "height", "size"],
}
NAMED = 40
"""Of more vectors than this none is named."""
NUMBERED = 12


def draw(tables: Tables, arms: Arms) -> Drawing:
    """Heat map of cosines beside the tree, and the map of two dimensions below."""
    pairs = tables["geometry_pairs"][NEEDS["geometry_pairs"]]
    places = tables["geometry_coordinates"].sort_values("leaf")
    if places.empty:
        return canvas.in_words("No steering vectors to compare.", pairs)
    n = len(places)
    figure = canvas.page(canvas.DOUBLE, float(np.clip(1.6 + 0.22 * n, 3.2, 7.0)))
    left, middle, right = figure.subplots(1, 3, width_ratios=[0.75, 1.15, 1.0])
    _tree(left, tables["geometry_merges"], n)
    _heat_map(middle, pairs, places)
    _map(right, places)
    colours = colours_of(places)
    keys = (
        [canvas.key(str(name), colour, "o", "") for name, colour in colours.items()] if len(colours) <= NUMBERED else []
    )
    canvas.legend_below(figure, keys, 4)
    return Drawing(figure, pairs)


def colours_of(places: pd.DataFrame) -> dict[str, str]:
    """A colour for each cluster, in the order of their numbers; grey for vectors in none."""
    names = places.sort_values("number")["cluster"].fillna("no cluster").unique()
    colours = {str(name): canvas.COLOURS[i % len(canvas.COLOURS)] for i, name in enumerate(names)}
    return colours | ({"no cluster": canvas.GREY} if "no cluster" in colours else {})


def _tree(axes: Axes, merges: pd.DataFrame, n: int) -> None:
    shape = dendrogram(merges[["left", "right", "height", "size"]].to_numpy(float), no_plot=True)
    lines = np.stack([np.array(shape["dcoord"]), (np.array(shape["icoord"]) - 5) / 10], axis=-1)
    axes.add_collection(LineCollection(list(lines), colors=canvas.INK, linewidths=0.7, joinstyle="miter"))
    axes.set_ylim(n - 0.5, -0.5)
    axes.set_xlim(max(1.0, float(merges["height"].max()) * 1.05), 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("1 - cosine")
    axes.set_title("Tree, average\nlinkage")


def _heat_map(axes: Axes, pairs: pd.DataFrame, places: pd.DataFrame) -> None:
    names = list(places["vector"])
    square = pairs.pivot(index="a", columns="b", values="cosine").reindex(index=names, columns=names).to_numpy()
    square = np.where(np.isnan(square), square.T, square)
    np.fill_diagonal(square, 1.0)
    image = axes.imshow(square, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    if len(names) <= NUMBERED:
        for (row, column), value in np.ndenumerate(square):
            colour = "white" if abs(value) > 0.6 else canvas.INK
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=5.5, color=colour)
    named = len(names) <= NAMED
    axes.set_xticks([])
    axes.set_yticks(range(len(names)) if named else [], names if named else [])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    chance = pairs["random_high"].iloc[0]
    axes.set_title(f"Cosines, rows and columns alike\nchance: below {chance:.2g} either way")
    axes.figure.colorbar(image, ax=axes, shrink=0.7, aspect=24, pad=0.02)


def _map(axes: Axes, places: pd.DataFrame) -> None:
    colours = colours_of(places)
    for cluster, some in places.groupby(places["cluster"].map(_cluster), sort=False):
        axes.plot(some["map_x"], some["map_y"], "o", color=colours[str(cluster)], markersize=3.6, clip_on=False)
    if len(places) <= NUMBERED:
        heights = spread_out(places["map_y"].to_numpy(), 0.06)
        reach = float(np.ptp(places["map_x"])) or 1.0
        for row, height in zip(places.itertuples(), heights, strict=True):
            right = row.map_x <= places["map_x"].median()
            offset = 0.05 * reach * (1 if right else -1)
            axes.annotate(
                str(row.vector), (row.map_x, row.map_y), (row.map_x + offset, height),
                ha="left" if right else "right", va="center", fontsize=5.5,
                arrowprops={"arrowstyle": "-", "linewidth": 0.3, "color": canvas.FAINT, "shrinkA": 0, "shrinkB": 2},
            )  # fmt: skip
    axes.margins(0.2)
    axes.set_xlabel("first coordinate")
    axes.set_ylabel("second coordinate")
    axes.set_title("Map: classical\nscaling of 1 - cosine")


def spread_out(values: np.ndarray, least: float) -> np.ndarray:
    """``values`` moved apart so that no two are closer than that share of their range."""
    order = np.argsort(values, kind="stable")
    gap = least * (np.ptp(values) or 1.0)
    moved = values[order].astype(float)
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + gap)
    result = np.empty_like(moved)
    result[order] = moved - (moved.mean() - values.mean())
    return result


def _cluster(name: object) -> str:
    return "no cluster" if pd.isna(name) else str(name)


PLOT = Plot(NEEDS, draw)
