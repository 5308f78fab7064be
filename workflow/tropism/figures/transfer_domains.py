"""How far each arm is from the base that it was trained on, in each domain: the turn, and whether it spread."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

KEYS = ["judge", "instrument", "domain"]
COLUMNS = ["arm", *KEYS, "reference", "value", "reference_value", "change", "n_prompts", "unit"]

ABREAST = {3: 4, 2: 7}
"""Maps side by side, and the most domains for which these have room."""


def changes(table: pd.DataFrame, arms: Arms) -> pd.DataFrame:
    """Headline rates and likelihood margins of each arm beside those of its untrained arm, and their difference.

    An untrained arm is compared with itself: its row shows the level from which the others are counted.
    """
    rated = (table["statistic"] == "rate") & table["headline"] & (table["target"] == "answer")
    rows = table[rated | (table["instrument"] == "margin")]
    shown = canvas.in_order(rows, "arm", canvas.arm_order(rows, arms))
    return canvas.with_reference(shown, rows, arms, KEYS)[COLUMNS]


def draw(tables: Tables, arms: Arms) -> Drawing:
    """One heat map an instrument: arms by domains, coloured by the change from the base."""
    points = changes(tables["misalignment"], arms)
    if points["change"].isna().all():
        return canvas.in_words("No change to show: no arm has an untrained arm to compare it with.", points)
    maps = sorted(
        set(zip(points["judge"], points["instrument"], strict=True)),
        key=lambda key: (key[1] == "margin", canvas.rubric_first(key)),
    )
    names, domains = list(dict.fromkeys(points["arm"])), canvas.domain_order(points)
    domains = [domain for domain in domains if domain in set(points.loc[points["change"].notna(), "domain"])]
    abreast = next((across for across, most in ABREAST.items() if len(domains) <= most), 1)
    lines = -(-len(maps) // abreast)
    figure = canvas.page(canvas.DOUBLE, lines * (0.27 * len(names) + 0.8))
    panels = figure.subplots(lines, min(abreast, len(maps)), squeeze=False, sharey=True).ravel()
    for axes, (judge, instrument) in zip(panels, maps, strict=False):
        here = points[(points["judge"] == judge) & (points["instrument"] == instrument)]
        _heat_map(axes, here, names, domains)
        axes.set_title(f"{instrument}, {judge}\npercentage points" if judge != "none" else f"{instrument}\nnats/token")
    for axes in panels[len(maps) :]:
        axes.set_axis_off()
    remark = canvas.left_out(tables["misalignment"]["arm"], points["arm"], "arms")
    canvas.legend_below(figure, [], 1, remark)
    return Drawing(figure, points)


def _heat_map(axes: Axes, rows: pd.DataFrame, names: list[str], domains: list[str]) -> None:
    rate = rows["instrument"].iloc[0] != "margin"
    scale, form = (100, "{:.0f} %") if rate else (1, "{:.2f}")
    cells = rows.pivot(index="arm", columns="domain", values=["change", "value"]).reindex(index=names)
    change = cells["change"].reindex(columns=domains) * scale
    level = cells["value"].reindex(columns=domains) * scale
    own = rows[rows["arm"] == rows["reference"]]["arm"].unique()
    words = change.map(lambda x: "" if np.isnan(x) else f"{x:+.0f}" if rate else f"{x:+.2f}").astype(object)
    for arm in own:
        words.loc[arm] = [form.format(x) if not np.isnan(x) else "" for x in level.loc[arm]]
    counts = rows.pivot(index="arm", columns="domain", values="n_prompts").reindex(index=names, columns=domains)
    words = words.where(counts.isna(), words + "\nn " + counts.fillna(0).astype(int).astype(str))
    limit = max(float(np.nanmax(np.abs(change.to_numpy()))), 1e-9)
    import seaborn  # here, because it is slow to load and no other figure uses it

    seaborn.heatmap(
        change,
        ax=axes,
        annot=words,
        fmt="",
        cmap="PuOr_r",
        vmin=-limit,
        vmax=limit,
        linewidths=0.8,
        annot_kws={"fontsize": 5.5, "linespacing": 1.15},
        cbar_kws={"shrink": 0.75, "aspect": 22, "pad": 0.03},
    )
    for i in np.flatnonzero([name in own for name in names]):
        for text in axes.texts:
            if int(text.get_position()[1]) == i:
                text.set_color("#777777")
    axes.set_xlabel("")
    axes.set_ylabel("")
    axes.tick_params(length=0, rotation=0)
    axes.tick_params(axis="x", rotation=30 if len(domains) <= ABREAST[3] else 90)


NEEDS = ["arm", *KEYS, "statistic", "headline", "target", "value", "n_prompts", "unit"]
PLOT = Plot({"misalignment": NEEDS}, draw)
