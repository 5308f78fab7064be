"""Can it be told before fine-tuning which prompts will go wrong? Held-out R2 of each kind of feature."""

import numpy as np
import pandas as pd

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables
from tropism.figures.marks import looks_of

COLUMNS = ["arm", "outcome", "features", "position", "layer", "n_prompts", "r2", "r2_low", "r2_high"]
LOWEST = -1.0
"""An R2 below this is drawn here: how far below nothing a prediction lies is of no interest."""
MOST_ARMS = 16
LEAST_HEIGHT = 0.09
"""Inches between the marks of two arms of one row."""


def draw(tables: Tables, arms: Arms) -> Drawing:
    """One panel an outcome, one row a kind of feature, a colour an arm; 0 is what the mean alone predicts."""
    points = tables["prior_prediction"][COLUMNS]
    if points.empty:
        return canvas.in_words("No outcome was predicted.", points)
    names = canvas.arm_order(points, arms)[:MOST_ARMS]
    points = canvas.in_order(points, "arm", names)
    labels = points.apply(_label, axis=1)
    rows = list(dict.fromkeys(labels))
    outcomes = list(dict.fromkeys(points["outcome"]))
    figure = canvas.page(canvas.DOUBLE, max(0.24, LEAST_HEIGHT * len(names)) * len(rows) + 1.0)
    panels = figure.subplots(1, len(outcomes), squeeze=False)[0]
    looks = looks_of(names)
    for axes, outcome in zip(panels, outcomes, strict=True):
        canvas.name_rows(axes, rows, show=axes is panels[0])
        some = points[points["outcome"] == outcome]
        for label, row in zip(labels[some.index], some.itertuples(), strict=True):
            y = rows.index(label) + canvas.dodge(names.index(row.arm), len(names))
            value, low, high = np.clip([row.r2, row.r2_low, row.r2_high], LOWEST, None)  # a missing one stays missing
            canvas.estimate(axes, value, low, high, y, *looks[row.arm])
        axes.axvline(0, color=canvas.INK, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)
        axes.grid(axis="x", color=canvas.GRID, linewidth=0.5)
        axes.set_xlim(LOWEST - 0.05, 1.0)
        axes.set_title(f"{outcome}, {canvas.extent(some['n_prompts'])} prompts", loc="left")
        axes.set_xlabel("R² on held-out prompts")
    missing = int(points["r2"].isna().sum())
    remarks = [
        f"left of {LOWEST:g} drawn at {LOWEST:g}" if (points[["r2", "r2_low"]] < LOWEST).any(axis=None) else "",
        f"{missing} of {len(points)} R² missing, not drawn" if missing else "",
        canvas.left_out(tables["prior_prediction"]["arm"], points["arm"], "arms"),
    ]
    canvas.legend_below(figure, [canvas.key(name, *looks[name]) for name in names], 3, "; ".join(filter(None, remarks)))
    return Drawing(figure, points)


def _label(row: pd.Series) -> str:
    return (
        f"{row['features']}, layer {int(row['layer'])}, {row['position']}"
        if pd.notna(row["layer"])
        else row["features"]
    )


PLOT = Plot({"prior_prediction": COLUMNS}, draw)
