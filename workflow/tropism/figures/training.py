"""Loss and gradient norm of every lineage while it is trained."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, NullLocator

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

COLUMNS = ["lineage", "step", "epoch", "loss", "grad_norm", "response_tokens"]
PANELS = {"loss": "loss, nats/token", "grad_norm": "gradient norm, before clipping"}
MOST_POINTS = 150
MOST_LINEAGES = 24
KEPT = re.compile(r"-(snapshots|checkpoint_every|gradient_checkpointing)_[^-.]*")
"""Overrides of a step that change which files are kept and how memory is used, not what is trained."""
DASHES = ["-", (0, (4, 1.5)), (0, (1, 1))]


def points_of(table: pd.DataFrame) -> pd.DataFrame:
    """Each lineage's curve; a curve of more than ``MOST_POINTS`` steps as means over as many stretches of it.

    The loss is weighted by the tokens with loss; ``step`` is the last of the stretch and ``steps`` their number.
    """
    kept = sorted(set(table["lineage"]))[:MOST_LINEAGES]
    table = table[table["lineage"].isin(kept)].sort_values(["lineage", "step"])
    parts = [_means(rows) for _, rows in table.groupby("lineage")]
    return pd.concat(parts, ignore_index=True) if parts else table[COLUMNS].assign(steps=[])


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    stretch = np.arange(len(rows)) // -(-len(rows) // MOST_POINTS)
    weighted = rows.assign(loss=rows["loss"] * rows["response_tokens"], steps=1)
    sums = {"lineage": "last", "step": "last", "epoch": "last", "loss": "sum", "grad_norm": "mean"}
    means = weighted.groupby(stretch).agg(sums | {"response_tokens": "sum", "steps": "sum"})
    return means.assign(loss=means["loss"] / means["response_tokens"])


def labels_of(lineages: Sequence[str]) -> dict[str, str]:
    """Names for readers: without what a step's name says of files that are kept, unless two would be alike."""
    short = {name: KEPT.sub("", name) for name in lineages}
    counts = Counter(short.values())
    return {name: label if counts[label] == 1 else name for name, label in short.items()}


def draw(tables: Tables, arms: Arms) -> Drawing:
    """Left the loss, right the gradient norm, against the epochs of the lineage's last step."""
    points = points_of(tables["training"])
    if points.empty:
        return canvas.in_words("Nothing was trained.", points)
    names = list(dict.fromkeys(points["lineage"]))
    figure = canvas.page(canvas.DOUBLE, 2.4 + 0.14 * len(names))
    count = len(canvas.COLOURS)
    looks = {name: (canvas.COLOURS[i % count], DASHES[i // count % len(DASHES)]) for i, name in enumerate(names)}
    for axes, (column, label) in zip(figure.subplots(1, 2), PANELS.items(), strict=True):
        for name, rows in points.groupby("lineage"):
            colour, dash = looks[str(name)]
            mark = "o" if len(rows) <= 40 else ""
            axes.plot(rows["epoch"], rows[column], mark, color=colour, linestyle=dash, markersize=1.8, linewidth=0.9)
        axes.set_xlabel("epochs of the lineage's last step")
        axes.set_ylabel(label)
        axes.set_xlim(left=0)
        axes.grid(color=canvas.GRID, linewidth=0.5)
    figure.axes[0].set_ylim(bottom=0)
    still = int((points["grad_norm"] <= 0).sum())
    if still < len(points):
        figure.axes[1].set_yscale("log", nonpositive="mask")
        figure.axes[1].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        figure.axes[1].yaxis.set_major_formatter("{x:g}")
        figure.axes[1].yaxis.set_minor_locator(NullLocator())
    steps = points.groupby("lineage")["steps"].sum()
    shown = labels_of(names)
    keys = [
        canvas.key(f"{shown[name]}  ({steps[name]:,} steps)", look[0], line=look[1]) for name, look in looks.items()
    ]
    remarks = [
        canvas.left_out(tables["training"]["lineage"], points["lineage"], "lineages"),
        f"{still} of {len(points)} gradient norms are 0, off the logarithmic axis" if 0 < still < len(points) else "",
    ]
    canvas.legend_below(figure, keys, 1, "; ".join(filter(None, remarks)))
    return Drawing(figure, points)


PLOT = Plot({"training": COLUMNS}, draw)
