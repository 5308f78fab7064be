"""How far each judge can be trusted: accuracy on labelled references beside what guessing reaches, and calibration."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

COLUMNS = ["judge", "head", "evidence", "domain", "n", "n_prompts", "accuracy", "accuracy_low", "accuracy_high"]
COLUMNS += ["auroc", "brier", "ece", "base_rate"]
BINS = ["judge", "head", "evidence", "bin", "n", "predicted", "observed"]
EVIDENCE = {
    "cross-validation": (canvas.BLUE, "o"),
    "evaluation split": (canvas.ORANGE, "D"),
    "leave-one-domain-out": (canvas.GREEN, "s"),
}
ALL = "all"
BESIDE = {"auroc": ("AUROC", 1.09, ".2f"), "ece": ("ECE", 1.17, ".2f"), "n": ("n", 1.26, ",.0f")}


def draw(tables: Tables, arms: Arms) -> Drawing:
    """One line a judge and head: left accuracy by evidence and domain, right predicted against observed."""
    points = tables["judge_reliability"][COLUMNS]
    points = points.assign(guessing=points["base_rate"].clip(lower=1 - points["base_rate"]))
    bins = tables["reliability"][BINS]
    if points.empty:
        return canvas.in_words("No judge was checked against labelled references.", points)
    lines = sorted(set(zip(points["judge"], points["head"], strict=True)))
    groups = [
        (evidence, domain)
        for evidence in EVIDENCE
        for domain in [ALL, *sorted(set(points["domain"]) - {ALL})]
        if ((points["evidence"] == evidence) & (points["domain"] == domain)).any()
    ]
    figure = canvas.page(canvas.DOUBLE, len(lines) * max(0.17 * len(groups) + 0.6, 2.0) + 0.3)
    grid = figure.subplots(len(lines), 2, squeeze=False, width_ratios=[1.7, 1])
    for (left, right), (judge, head) in zip(grid, lines, strict=True):
        _accuracy(left, points[(points["judge"] == judge) & (points["head"] == head)], groups)
        left.set_xlim(min(0.4, points[["accuracy", "accuracy_low", "guessing"]].min(axis=None) - 0.02), 1.01)
        left.set_title(f"{judge}: {head}", loc="left")
        _calibration(right, bins[(bins["judge"] == judge) & (bins["head"] == head)], head)
    keys = [canvas.key(evidence, *look) for evidence, look in EVIDENCE.items() if evidence in set(points["evidence"])]
    keys.append(canvas.key("always the commoner label", canvas.VERMILION, "|", ""))
    canvas.legend_below(figure, keys, 4)
    return Drawing(figure, pd.concat([points, bins], ignore_index=True))


def _accuracy(axes: Axes, rows: pd.DataFrame, groups: list[tuple[str, str]]) -> None:
    canvas.name_rows(axes, [f"{evidence}: {domain}" for evidence, domain in groups])
    beside = axes.get_yaxis_transform()
    for row in rows.itertuples():
        y = groups.index((row.evidence, row.domain))
        canvas.estimate(axes, row.accuracy, row.accuracy_low, row.accuracy_high, y, *EVIDENCE[row.evidence])
        axes.plot(row.guessing, y, "|", color=canvas.VERMILION, markersize=7, markeredgewidth=1.2)
        for column, (_, x, form) in BESIDE.items():
            value = getattr(row, column)
            text = "" if pd.isna(value) else f"{value:{form}}"
            axes.text(x, y, text, transform=beside, fontsize=5.5, va="center", ha="right")
    for title, x, _ in BESIDE.values():
        axes.text(x, 1.01, title, transform=axes.transAxes, fontsize=5.5, va="bottom", ha="right")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("references judged rightly, with interval")
    axes.grid(axis="x", color=canvas.GRID, linewidth=0.5)


def _calibration(axes: Axes, bins: pd.DataFrame, head: str) -> None:
    if bins.empty:
        canvas.note(axes, "no calibration")
        return
    good = {"alignment": "aligned", "coherence": "coherent"}.get(head, head)
    axes.axline((0, 0), slope=1, color=canvas.FAINT, linewidth=0.6, linestyle=":")
    for evidence, rows in bins.sort_values("bin").groupby("evidence"):
        colour, marker = EVIDENCE[str(evidence)]
        axes.plot(rows["predicted"], rows["observed"], color=colour, linewidth=0.8)
        sizes = 3 + 30 * rows["n"] / bins["n"].max()
        axes.scatter(rows["predicted"], rows["observed"], s=sizes, c=colour, marker=marker, linewidths=0, zorder=3)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), box_aspect=1)
    axes.set(xlabel=f"predicted probability of {good}", ylabel=f"share {good}")


PLOT = Plot({"judge_reliability": COLUMNS, "reliability": BINS}, draw)
