"""How far each arm's rate depends on what is done with refusals, code and incoherent answers, all domains together."""

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

COLUMNS = [
    "arm",
    "judge",
    "instrument",
    "denominator",
    "headline",
    "n_denominator",
    "value",
    "low",
    "high",
    "corrected",
]
COLUMNS += ["corrected_low", "corrected_high"]
LOOKS = {
    "all": (canvas.BLUE, "o"),
    "no-refusals": (canvas.ORANGE, "s"),
    "no-code": (canvas.SKY, "h"),
    "coherent": (canvas.GREEN, "D"),
    "coherent-no-refusals": (canvas.PURPLE, "^"),
    "coherent-no-refusals-no-code": (canvas.BROWN, "v"),
    "refusals-aligned": (canvas.VERMILION, "<"),
    "incoherent-aligned": (canvas.GREY, ">"),
}
"""In the order in which they are drawn."""
CORRECTED = (canvas.INK, "X")
LEAST_HEIGHT = 0.1
"""Inches between the marks of two denominators of one arm."""


def points_of(table: pd.DataFrame, arms: Arms) -> pd.DataFrame:
    """The rates of answers over all domains, in the order of the arms."""
    rate = (table["statistic"] == "rate") & (table["domain"] == canvas.POOLED) & (table["target"] == "answer")
    rows = table[rate & table["denominator"].isin(list(LOOKS))]
    return canvas.in_order(rows, "arm", canvas.arm_order(rows, arms))[COLUMNS]


def draw(tables: Tables, arms: Arms) -> Drawing:
    """One panel a judge and rubric, one row an arm, one mark a denominator; the headline one has its interval."""
    points = points_of(tables["misalignment"], arms)
    if points.empty:
        return canvas.in_words("No rate of misalignment: no judge has scored an answer.", points)
    names = list(dict.fromkeys(points["arm"]))
    panels = sorted(set(zip(points["judge"], points["instrument"], strict=True)), key=canvas.rubric_first)
    lines = [panels[start : start + 2] for start in range(0, len(panels), 2)]
    used = [name for name in LOOKS if name in set(points["denominator"])]
    height = max(0.42, LEAST_HEIGHT * (len(used) + 1))
    figure = canvas.page(canvas.DOUBLE, len(lines) * (height * len(names) + 0.55) + 0.7)
    grid = figure.subplots(len(lines), max(map(len, lines)), sharex=True, squeeze=False)
    for line, row in zip(lines, grid, strict=True):
        for axes, (judge, instrument) in zip(row, line, strict=False):
            here = points[(points["judge"] == judge) & (points["instrument"] == instrument)]
            canvas.name_rows(axes, names, show=axes is row[0])
            beside = axes.get_yaxis_transform()
            axes.text(1.09, 1.01, "n", transform=axes.transAxes, fontsize=5.5, va="bottom", ha="right")
            for point in here.itertuples():
                y = names.index(point.arm) + canvas.dodge(used.index(point.denominator), len(used) + 1)
                colour, marker = LOOKS[point.denominator]
                low, high = (point.low, point.high) if point.headline else (np.nan, np.nan)
                canvas.estimate(axes, point.value, low, high, y, colour, marker, hollow=not point.headline)
                size = f"{point.n_denominator:,.0f}" if pd.notna(point.n_denominator) else ""
                axes.text(1.09, y, size, transform=beside, fontsize=4.5, va="center", ha="right")
                if point.headline and pd.notna(point.corrected):
                    y = names.index(point.arm) + canvas.dodge(len(used), len(used) + 1)
                    canvas.estimate(axes, point.corrected, point.corrected_low, point.corrected_high, y, *CORRECTED)
            axes.set_title(f"{instrument} by {judge}", loc="left")
            axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.grid(axis="x", color=canvas.GRID, linewidth=0.5)
            axes.tick_params(axis="x", labelbottom=True)
        for axes in row[len(line) :]:
            axes.set_axis_off()
    grid[0, 0].set_xlim(-0.02, max(0.1, points[["value", "high", "corrected_high"]].max(axis=None)) * 1.05)
    quoted = set(points.loc[points["headline"], "denominator"])
    handles = [canvas.key(name, *LOOKS[name], line="", hollow=name not in quoted) for name in used]
    if points["corrected"].notna().any():
        handles.append(canvas.key("headline, corrected for the judge's error", *CORRECTED, line=""))
    remark = canvas.left_out(tables["misalignment"]["arm"], points["arm"], "arms")
    canvas.legend_below(figure, handles, 3, remark, title="share of answers that is misaligned, by denominator")
    return Drawing(figure, points)


PLOT = Plot({"misalignment": [*COLUMNS, "statistic", "domain", "target"]}, draw)
