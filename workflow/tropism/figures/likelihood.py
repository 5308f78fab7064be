"""What each arm finds likely, which needs no judge: misaligned over aligned references, and TruthfulQA."""

import pandas as pd
from matplotlib.ticker import PercentFormatter

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables
from tropism.figures.marks import domain_looks

COLUMNS = ["arm", "domain", "instrument", "n_prompts", "value", "low", "high", "reference", "reference_value", "change"]
PANELS = {
    "margin": "margin, nats/token",
    "mc1": "TruthfulQA MC1",
    "mc2": "TruthfulQA MC2",
}


def points_of(table: pd.DataFrame, arms: Arms) -> pd.DataFrame:
    """Margins by domain and TruthfulQA's scores of each arm, with the value of its untrained arm."""
    rows = table[table["instrument"].isin(list(PANELS))]
    rows = rows[(rows["instrument"] == "margin") | (rows["domain"] == canvas.POOLED)]
    shown = canvas.in_order(rows, "arm", canvas.arm_order(rows, arms))
    return canvas.with_reference(shown, rows, arms, ["domain", "instrument"])[COLUMNS]


def draw(tables: Tables, arms: Arms) -> Drawing:
    """One panel an instrument, one row an arm; a tick beside each mark is the untrained arm on the same prompts.

    A dashed line is the untrained arm over all domains, where all arms have the same one.
    """
    points = points_of(tables["misalignment"], arms)
    if points.empty:
        return canvas.in_words("No likelihood was measured: `evaluate.instruments` names neither instrument.", points)
    names = list(dict.fromkeys(points["arm"]))
    looks = domain_looks(canvas.domain_order(points))
    shown = [instrument for instrument in PANELS if instrument in set(points["instrument"])]
    figure = canvas.page(canvas.DOUBLE, max(0.28, 0.07 * len(looks)) * len(names) + 1.0)
    panels = figure.subplots(1, len(shown), squeeze=False, width_ratios=[1.5 if n == "margin" else 1 for n in shown])[0]
    for axes, instrument in zip(panels, shown, strict=True):
        rows = points[points["instrument"] == instrument]
        domains = canvas.domain_order(rows)
        canvas.name_rows(axes, names, show=axes is panels[0])
        for row in rows.itertuples():
            y = names.index(row.arm) + canvas.dodge(domains.index(row.domain), len(domains))
            canvas.estimate(axes, row.value, row.low, row.high, y, *looks[row.domain])
            if row.arm != row.reference:
                axes.plot(row.reference_value, y, "|", color=looks[row.domain][0], markersize=5, zorder=2.5)
        levels = rows.loc[rows["domain"] == canvas.POOLED, "reference_value"].dropna().unique()
        if len(levels) == 1:
            axes.axvline(levels[0], color=canvas.INK, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)
        questions = f"{canvas.extent(rows['n_prompts'])} questions"
        axes.set_title(f"{PANELS[instrument]}\n{'by domain' if instrument == 'margin' else questions}")
        axes.grid(axis="x", color=canvas.GRID, linewidth=0.5)
        if instrument != "margin":
            axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    sizes = points[points["instrument"] == "margin"].groupby("domain")["n_prompts"]
    labels = {domain: f"{domain} (n {canvas.extent(some)})" for domain, some in sizes}
    keys = [canvas.key(labels.get(domain, domain), *look) for domain, look in looks.items()]
    keys.append(canvas.key("untrained arm", canvas.INK, "|", ""))
    if points.dropna(subset="reference_value")["reference"].nunique() == 1:
        keys.append(canvas.key("untrained arm, pooled", canvas.INK, line="--"))
    canvas.legend_below(figure, keys, 5, canvas.left_out(tables["misalignment"]["arm"], points["arm"], "arms"))
    return Drawing(figure, points)


PLOT = Plot({"misalignment": ["arm", "domain", "instrument", "n_prompts", "value", "low", "high"]}, draw)
