"""How well detectors tell misaligned responses, beside what needs no feature and what permuted labels reach."""

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

KEYS = ["population", "evidence", "held_out", "model", "k"]
COLUMNS = [*KEYS, "n_responses", "n_prompts", "base_rate", "auroc", "low", "high", "null_mean", "null_high", "p"]
CURVES = [*KEYS, "curve", "point", "x", "y"]
GROUPED, DOMAIN_OUT = "grouped cross-validation", "leave-one-domain-out"
POPULATIONS = {"references": "reference answers", "generations": "the arms' responses"}
BASELINES = {
    "domain": ("domain only", canvas.PURPLE, (0, (1, 1))),
    "length": ("length only", canvas.BROWN, (0, (4, 1.5))),
    "tfidf": ("TF-IDF of words", canvas.GREEN, (0, (4, 1, 1, 1))),
    "likelihood": ("likelihood margin", canvas.GREY, (0, (6, 1, 1, 1))),
    "state": ("mean state", canvas.VERMILION, (0, (2, 1))),
}
ABREAST = 5
"""Held-out domains up to which all panels of a population stand side by side."""
SHADES = ("#9ecae1", "#6baed6", "#3182bd", "#08519c", "#08306b")


def draw(tables: Tables, arms: Arms) -> Drawing:
    """One line of panels a population: ROC, precision and recall, AUROC by k with its null, held-out domains."""
    table, curves = tables["detector"], tables["detector_curves"]
    points = pd.concat([table[COLUMNS], _shown(curves)], ignore_index=True)
    populations = [name for name in POPULATIONS if name in set(table["population"])]
    if not populations:
        return canvas.in_words("No detector was trained: too few aligned or misaligned responses.", points)
    ks = sorted(set(table.loc[table["model"] == "sae", "k"]))
    shades = {k: SHADES[min(i, len(SHADES) - 1)] for i, k in enumerate(ks)}
    held_out = table.loc[table["evidence"] == DOMAIN_OUT, "held_out"].nunique()
    figure, grid = _page(len(populations), apart=held_out > ABREAST)
    for line, population in zip(grid, populations, strict=True):
        rows = table[table["population"] == population]
        some = _shown(curves[curves["population"] == population])
        _curves(line[0], some[some["curve"] == "roc"], shades, "false positive rate", "true positive rate")
        _curves(line[1], some[some["curve"] == "precision_recall"], shades, "recall", "precision")
        _by_k(line[2], rows[rows["evidence"] == GROUPED], ks)
        _by_domain(line[3], rows[rows["evidence"] == DOMAIN_OUT], shades)
        grouped = rows[rows["evidence"] == GROUPED]
        if len(grouped):
            first = grouped.iloc[0]
            line[0].axline((0, 0), slope=1, color=canvas.FAINT, linewidth=0.6, linestyle=":")
            line[1].axhline(first["base_rate"], color=canvas.FAINT, linewidth=0.6, linestyle=":")
            line[0].set_title(
                f"{POPULATIONS[population]}\n{first['n_responses']:,} from {first['n_prompts']:,} prompts"
            )
            line[1].set_title(f"grouped folds\n{first['base_rate']:.0%} misaligned")
        line[2].set_title("grouped folds\np above each")
        line[3].set_title("leave one domain out\n")
    keys: list[Artist] = [canvas.key(f"SAE, k = {k}", shade, "o") for k, shade in shades.items()]
    keys += [canvas.key(label, colour, line=dash) for label, colour, dash in BASELINES.values()]
    keys += [canvas.patch("permuted labels, central 95 %", canvas.BAND), canvas.key("chance", canvas.FAINT, line=":")]
    canvas.legend_below(figure, keys, 5)
    return Drawing(figure, points)


def _page(populations: int, *, apart: bool) -> tuple[Figure, list[list[Axes]]]:
    """A page with four panels for each population; ``apart``, the last of them has a line of its own."""
    if not apart:
        figure = canvas.page(canvas.DOUBLE, 1.9 * populations + 0.5)
        return figure, [list(line) for line in figure.subplots(populations, 4, squeeze=False)]
    figure = canvas.page(canvas.DOUBLE, 4.4 * populations + 0.5)
    places = figure.add_gridspec(2 * populations, 3)
    return figure, [
        [*(figure.add_subplot(places[2 * i, j]) for j in range(3)), figure.add_subplot(places[2 * i + 1, :])]
        for i in range(populations)
    ]


def _shown(curves: pd.DataFrame) -> pd.DataFrame:
    return curves.loc[(curves["evidence"] == GROUPED) & curves["curve"].isin(["roc", "precision_recall"]), CURVES]


def _curves(axes: Axes, rows: pd.DataFrame, shades: dict[int, str], x: str, y: str) -> None:
    if rows.empty:
        canvas.note(axes, "too few prompts\nto cross-validate")
        return
    for (model, k), some in rows.groupby(["model", "k"], sort=True):
        colour, dash = (shades[k], "-") if model == "sae" else BASELINES[model][1:]
        axes.plot(some["x"], some["y"], color=colour, linestyle=dash, linewidth=0.9)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x, ylabel=y, box_aspect=1)


def _by_k(axes: Axes, rows: pd.DataFrame, ks: list[int]) -> None:
    if rows.empty:
        canvas.note(axes, "too few prompts\nto cross-validate")
        return
    found = rows[rows["model"] == "sae"].sort_values("k")
    null = rows[rows["model"] == "permuted"].sort_values("k")
    places = [ks.index(k) for k in null["k"]]
    axes.fill_between(places, null["low"], null["high"], color=canvas.BAND, linewidth=0)
    axes.plot(places, null["auroc"], color=canvas.GREY, linewidth=0.8)
    for row in found.itertuples():
        x = ks.index(row.k)
        axes.plot([x, x], [row.low, row.high], color=canvas.BLUE, linewidth=1)
        axes.plot(x, row.auroc, "o", color=canvas.BLUE, markersize=3.4)
        axes.annotate(
            canvas.p_text(row.p),
            (x, row.high),
            (0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
            zorder=5,
        )
    for row in rows[rows["model"].isin(list(BASELINES))].itertuples():
        _, colour, dash = BASELINES[row.model]
        axes.axhline(row.auroc, color=colour, linestyle=dash, linewidth=0.9)
    axes.axhline(0.5, color=canvas.FAINT, linewidth=0.6, linestyle=":")
    axes.set_xticks(range(len(ks)), [str(k) for k in ks])
    axes.set(xlabel="features, k", ylabel="AUROC", ylim=(min(0.3, rows["low"].min() - 0.02), 1.06), box_aspect=1)
    axes.margins(x=0.15)


def _by_domain(axes: Axes, rows: pd.DataFrame, shades: dict[int, str]) -> None:
    if rows.empty:
        canvas.note(axes, "no domain can\nbe held out")
        return
    domains = sorted(set(rows["held_out"]))
    series = [("sae", k) for k in shades] + [(name, 0) for name in BASELINES]
    for row in rows[rows["model"] != "permuted"].itertuples():
        x = domains.index(row.held_out) + canvas.dodge(series.index((row.model, row.k)), len(series)) * 1.15
        colour = shades[row.k] if row.model == "sae" else BASELINES[row.model][1]
        axes.plot([x, x], [row.low, row.high], color=colour, linewidth=0.9)
        axes.plot(
            x, row.auroc, "o" if row.model == "sae" else "_", color=colour, markersize=2.4 if row.model == "sae" else 4
        )
    axes.axhline(0.5, color=canvas.FAINT, linewidth=0.6, linestyle=":")
    axes.set_xticks(range(len(domains)), domains, rotation=30)
    axes.set(xlabel="held-out domain", ylabel="AUROC", ylim=(min(0.3, rows["low"].min() - 0.02), 1.06))
    axes.set_box_aspect(1 if len(domains) <= ABREAST else None)


PLOT = Plot({"detector": COLUMNS, "detector_curves": CURVES}, draw)
