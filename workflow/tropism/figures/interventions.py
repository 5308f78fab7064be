"""Dose-response of interventions: features under test and the mean difference, before the range of their controls."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

COLUMNS = ["arm", "kind", "feature", "matched_to", "dose", "outcome", "judge", "n_prompts", "change", "low", "high"]
COLUMNS += ["control_change", "control_min", "control_max", "edit_norm", "p_holm", "verdict"]
OUTCOMES = {
    "margin": "change of margin\nnats/token",
    "reference_logp": "change of log p of the\nlikelier reference, nats/token",
    "misaligned": "change of share\nmisaligned",
    "coherence": "change of coherence\npoints of 100",
}
DIRECTION = "mean difference"
HATCH = "/////"
ABREAST = 4
"""Arms side by side."""


def draw(tables: Tables, arms: Arms) -> Drawing:
    """A line of panels an outcome, a column an arm: change from the untouched arm by dose, with intervals."""
    table = tables["interventions"][COLUMNS]
    if table.empty:
        return canvas.in_words("No intervention was made.", table)
    names = canvas.arm_order(table, arms)
    points = canvas.in_order(table, "arm", names)
    outcomes = [name for name in OUTCOMES if name in set(points["outcome"])]
    features = sorted(set(points.loc[points["kind"] == "feature", "feature"]))
    colours = {feature: canvas.COLOURS[i % len(canvas.COLOURS)] for i, feature in enumerate(features)}
    blocks = [names[start : start + ABREAST] for start in range(0, len(names), ABREAST)]
    across = len(blocks[0])
    width = 112 // across - 2  # letters that a panel is wide
    figure = canvas.page(canvas.DOUBLE, len(blocks) * (1.7 * len(outcomes) + 0.4) + 0.2)
    grid = figure.subplots(len(blocks) * len(outcomes), across, squeeze=False)
    for block, start in zip(blocks, range(0, len(grid), len(outcomes)), strict=True):
        panels = grid[start : start + len(outcomes)]
        _share_axes(panels)
        for line, outcome in zip(panels, outcomes, strict=True):
            for axes, arm in zip(line, block, strict=False):
                rows = points[(points["arm"] == arm) & (points["outcome"] == outcome)]
                if rows.empty:
                    canvas.note(axes, "not measured")
                else:
                    _panel(axes, rows, colours)
            line[0].set_ylabel(OUTCOMES[outcome])
            for axes in line[len(block) :]:
                axes.set_axis_off()
        for axes, arm in zip(panels[0], block, strict=False):
            n = points.loc[points["arm"] == arm, "n_prompts"]
            axes.set_title(f"{canvas.wrap(arm, min(34, width))}\n{canvas.extent(n)} prompts")
        for axes in panels[-1][: len(block)]:
            axes.set_xlabel(canvas.wrap("dose: below 0 suppressed, -1 ablated; above 0 added", width))
    keys: list[Artist] = [canvas.key(f"feature {feature}", colour, "o") for feature, colour in colours.items()]
    keys += [
        canvas.key(DIRECTION, canvas.INK, "s", "--"),
        canvas.patch("range of matched random features", canvas.BAND),
        Patch(
            facecolor="none",
            edgecolor=canvas.FAINT,
            hatch=HATCH,
            linewidth=0,
            label=f"range of controls of the {DIRECTION}",
        ),
        canvas.key("cause", canvas.VERMILION, "*", ""),
    ]
    canvas.legend_below(figure, keys, 4, canvas.left_out(table["arm"], points["arm"], "arms"))
    return Drawing(figure, points)


def _share_axes(panels: np.ndarray) -> None:
    """Changes of one outcome have one scale, doses of one arm another; both are lettered once."""
    for line in panels:
        for axes in line[1:]:
            axes.sharey(line[0])
            axes.tick_params(labelleft=False)
    for column in panels.T:
        for axes in column[:-1]:
            axes.sharex(column[-1])
            axes.tick_params(labelbottom=False)


def _panel(axes: Axes, rows: pd.DataFrame, colours: dict[int, str]) -> None:
    """Every line passes through no change at dose 0, which is the arm untouched."""
    tested, direction = rows[rows["kind"] == "feature"], rows[rows["kind"] == DIRECTION]
    _controls(axes, tested, color=canvas.BAND, linewidth=0)
    _controls(axes, direction, facecolor="none", edgecolor=canvas.FAINT, hatch=HATCH, linewidth=0, zorder=1.1)
    axes.axhline(0, color=canvas.FAINT, linewidth=0.6)
    axes.axvline(0, color=canvas.GRID, linewidth=0.6, zorder=0)
    series = [(direction, canvas.INK, "s", "--")]
    series += [(tested[tested["feature"] == feature], colour, "o", "-") for feature, colour in colours.items()]
    for some, colour, marker, dash in series:
        if some.empty:
            continue
        line = _with_zero(some.set_index("dose")[["change", "low", "high"]])
        axes.plot(line.index, line["change"], dash, color=colour, linewidth=0.9)
        axes.vlines(some["dose"], some["low"], some["high"], color=colour, linewidth=0.9)
        axes.plot(some["dose"], some["change"], marker, color=colour, markersize=3)
        causes = some[some["verdict"] == "cause"]
        ends = causes["high"].where(causes["change"] > 0, causes["low"])
        axes.plot(causes["dose"], ends, "*", color=canvas.VERMILION, markersize=5, markeredgewidth=0)
    doses = sorted({0.0, *rows["dose"]})
    axes.set_xticks(doses, [f"{dose:g}" for dose in doses])
    axes.margins(x=0.1, y=0.12)


def _controls(axes: Axes, rows: pd.DataFrame, **look: Any) -> None:
    """The range of the controls of ``rows``, each of which has edits of the norm of its own row, over all of them."""
    band = rows.groupby("dose").agg({"control_min": "min", "control_max": "max"}).dropna()
    if len(band):
        band = _with_zero(band)
        axes.fill_between(band.index, band["control_min"], band["control_max"], **look)


def _with_zero(values: pd.DataFrame) -> pd.DataFrame:
    """``values`` by dose, with dose 0 at zero, in order of dose."""
    return pd.concat([values, pd.DataFrame(0.0, index=[0.0], columns=values.columns)]).sort_index()


PLOT = Plot({"interventions": COLUMNS}, draw)
