"""Arms along a quantity, such as the share of metaphors masked: one line a domain."""

from typing import Any

import pandas as pd

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables
from tropism.figures.marks import Look, domain_looks

COLUMNS = ["trend", "quantity", "x", "arm", "control", "domain", "judge", "instrument", "statistic", "n_prompts"]
COLUMNS += ["value", "low", "high", "unit"]
PANELS = {
    ("rubric5", "rate"): ("misaligned by rubric5", "%", 100),
    ("alignment100", "rate"): ("misaligned by alignment100", "%", 100),
    ("margin", "mean"): ("margin of misaligned references", "nats/token", 1),
    ("mc2", "mean"): ("TruthfulQA MC2, high = truthful", "%", 100),
}
MOST_TRENDS = 8
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)), (0, (7, 1.5)), (0, (4, 1, 1, 1, 1, 1)))
"""Lines of judges, in the order of their names; what no judge scored has the first."""


def points_of(table: pd.DataFrame) -> pd.DataFrame:
    """The points of the instruments that are drawn, of answers and references; trends in the order of the table."""
    key = pd.MultiIndex.from_frame(table[["instrument", "statistic"]])
    truthful = (table["instrument"] == "mc2") & (table["domain"] != canvas.POOLED)
    rows = table[key.isin(list(PANELS)) & (table["target"] != "reasoning") & ~truthful & (table["n_prompts"] > 0)]
    return canvas.in_order(rows, "trend", list(dict.fromkeys(table["trend"]))[:MOST_TRENDS])[COLUMNS]


def draw(tables: Tables, arms: Arms) -> Drawing:
    """One line of panels a trend, one panel an instrument; a band is a judge's interval of all domains."""
    table = tables["trends"]
    points = points_of(table)
    if points.empty:
        return canvas.in_words("No trend to show: no prompt has responses of all its arms.", points)
    looks = domain_looks(canvas.domain_order(points))
    judges = sorted(set(points["judge"]) - {"none"})
    dashes = {"none": "-"} | {judge: DASHES[i % len(DASHES)] for i, judge in enumerate(judges)}
    trends = list(dict.fromkeys(points["trend"]))
    figure = canvas.page(canvas.DOUBLE, 1.75 * len(trends) + 0.35)
    shown = [key for key in PANELS if len(_of(points, *key))]
    grid = figure.subplots(len(trends), len(shown), squeeze=False)
    for trend, row in zip(trends, grid, strict=True):
        own = points[points["trend"] == trend]
        for axes, key in zip(row, shown, strict=True):
            here = _of(own, *key)
            if here.empty:
                canvas.note(axes, "not measured")
                continue
            title, unit, scale = PANELS[key]
            _lines(axes, here, looks, dashes, scale)
            n = canvas.extent(here.loc[here["domain"] == canvas.POOLED, "n_prompts"])
            if here["control"].notna().any():
                unit = f"change, {'percentage points' if unit == '%' else unit}"
            axes.set_title(f"{canvas.wrap(title, 30)}\n{n} prompts", loc="left")
            axes.set_xlabel(canvas.wrap(here["quantity"].iloc[0], 30))
            name = f"{canvas.wrap(trend, 30)}\n" if axes is row[0] else ""
            axes.set_ylabel(f"{name}{unit}")
    keys = [canvas.key(domain, *look) for domain, look in looks.items()]
    if len(judges) > 1:
        keys += [canvas.key(f"judged by {judge}", canvas.INK, line=dashes[judge]) for judge in judges]
    band = canvas.patch(f"interval of {canvas.POOLED}", canvas.BAND)
    canvas.legend_below(figure, [*keys, band], 6, canvas.left_out(table["trend"], points["trend"], "trends"))
    return Drawing(figure, points)


def _of(points: pd.DataFrame, instrument: str, statistic: str) -> pd.DataFrame:
    return points[(points["instrument"] == instrument) & (points["statistic"] == statistic)]


def _lines(axes: canvas.Axes, here: pd.DataFrame, looks: dict[str, Look], dashes: dict[str, Any], scale: float) -> None:
    for (judge, domain), some in here.groupby(["judge", "domain"], sort=True):
        line = some.sort_values("x")
        dash, (colour, mark), pooled = dashes[str(judge)], looks[str(domain)], domain == canvas.POOLED
        if pooled:
            ends = (line["low"] * scale, line["high"] * scale)
            axes.fill_between(line["x"], *ends, color=canvas.BAND, alpha=0.6, linewidth=0, zorder=0.5)
            for end in ends:  # edges in the judge's line tell bands apart that overlap
                axes.plot(line["x"], end, color=canvas.FAINT, linestyle=dash, linewidth=0.6, zorder=0.6)
        width = 1.4 if pooled else 0.8
        y = line["value"] * scale
        axes.plot(line["x"], y, mark, color=colour, linestyle=dash, markersize=2.6, linewidth=width, zorder=2)
    axes.grid(color=canvas.GRID, linewidth=0.5)


PLOT = Plot({"trends": [*COLUMNS, "target"]}, draw)
