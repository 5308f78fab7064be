"""Cosines of steering vectors in the order of their tree, the tree, and their map."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from scipy.cluster.hierarchy import dendrogram

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables
from tropism.figures.legend import points_wide
from tropism.figures.marks import cluster_looks, cluster_names

NEEDS = {
    "geometry_pairs": ["a", "b", "cosine", "low", "high", "random_high", "p_random_bh", "p_covariance_bh"],
    "geometry_coordinates": ["vector", "number", "cluster", "leaf", "map_x", "map_y"],
    "geometry_merges": ["left", "right", "height", "size"],
}
NAMED = 40
"""Of more vectors than this none is named."""
NUMBERED = 12
NAME_SIZE, BESIDE, MAP_WIDTH = 5.5, 6.0, 80.0
"""Points of the letters of names in the map, of the space before them, and of the width that the map has at least."""


def draw(tables: Tables, arms: Arms) -> Drawing:
    """Heat map of cosines beside the tree, and the map of two dimensions below."""
    pairs = tables["geometry_pairs"][NEEDS["geometry_pairs"]]
    places = tables["geometry_coordinates"].sort_values("leaf")
    if places.empty:
        return canvas.in_words("No steering vectors to compare.", pairs)
    n = len(places)
    if n < 2:
        return canvas.in_words("A single steering vector: there is nothing to compare it with.", pairs)
    figure = canvas.page(canvas.DOUBLE, float(np.clip(1.6 + 0.22 * n, 3.2, 7.0)))
    left, middle, right = figure.subplots(1, 3, width_ratios=[0.75, 1.15, 1.0])
    _tree(left, tables["geometry_merges"], n)
    _heat_map(middle, pairs, places)
    _map(right, places)
    looks = cluster_looks(places)
    keys = [canvas.key(name, *look, "") for name, look in looks.items()] if len(looks) <= NUMBERED else []
    canvas.legend_below(figure, keys, 4)
    return Drawing(figure, pairs)


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
            if np.isnan(value):
                continue
            colour = "white" if abs(value) > 0.6 else canvas.INK
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=5.5, color=colour)
    named = len(names) <= NAMED
    axes.set_xticks([])
    axes.set_yticks(range(len(names)) if named else [], names if named else [])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    chance = pairs["random_high"].iloc[0]
    beside = "" if np.isnan(chance) else f"\nchance: below {chance:.2g} either way"
    axes.set_title(f"Cosines, rows and columns alike{beside}")
    axes.figure.colorbar(image, ax=axes, shrink=0.7, aspect=24, pad=0.02)


def _map(axes: Axes, places: pd.DataFrame) -> None:
    looks = cluster_looks(places)
    for cluster, some in places.groupby(cluster_names(places), sort=False):
        colour, mark = looks[str(cluster)]
        axes.plot(some["map_x"], some["map_y"], mark, color=colour, markersize=3.6, clip_on=False)
    axes.margins(0.2)
    if len(places) <= NUMBERED:
        lines = places["vector"].map(_in_lines)
        heights = spread_out(places["map_y"].to_numpy(), 0.06 * (1 + lines.str.count("\n").max()))
        reach = float(np.ptp(places["map_x"])) or 1.0
        middle = float(places["map_x"].min()) + reach / 2
        limits = room_for_names(places, middle, reach)
        axes.set_xlim(*limits)
        for row, height in zip(places.itertuples(), heights, strict=True):
            right = row.map_x <= middle
            offset = BESIDE * (limits[1] - limits[0]) / MAP_WIDTH * (1 if right else -1)
            axes.annotate(
                _in_lines(row.vector), (row.map_x, row.map_y), (row.map_x + offset, height),
                ha="left" if right else "right", va="center", fontsize=NAME_SIZE,
                arrowprops={"arrowstyle": "-", "linewidth": 0.3, "color": canvas.FAINT, "shrinkA": 0, "shrinkB": 2},
            )  # fmt: skip
    axes.set_xlabel("first coordinate")
    axes.set_ylabel("second coordinate")
    axes.set_title("Map: classical\nscaling of 1 - cosine")


def room_for_names(places: pd.DataFrame, middle: float, reach: float) -> tuple[float, float]:
    """Limits of the map within which each vector is named on the side of ``middle``, where the plot goes on."""
    low, high = middle - 0.6 * reach, middle + 0.6 * reach
    widths = [BESIDE + points_wide(_in_lines(name), NAME_SIZE) for name in places["vector"]]
    for _ in range(12):  # a wider range makes the same letters longer
        unit = (high - low) / MAP_WIDTH
        for x, width in zip(places["map_x"], widths, strict=True):
            if x <= middle:
                high = max(high, x + width * unit)
            else:
                low = min(low, x - width * unit)
    return low, high


def _in_lines(name: object) -> str:
    return canvas.wrap(str(name), 16)


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


PLOT = Plot(NEEDS, draw)
