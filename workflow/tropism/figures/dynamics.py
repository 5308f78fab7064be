"""Training loss against misalignment: each followed arm over its last step, and pairs of them at equal loss."""

import pandas as pd
from matplotlib.axes import Axes

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

COLUMNS = ["arm", "step", "loss", "domain", "n_prompts", "margin_change", "low", "high"]
EQUAL = ["treatment", "control", "loss", "domain", "difference", "low", "high"]
MOST = 3


def draw(tables: Tables, arms: Arms) -> Drawing:
    """Over optimiser steps, against the training loss, and differences at equal loss, all domains together."""
    points = tables["dynamics"][COLUMNS]
    if points.empty:
        return canvas.in_words("No arm was followed over its training.", points)
    names = canvas.arm_order(points, arms)
    points = canvas.in_order(points, "arm", names)
    pairs = tables["equal_loss"][EQUAL]
    pairs = pairs[(pairs["domain"] == canvas.POOLED) & pairs["treatment"].isin(names) & pairs["control"].isin(names)]
    figure = canvas.page(canvas.DOUBLE, 2.4)
    left, right, equal = figure.subplots(1, 3)
    right.sharey(left)
    colours = {name: canvas.COLOURS[i % len(canvas.COLOURS)] for i, name in enumerate(names)}
    for name in names:
        pooled = points[(points["arm"] == name) & (points["domain"] == canvas.POOLED)].sort_values("step")
        left.fill_between(pooled["step"], pooled["low"], pooled["high"], color=colours[name], alpha=0.18, linewidth=0)
        left.plot(pooled["step"], pooled["margin_change"], "o-", color=colours[name], markersize=3.4)
        trained = pooled.dropna(subset="loss")
        right.plot(trained["loss"], trained["margin_change"], "o-", color=colours[name], markersize=3.4)
        right.vlines(trained["loss"], trained["low"], trained["high"], color=colours[name], linewidth=0.8)
    _at_equal_loss(equal, pairs)
    for axes in (left, right, equal) if len(pairs) else (left, right):
        axes.axhline(0, color=canvas.INK, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)
        axes.grid(color=canvas.GRID, linewidth=0.5)
    left.set_xlabel("optimiser step of the last training")
    left.set_ylabel("change of the margin, nats/token")
    right.tick_params(labelleft=False)
    for axes in (right, equal) if len(pairs) else (right,):
        axes.set_xlabel("training loss, nats/token (falling)")
        axes.invert_xaxis()
    size = canvas.extent(points.loc[points["domain"] == canvas.POOLED, "n_prompts"])
    remark = canvas.left_out(tables["dynamics"]["arm"], points["arm"], "arms")
    keys = [canvas.key(f"{name} (n {size})", colours[name], "o") for name in names]
    canvas.legend_below(figure, keys, 3, remark)
    return Drawing(figure, pd.concat([points, pairs.drop(columns="domain")], ignore_index=True))


def _at_equal_loss(axes: Axes, pairs: pd.DataFrame) -> None:
    """The first pairs' differences over the losses that both arms pass through."""
    if pairs.empty:
        canvas.note(axes, canvas.wrap("No two followed arms pass through a common training loss.", 28))
        return
    keys = []
    for i, ((treatment, control), some) in enumerate(list(pairs.groupby(["treatment", "control"], sort=False))[:MOST]):
        colour = (canvas.INK, canvas.GREEN, canvas.PURPLE)[i]
        axes.plot(some["loss"], some["difference"], "o-", color=colour, markersize=3.4)
        axes.fill_between(some["loss"], some["low"], some["high"], color=colour, alpha=0.15, linewidth=0)
        keys.append(canvas.key(f"{treatment}\n\u2013 {control}", colour, "o"))
    axes.set_ylabel("difference at equal loss, nats/token")
    axes.legend(handles=keys, loc="best", fontsize=5.5)


PLOT = Plot({"dynamics": COLUMNS, "equal_loss": EQUAL}, draw)
