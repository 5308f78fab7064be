"""Cosines of steering vectors from layer to layer."""

import numpy as np
from matplotlib.artist import Artist

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

COLUMNS = ["layer", "a", "b", "cosine", "low", "high", "random_high", "covariance_high"]
MOST = 21
DASHES = ["-", (0, (4, 1.5)), (0, (1, 1))]


def draw(tables: Tables, arms: Arms) -> Drawing:
    """One line a pair of vectors, the range of random directions in grey."""
    table = tables["geometry_layers"]
    points = table[COLUMNS].sort_values(["a", "b", "layer"], ignore_index=True)
    if points.empty:
        return canvas.in_words("No layer traces: no vectors of several layers.", points)
    groups = list(points.groupby(["a", "b"], sort=False))[:MOST]
    figure = canvas.page(canvas.DOUBLE, 2.5 + 0.07 * len(groups))
    axes = figure.subplots()
    chance = points.groupby("layer")["random_high"].first()
    axes.fill_between(chance.index, -chance, chance, color=canvas.BAND, linewidth=0)
    keys: list[Artist] = [canvas.patch("random directions", canvas.BAND)]
    own = points.groupby("layer")["covariance_high"].first()
    for sign in (1, -1):
        axes.plot(own.index, sign * own, color=canvas.FAINT, linewidth=0.8, linestyle=(0, (1, 1)))
    keys.append(canvas.key("with the vectors' covariance", canvas.FAINT, line=(0, (1, 1))))
    for i, ((a, b), rows) in enumerate(groups):
        colour, dash = canvas.COLOURS[i % len(canvas.COLOURS)], DASHES[i // len(canvas.COLOURS) % len(DASHES)]
        axes.plot(rows["layer"], rows["cosine"], "o", color=colour, linestyle=dash, markersize=2)
        if rows["low"].notna().any():
            axes.fill_between(rows["layer"], rows["low"], rows["high"], color=colour, alpha=0.12, linewidth=0)
        keys.append(canvas.key(f"{a}, {b}", colour, line=dash))
    axes.set_xticks(np.unique(points["layer"])[:: max(1, points["layer"].nunique() // 16)])
    lowest = min(points[["cosine", "low"]].min(axis=None), -points[["random_high", "covariance_high"]].max(axis=None))
    axes.set_ylim(np.nanmin([-0.1, lowest - 0.05]), 1.02)
    axes.set_xlabel("layer")
    axes.set_ylabel("cosine")
    axes.grid(color=canvas.GRID, linewidth=0.5)
    total = points.groupby(["a", "b"]).ngroups
    remark = f"{MOST} of {total} pairs are shown; the table has all" if total > MOST else ""
    canvas.legend_below(figure, keys, 3, remark)
    return Drawing(figure, points)


PLOT = Plot({"geometry_layers": COLUMNS}, draw)
