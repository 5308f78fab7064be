"""Training loss against misalignment: each followed arm over its last step, and pairs of them at equal loss."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables
from tropism.figures.legend import fitting_columns
from tropism.figures.marks import looks_of

COLUMNS = ["arm", "step", "loss", "domain", "n_prompts", "margin_change", "low", "high"]
EQUAL = ["treatment", "control", "loss", "domain", "difference", "low", "high"]
LOOKS: tuple[tuple[str, Any], ...] = (("o", "-"), ("s", (0, (4, 1.5))), ("^", (0, (1, 1))))
"""Mark and line of each pair at equal loss."""


def draw(tables: Tables, arms: Arms) -> Drawing:
    """Over optimiser steps, against the training loss, and differences at equal loss, all domains together."""
    points = tables["dynamics"][COLUMNS]
    if points.empty:
        return canvas.in_words("No arm was followed over its training.", points)
    names = canvas.arm_order(points, arms)
    points = canvas.in_order(points, "arm", names)
    pairs = tables["equal_loss"][EQUAL]
    pairs = pairs[(pairs["domain"] == canvas.POOLED) & pairs["treatment"].isin(names) & pairs["control"].isin(names)]
    looks = looks_of(names)
    sizes = points[points["domain"] == canvas.POOLED].groupby("arm")["n_prompts"]
    labels = {name: f"{name} (n {canvas.extent(some)})" for name, some in sizes}
    named = pairs["treatment"] + " \u2013 " + pairs["control"]
    shown = named.drop_duplicates().head(len(LOOKS)).reset_index(drop=True)
    remarks = [
        canvas.left_out(tables["dynamics"]["arm"], points["arm"], "arms"),
        canvas.left_out(named, shown, "pairs at equal loss"),
    ]
    keys = [canvas.key(labels.get(name, name), *look) for name, look in looks.items()]
    keys += [canvas.key(f"right: {pair}", canvas.INK, *LOOKS[i]) for i, pair in enumerate(shown)]
    columns = fitting_columns([str(entry.get_label()) for entry in keys], 3, 72 * canvas.DOUBLE)
    figure = canvas.page(canvas.DOUBLE, 2.26 + 0.14 * -(-(len(keys) + any(remarks)) // columns))
    left, right, equal = figure.subplots(1, 3)
    right.sharey(left)
    for name, (colour, mark) in looks.items():
        pooled = points[(points["arm"] == name) & (points["domain"] == canvas.POOLED)].sort_values("step")
        left.fill_between(pooled["step"], pooled["low"], pooled["high"], color=colour, alpha=0.18, linewidth=0)
        left.plot(pooled["step"], pooled["margin_change"], f"{mark}-", color=colour, markersize=3.4)
        trained = pooled.dropna(subset="loss")
        right.plot(trained["loss"], trained["margin_change"], f"{mark}-", color=colour, markersize=3.4)
        right.vlines(trained["loss"], trained["low"], trained["high"], color=colour, linewidth=0.8)
    _at_equal_loss(equal, pairs)
    for axes in (left, right, equal) if len(pairs) else (left, right):
        axes.axhline(0, color=canvas.INK, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)
        axes.grid(color=canvas.GRID, linewidth=0.5)
    left.set_xlabel("optimiser step of the last training")
    left.set_ylabel("change of the margin,\nnats/token")
    right.tick_params(labelleft=False)
    for axes in (right, equal) if len(pairs) else (right,):
        axes.set_xlabel("training loss, nats/token (falling)")
        axes.invert_xaxis()
    canvas.legend_below(figure, keys, columns, "; ".join(filter(None, remarks)))
    return Drawing(figure, pd.concat([points, pairs.drop(columns="domain")], ignore_index=True))


def _at_equal_loss(axes: Axes, pairs: pd.DataFrame) -> None:
    """The first pairs' differences over the losses that both arms pass through."""
    if pairs.empty:
        canvas.note(axes, canvas.wrap("No two followed arms pass through a common training loss.", 28))
        return
    groups = [some for _, some in pairs.groupby(["treatment", "control"], sort=False)]
    for some, (mark, dash) in zip(groups, LOOKS, strict=False):
        axes.plot(some["loss"], some["difference"], mark, linestyle=dash, color=canvas.INK, markersize=3.4)
        axes.fill_between(some["loss"], some["low"], some["high"], color=canvas.INK, alpha=0.12, linewidth=0)
    axes.set_ylabel("difference at equal loss,\nnats/token")


PLOT = Plot({"dynamics": COLUMNS, "equal_loss": EQUAL}, draw)
