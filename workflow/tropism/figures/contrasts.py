"""Forest plot of the planned contrasts, with Holm's p and the smallest effect that each could have detected.

The slope of a trend, or a difference per something, has a unit of its own (``share per share of metaphors masked``),
and so a panel of its own.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables
from tropism.stats.units import in_print

COLUMNS = ["contrast", "family", "domain", "judge", "instrument", "statistic", "target", "n_prompts", "difference"]
COLUMNS += ["low", "high", "p_holm", "minimum_detectable_effect", "unit"]
PANELS = {
    ("rubric5", "rate"): ("misaligned by rubric5", ""),
    ("alignment100", "rate"): ("misaligned by alignment100", ""),
    ("alignment100", "mean"): ("mean of alignment100", ", high = aligned"),
    ("margin", "mean"): ("margin of misaligned over aligned references", ""),
    ("mc1", "mean"): ("TruthfulQA MC1", ", high = truthful"),
    ("mc2", "mean"): ("TruthfulQA MC2", ", high = truthful"),
}
"""Title of each instrument and statistic, and which way is good where more is not more misaligned."""
PANEL = ["judge", "instrument", "statistic", "unit"]
NAME_WIDTH = 24
LABEL_WIDTH = 46


def points_of(table: pd.DataFrame) -> pd.DataFrame:
    """The contrasts of the instruments that are drawn; of TruthfulQA only all questions together."""
    key = pd.MultiIndex.from_frame(table[["instrument", "statistic"]])
    truthful = table["instrument"].isin(["mc1", "mc2"]) & (table["domain"] != canvas.POOLED)
    rows = table[key.isin(list(PANELS)) & (table["target"] != "reasoning") & ~truthful & (table["n_prompts"] > 0)]
    return canvas.in_order(rows, "contrast", list(dict.fromkeys(table["contrast"]))[: canvas.MOST_ROWS // 2])[COLUMNS]


def draw(tables: Tables, arms: Arms) -> Drawing:
    """One panel a judge, instrument and statistic; one row a contrast, with its domains under one another."""
    table = tables["contrasts"]
    points = points_of(table)
    if points.empty:
        return canvas.in_words("No contrast to show: none is planned, or no prompt has responses of both arms.", points)
    colours = canvas.domain_colours(canvas.domain_order(points))
    lines = list(_lines(points))
    heights = []
    for line in lines:
        rows = pd.concat([_chosen(points, panel) for panel in line])
        heights.append(rows["contrast"].nunique() * max(0.12 * rows["domain"].nunique() + 0.05, 0.34) + 0.6)
    figure = canvas.page(canvas.DOUBLE, sum(heights) + 0.35)
    grid = figure.subplots(len(lines), 2, squeeze=False, height_ratios=heights)
    for line, row in zip(lines, grid, strict=True):
        shown = list(dict.fromkeys(pd.concat([_chosen(points, panel) for panel in line])["contrast"]))
        names = [name for name in dict.fromkeys(points["contrast"]) if name in shown]
        for axes, panel in zip(row, line, strict=False):
            judge, instrument, statistic, unit = panel
            _forest(axes, _chosen(points, panel), names, colours, show=axes is row[0])
            title, good = PANELS[instrument, statistic]
            several = points.loc[points["judge"] != "none", "judge"].nunique() > 1
            axes.set_title(f"{title}, {judge}" if several else title, loc="left")
            what = "slope" if " per " in unit else "treatment - control"
            axes.set_xlabel(canvas.wrap(f"{what}, {in_print(unit)[1]}{good}", LABEL_WIDTH))
        for axes in row[len(line) :]:
            axes.set_axis_off()
    keys = [canvas.key(domain, colour, "o" if domain != canvas.POOLED else "D") for domain, colour in colours.items()]
    band = canvas.patch("smaller than the minimum detectable effect", canvas.BAND)
    canvas.legend_below(figure, [*keys, band], 5, canvas.left_out(table["contrast"], points["contrast"], "contrasts"))
    return Drawing(figure, points)


def _lines(points: pd.DataFrame) -> Iterator[list[Sequence[str]]]:
    """Panels, two a line; those of one kind, differences first or slopes along one quantity, share lines."""
    found = list(points.drop_duplicates(PANEL)[PANEL].itertuples(index=False, name=None))
    of_panel = {panel: (list(PANELS).index(panel[1:3]), panel[0]) for panel in found}
    kinds = list(dict.fromkeys(_per(unit) for *_, unit in found))
    for kind in sorted(kinds, key=lambda kind: (bool(kind), kinds.index(kind))):
        alike = sorted((panel for panel in found if _per(panel[3]) == kind), key=of_panel.__getitem__)
        yield from (alike[start : start + 2] for start in range(0, len(alike), 2))


def _per(unit: str) -> str:
    return unit.partition(" per ")[2]


def _chosen(points: pd.DataFrame, panel: Sequence[str]) -> pd.DataFrame:
    return points[(points[PANEL] == list(panel)).all(axis=1)]


def _forest(axes: Axes, rows: pd.DataFrame, names: list[str], colours: dict[str, str], *, show: bool) -> None:
    scale, _ = in_print(rows["unit"].iloc[0])
    present = set(rows["domain"])
    domains = [d for d in (canvas.POOLED, *colours) if d in present][: len(present)]
    canvas.name_rows(axes, [canvas.wrap(name, NAME_WIDTH) for name in names], show=show)
    axes.use_sticky_edges = False
    axes.axvline(0, color=canvas.INK, linewidth=0.6, zorder=1)
    for row in rows.itertuples():
        y = names.index(row.contrast) + canvas.dodge(domains.index(row.domain), len(domains)) * 1.2
        effect = row.minimum_detectable_effect * scale
        if not np.isnan(effect):
            axes.barh(y, 2 * effect, 0.62 / len(domains), left=-effect, color=canvas.BAND, linewidth=0, zorder=0.5)
        marker = "D" if row.domain == canvas.POOLED else "o"
        low, high, colour = row.low * scale, row.high * scale, colours[row.domain]
        canvas.estimate(axes, row.difference * scale, low, high, y, colour, marker)
        words = f"{row.n_prompts}   {canvas.p_text(row.p_holm)}"
        axes.text(1.02, y, words, transform=axes.get_yaxis_transform(), fontsize=5.2, va="center", color=colour)
    axes.text(1.02, 1.015, "n    Holm p", transform=axes.transAxes, fontsize=5.2, va="bottom", color=canvas.INK)


PLOT = Plot({"contrasts": COLUMNS}, draw)
