"""Early warning: judged rate, margin, detector and its features over an arm's last training; what departs to stay."""

import pandas as pd
from matplotlib.axes import Axes

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

COLUMNS = ["arm", "signal", "feature", "step", "n_prompts", "change", "low", "high", "p", "departs", "first_step"]
SIGNALS = {
    "misaligned": "share of responses\njudged misaligned",
    "margin": "margin of misaligned\nreferences, nats/token",
    "detector": "log-odds of the\ndetector",
    "feature": "peak activation of\nthe detector's features",
}
ALWAYS = ("margin", "detector", "feature")


def draw(tables: Tables, arms: Arms) -> Drawing:
    """A line of panels an arm, one a signal: change since the training began, and a star from where on it stays out."""
    table = tables["early_warning"][COLUMNS]
    if table.empty:
        return canvas.in_words("No arm was watched over its training.", table)
    names = canvas.arm_order(table, arms)
    points = canvas.in_order(table, "arm", names)
    features = sorted(set(points.loc[points["signal"] == "feature", "feature"]))
    colours = {-1: canvas.INK} | {f: canvas.COLOURS[i % len(canvas.COLOURS)] for i, f in enumerate(features)}
    shown = {signal: title for signal, title in SIGNALS.items() if signal in ALWAYS or signal in set(points["signal"])}
    figure = canvas.page(canvas.DOUBLE, 1.9 * len(names) + 0.5)
    for line, name in zip(figure.subplots(len(names), len(shown), squeeze=False), names, strict=True):
        own = points[points["arm"] == name]
        for axes, (signal, title) in zip(line, shown.items(), strict=True):
            rows = own[own["signal"] == signal]
            if rows.empty:
                canvas.note(axes, "not judged" if signal == "misaligned" else "no detector\nwas trained")
                continue
            _panel(axes, rows.sort_values("step"), colours)
            axes.set_ylabel(f"change of\n{title}")
            axes.set_xlabel("optimiser step")
        line[0].set_title(f"{canvas.wrap(name, 34)}\n{canvas.extent(own['n_prompts'])} prompts", loc="left")
    keys = [canvas.key(f"feature {f}", colours[f], "o") for f in features]
    keys.append(canvas.key("departs, and stays out from here on", canvas.VERMILION, "*", ""))
    canvas.legend_below(figure, keys, 4, canvas.left_out(table["arm"], points["arm"], "arms"))
    return Drawing(figure, points)


def _panel(axes: Axes, rows: pd.DataFrame, colours: dict[int, str]) -> None:
    """Every line starts from no change at step 0; snapshots are spaced evenly, since the first follow one another."""
    axes.axhline(0, color=canvas.FAINT, linewidth=0.6)
    series = list(rows.groupby("feature", sort=True))
    steps = sorted(set(rows["step"]))
    for place, (feature, some) in enumerate(series):
        colour = colours[feature]
        at = (
            some["step"].map({step: i for i, step in enumerate(steps, start=1)})
            + canvas.dodge(place, len(series)) * 0.7
        )
        axes.plot([0, *at], [0, *some["change"]], "-", color=colour, linewidth=0.9)
        axes.vlines(at, some["low"], some["high"], color=colour, linewidth=0.9)
        axes.plot(at, some["change"], "o", color=colour, markersize=2.6)
        first = (some["step"] == some["first_step"]).to_numpy()
        ends = some["high"].where(some["change"] > 0, some["low"])
        axes.plot(at[first], ends[first], "*", color=canvas.VERMILION, markersize=6, markeredgewidth=0)
    axes.set_xticks(range(len(steps) + 1), [f"{step:,}" for step in (0, *steps)])
    axes.margins(y=0.12)


PLOT = Plot({"early_warning": COLUMNS}, draw)
