"""Narrow against general solutions: loss at equal norm, under noise, KL on plain text, behaviour, drift, mixtures."""

from collections.abc import Sequence

import pandas as pd

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

COLUMNS = [
    "comparison", "aligned_share", "metric", "level", "n_examples", "general", "general_low", "general_high",
    "narrow", "narrow_low", "narrow_high", "difference", "norm_general", "norm_narrow", "reference",
]  # fmt: skip
SIDES = {"general": (canvas.VERMILION, "o"), "narrow": (canvas.BLUE, "s")}
MARGINS = ("margin", "drift")
PANELS = {
    "efficiency": ("Efficiency", "norm of the update", "training loss, nats/token"),
    "stability_isotropic": ("Isotropic noise", "noise / adapter", "rise of the loss, nats/token"),
    "stability_orthogonal": ("Orthogonal noise", "noise / adapter", "rise of the loss, nats/token"),
    "significance": ("Significance", "", "KL on plain text, nats/token"),
}
MIXTURES = {
    "efficiency": ("Efficiency, largest norm", "training loss, nats/token"),
    "significance": ("Significance", "KL on plain text, nats/token"),
    "margin_outside": ("Margin outside", "nats/token"),
    "misaligned_outside": ("Misaligned outside", "share of responses"),
}


def draw(tables: Tables, arms: Arms) -> Drawing:
    """One row of panels a comparison, one panel a metric, with 95 % intervals over examples.

    Comparisons of several mixtures are drawn once more in the last row, over the share of aligned rows.
    """
    points = tables["narrow_general"][COLUMNS]
    if points.empty:
        return canvas.in_words("No narrow arm has a general one to be compared with.", points)
    names = list(dict.fromkeys(points["comparison"]))[:6]
    points = points[points["comparison"].isin(names)]
    mixed = points["aligned_share"].nunique() > 1
    figure = canvas.page(canvas.DOUBLE, 3.0 * len(names) + 0.5 + 1.75 * mixed)
    heights = [1.75, 1.25] * len(names) + [1.75] * mixed
    whole = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    if mixed:
        last = whole[-1].subgridspec(1, len(MIXTURES))
        _mixtures([figure.add_subplot(last[column]) for column in range(len(MIXTURES))], points)
    for place, name in enumerate(names):
        above, below = (whole[2 * place + row].subgridspec(1, n) for row, n in enumerate((len(PANELS), 2)))
        panels = [figure.add_subplot(above[column]) for column in range(len(PANELS))]
        own = points[points["comparison"] == name]
        _behaviour(figure.add_subplot(below[0]), own)
        _margins(figure.add_subplot(below[1]), own)
        for axes, (metric, (title, across, up)) in zip(panels, PANELS.items(), strict=True):
            rows = points[(points["comparison"] == name) & (points["metric"] == metric)].sort_values("level")
            _panel(axes, rows, metric)
            first = axes is panels[0]
            size = f"n {canvas.extent(rows['n_examples'])}" if len(rows) else ""
            share = own["aligned_share"].iloc[0]
            mixture = f", {share:.0%} of its rows aligned" if share else ""
            axes.set_title(f"{name}{mixture}\n{title}, {size}" if first else f"\n{title}, {size}", loc="left")
            axes.set_xlabel(across)
            axes.set_ylabel(up)
    keys = [canvas.key(side, *SIDES[side]) for side in SIDES]
    keys.append(canvas.key(_reference(points), canvas.GREY, "D", ""))
    canvas.legend_below(
        figure, keys, 3, canvas.left_out(tables["narrow_general"]["comparison"], points["comparison"], "pairs")
    )
    return Drawing(figure, points)


def _reference(points: pd.DataFrame) -> str:
    """What the grey points are: of mentions, and of drift where an arm went on with the KL term."""
    drift = points.loc[points["metric"].str.startswith("drift"), "reference"].notna().any()
    return "aligned references, by the same words" + ("; trained on with the KL term" if drift else "")


def _behaviour(axes: canvas.Axes, rows: pd.DataFrame) -> None:
    """A row a metric of responses, all as shares; scores out of 100 as such."""
    rows = rows[rows["metric"].str.endswith(("_inside", "_outside")) & ~rows["metric"].str.startswith(MARGINS)]
    if rows.empty:
        canvas.note(axes, "Their responses were not compared.")
        return
    _rows(axes, rows, [100 if metric.startswith(("coherence", "presence")) else 1 for metric in rows["metric"]])
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("share of responses, or score / 100")


def _margins(axes: canvas.Axes, rows: pd.DataFrame) -> None:
    """Likelihood margins, and how far training on without the KL term goes of the way from narrow to general."""
    rows = rows[rows["metric"].str.startswith(MARGINS)]
    if rows.empty:
        canvas.note(axes, "Their likelihoods were not compared.")
        return
    _rows(axes, rows, [1] * len(rows))
    axes.axvline(0, color=canvas.GREY, linewidth=0.7)
    axes.set_xlabel("margin or its change, nats/token")


def _rows(axes: canvas.Axes, rows: pd.DataFrame, wholes: list[int]) -> None:
    """Both sides of each metric with their intervals, as shares of ``wholes``, and the reference."""
    labels = [f"{m.replace('_', ', ')}, n {n}" for m, n in zip(rows["metric"], rows["n_examples"], strict=True)]
    canvas.name_rows(axes, labels)
    for y, (row, whole) in enumerate(zip(rows.to_dict("records"), wholes, strict=True)):
        for place, (side, (colour, marker)) in enumerate(SIDES.items()):
            ends = [row[f"{side}{end}"] / whole for end in ("", "_low", "_high")]
            canvas.estimate(axes, ends[0], ends[1], ends[2], y + canvas.dodge(place, 3), colour, marker)
        if pd.notna(row["reference"]):
            canvas.estimate(
                axes, row["reference"], float("nan"), float("nan"), y + canvas.dodge(2, 3), canvas.GREY, "D"
            )
    axes.grid(axis="x", color=canvas.GRID, linewidth=0.5)


def _panel(axes: canvas.Axes, rows: pd.DataFrame, metric: str) -> None:
    for place, (side, (colour, marker)) in enumerate(SIDES.items()):
        x = {"efficiency": rows[f"norm_{side}"], "significance": rows["level"] * 0 + place}.get(metric, rows["level"])
        axes.vlines(x, rows[f"{side}_low"], rows[f"{side}_high"], color=colour, linewidth=1.0)
        axes.plot(x, rows[side], marker, linestyle="-" if len(rows) > 1 else "", color=colour, markersize=3.4)
    if metric == "significance":
        axes.set_xlim(-0.6, 1.6)
        axes.set_xticks([0, 1], list(SIDES))
        axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=canvas.GRID, linewidth=0.5)


def _mixtures(panels: Sequence[canvas.Axes], points: pd.DataFrame) -> None:
    """Both sides of each comparison over the share of the rows that are trained on their aligned answer."""
    for axes, (metric, (title, up)) in zip(panels, MIXTURES.items(), strict=True):
        rows = points[points["metric"] == metric].sort_values("aligned_share", kind="stable")
        rows = rows[rows["level"] == rows["level"].max()]
        for place, (side, (colour, marker)) in enumerate(SIDES.items()):
            x = rows["aligned_share"] + canvas.dodge(place, 2) * 0.04
            line = "-" if rows["aligned_share"].is_unique else ""
            axes.vlines(x, rows[f"{side}_low"], rows[f"{side}_high"], color=colour, linewidth=1.0)
            axes.plot(x, rows[side], marker, linestyle=line, color=colour, markersize=3.4)
        first = axes is panels[0]
        axes.set_title(f"Mixtures\n{title}" if first else f"\n{title}", loc="left")
        axes.set_xlabel("share of aligned rows")
        axes.set_ylabel(up)
        axes.grid(axis="y", color=canvas.GRID, linewidth=0.5)


PLOT = Plot({"narrow_general": COLUMNS}, draw)
