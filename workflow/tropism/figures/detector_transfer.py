"""Whether a detector carries over: AUROC where a whole domain or arm was left out, beside the baselines."""

import numpy as np

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

COLUMNS = ["population", "evidence", "held_out", "model", "k", "n_responses", "auroc", "low", "high", "finding"]
EVIDENCE = {"leave-one-domain-out": "unseen domain", "leave-one-arm-out": "unseen arm"}
POPULATIONS = {"references": "reference answers", "generations": "the arms' responses"}
NAMES = {"domain": "domain", "length": "length", "tfidf": "TF-IDF", "likelihood": "margin", "state": "mean state"}


def draw(tables: Tables, arms: Arms) -> Drawing:
    """One heat map a population and way of leaving out: what was left out by what the detector sees."""
    table = tables["detector"]
    points = table.loc[table["evidence"].isin(list(EVIDENCE)) & (table["model"] != "permuted"), COLUMNS]
    points = points.reset_index(drop=True)
    if points.empty:
        return canvas.in_words("Nothing was left out: too few domains, arms or labels.", points)
    groups = [
        (population, evidence)
        for evidence in EVIDENCE
        for population in POPULATIONS
        if ((points["population"] == population) & (points["evidence"] == evidence)).any()
    ]
    parts = [points[(points["population"] == p) & (points["evidence"] == e)] for p, e in groups]
    heights = [part["held_out"].nunique() + 1.6 for part in parts]
    figure = canvas.page(canvas.DOUBLE, 0.24 * sum(heights) + 0.6)
    panels = figure.subplots(len(groups), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, (population, evidence), part in zip(panels, groups, parts, strict=True):
        ks = sorted(set(part.loc[part["model"] == "sae", "k"]))
        series = [("sae", k) for k in ks] + [(name, 0) for name in NAMES if name in set(part["model"])]
        rows = canvas.arm_order(part.rename(columns={"held_out": "arm"}), arms if "arm" in evidence else {})
        values = part.set_index(["held_out", "model", "k"])["auroc"]
        grid = np.array([[values.get((row, *one), np.nan) for one in series] for row in rows])
        image = axes.imshow(grid, cmap="RdBu_r", vmin=0, vmax=1, aspect="auto")
        for (i, j), value in np.ndenumerate(grid):
            if not np.isnan(value):
                shade = "white" if abs(value - 0.5) > 0.3 else canvas.INK
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=5.5, color=shade)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_xticks(range(len(series)), [f"SAE {k}" if m == "sae" else NAMES[m] for m, k in series])
        axes.set_title(f"{POPULATIONS[population]}, {EVIDENCE[evidence]}")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=list(panels), label="AUROC (0.5: chance)", shrink=0.6, aspect=30)
    return Drawing(figure, points)


PLOT = Plot({"detector": COLUMNS}, draw)
