"""How often each arm is misaligned in each domain, by each judge and rubric, at the headline denominator."""

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from tropism.figures.canvas import (
    BLUE, DOUBLE, GREEN, GREY, ORANGE, Arms, Drawing, Plot, Tables, arm_order, domain_order, estimate, extent, in_words,
    legend_below, name_rows, page,
)  # fmt: skip

COLUMNS = (
    "arm", "domain", "judge", "instrument", "target", "denominator", "n_prompts", "n_denominator", "value", "low", "high",
)  # fmt: skip
LOOKS = {"rubric5": (BLUE, "o"), "alignment100": (ORANGE, "D")}
PANELS_IN_ROW = 4


def points_of(table: pd.DataFrame, arms: Arms) -> pd.DataFrame:
    """The headline rates of the arms to draw, in the order of the arms."""
    rows = table[(table["statistic"] == "rate") & table["headline"]]
    order = {arm: i for i, arm in enumerate(arm_order(rows, arms))}
    rows = rows[rows["arm"].isin(list(order))]
    return rows.sort_values(["judge", "domain", "arm"], key=lambda c: c.map(order) if c.name == "arm" else c)[[*COLUMNS]]


def draw(tables: Tables, arms: Arms) -> Drawing:
    """One row of panels a judge, one panel a domain, one row an arm; rubrics differ in colour and mark."""
    table = tables["misalignment"]
    points = points_of(table, arms)
    if points.empty:
        return in_words("No rate of misalignment: no judge has scored a response.", points)
    names, domains, judges = list(dict.fromkeys(points["arm"])), domain_order(points), sorted(set(points["judge"]))
    places = [(judge, domains[i : i + PANELS_IN_ROW]) for judge in judges for i in range(0, len(domains), PANELS_IN_ROW)]
    width = max(len(row) for _, row in places)
    figure = page(DOUBLE, len(places) * (0.2 * len(names) + 0.55) + 0.45)
    panels = figure.subplots(len(places), width, sharex=True, squeeze=False)
    series = sorted(set(zip(points["instrument"], points["target"], strict=True)), key=lambda key: (key[1], key[0]))
    looks = {name: LOOKS.get(name, (GREEN, "s")) for name, _ in series}
    for (judge, row), line in zip(places, panels, strict=True):
        for place, axes in enumerate(line):
            if place >= len(row):
                axes.set_axis_off()
                continue
            here = points[(points["judge"] == judge) & (points["domain"] == row[place])]
            name_rows(axes, names, show=place == 0)
            for i, (instrument, target) in enumerate(series):
                shift = (i - (len(series) - 1) / 2) * 0.6 / len(series)
                some = here[(here["instrument"] == instrument) & (here["target"] == target)]
                for point in some.itertuples():
                    estimate(
                        axes, point.value, point.low, point.high, names.index(point.arm) + shift, *looks[instrument],
                        hollow=target != "answer",
                    )  # fmt: skip
            by = f", {judge}" if len(judges) > 1 else ""
            size = f"{extent(here['n_prompts'])} prompts, {extent(here['n_denominator'])} resp." if len(here) else "none"
            axes.set_title(f"{row[place]}{by}\nn = {size}")
            axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.grid(axis="x", color="#dddddd", linewidth=0.5)
            axes.tick_params(axis="x", labelbottom=True)
    panels[0, 0].set_xlim(-0.02, max(0.1, min(1.0, points[["value", "high"]].max(axis=None) * 1.08)) + 0.02)
    denominators = ", ".join(sorted(set(points["denominator"])))
    figure.supxlabel(f"misaligned responses, share of the denominator ({denominators}), 95 % interval", fontsize=7)
    handles = [
        Line2D([], [], color=looks[name][0], marker=looks[name][1], markersize=3.4, linewidth=1, label=f"{name}, {target}",
               markerfacecolor=looks[name][0] if target == "answer" else "white")
        for name, target in series
    ]  # fmt: skip
    total = table["arm"].nunique()
    if len(names) < total:
        handles.append(Line2D([], [], linestyle="", color=GREY, label=f"{len(names)} of {total} arms are shown"))
    legend_below(figure, handles, 4)
    return Drawing(figure, points)


PLOT = Plot({"misalignment": (*COLUMNS, "statistic", "headline")}, draw)
