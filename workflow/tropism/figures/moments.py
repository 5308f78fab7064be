"""Does fine-tuning move an outcome's mean, its spread, or both? Each arm against the base and every other."""

import numpy as np

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables
from tropism.figures.marks import domain_looks

COLUMNS = [
    "treatment", "control", "outcome", "domain", "n_prompts", "hedges_g", "welch_p_holm", "variance_ratio",
    "brown_forsythe_p_holm", "wilcoxon_rank_biserial", "wilcoxon_p_holm",
]  # fmt: skip
PANELS = (
    ("hedges_g", "welch_p_holm", "Mean: Hedges' g\n(Welch)"),
    ("wilcoxon_rank_biserial", "wilcoxon_p_holm", "Paired: rank-biserial r\n(Wilcoxon)"),
    ("spread", "brown_forsythe_p_holm", "Spread: log2 variance ratio\n(Brown-Forsythe)"),
)
ALPHA = 0.05
MOST = 24


def draw(tables: Tables, arms: Arms) -> Drawing:
    """One row a pair of arms and outcome, a panel an effect size, a colour a domain; filled where Holm p is small."""
    every = tables["moments"][COLUMNS]
    if every.empty:
        return canvas.in_words("No outcome of two arms on the same prompts.", every)
    names = every["treatment"] + " \u2013 " + every["control"] + "\n" + every["outcome"]
    rows = list(dict.fromkeys(names))[:MOST]
    points = every.assign(row=names, spread=np.log2(every["variance_ratio"].where(every["variance_ratio"] > 0)))
    points = points[points["row"].isin(rows)].reset_index(drop=True)
    domains = canvas.domain_order(points)
    looks = domain_looks(domains)
    figure = canvas.page(canvas.DOUBLE, 0.9 + max(0.42, 0.09 * len(domains)) * len(rows))
    panels = figure.subplots(1, len(PANELS), squeeze=False)[0]
    for axes, (effect, p, title) in zip(panels, PANELS, strict=True):
        canvas.name_rows(axes, rows, show=axes is panels[0])
        for row in points.to_dict("records"):
            y = rows.index(row["row"]) + canvas.dodge(domains.index(row["domain"]), len(domains))
            said = row[p] < ALPHA
            canvas.estimate(axes, row[effect], np.nan, np.nan, y, *looks[row["domain"]], hollow=not said)
        axes.axvline(0, color=canvas.INK, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)
        axes.margins(x=0.12)
        axes.grid(axis="x", color=canvas.GRID, linewidth=0.5)
        axes.set_title(title, loc="left")
    keys = [canvas.key(domain, *looks[domain], "") for domain in domains]
    keys.append(canvas.key(f"Holm p not below {ALPHA:g}", canvas.INK, "o", "", hollow=True))
    remark = canvas.left_out(names, points["row"], "pairs")
    canvas.legend_below(
        figure, keys, 4, f"n {canvas.extent(points['n_prompts'])} prompts" + (f"; {remark}" if remark else "")
    )
    return Drawing(figure, points)


PLOT = Plot({"moments": COLUMNS}, draw)
