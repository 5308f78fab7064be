"""What each steering vector does in each arm, and how misalignment and coherence go with its strength."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

CELLS = [
    "outcome", "source", "target", "control", "effect", "effect_low", "effect_high", "effectiveness_own", "n_prompts",
    "n_responses",
]  # fmt: skip
MEASURES = ("misalignment", "coherence")
DOSES = [
    "outcome",
    "source",
    "target",
    "control",
    "strength",
    *(f"{m}{end}" for m in MEASURES for end in ("", "_low", "_high")),
]
UNITS: dict[str, tuple[float, str, str, str]] = {
    "margin": (1000, "10⁻³ nats/token", "change of margin, nats/token", "change of log-probability, nats/token"),
    "misaligned": (100, "percentage points", "change of share misaligned", "change of coherence, of 100"),
}
"""Of each outcome what its effects are multiplied by in the matrix, their unit there, and the labels of the curves."""
MOST = 16


def draw(tables: Tables, arms: Arms) -> Drawing:
    """A row of panels an outcome: the matrix of sources and targets, then misalignment and coherence by strength."""
    cells, doses = tables["transfer"][CELLS], tables["dose_response"][DOSES]
    points = pd.concat([cells, doses], ignore_index=True)
    if cells.empty:
        return canvas.in_words("No steering vector was added to any arm.", points)
    sources = list(dict.fromkeys(cells["source"]))[:MOST]
    outcomes = list(dict.fromkeys(cells["outcome"]))
    figure = canvas.page(canvas.DOUBLE, 0.5 + (2.1 + 0.14 * len(sources)) * len(outcomes))
    grid = figure.subplots(len(outcomes), 3, width_ratios=[1.25, 1, 1], squeeze=False)
    looks = colours_of(sources, cells)
    for (matrix, *panels), outcome in zip(grid, outcomes, strict=True):
        scale, unit, *labels = UNITS[outcome]
        some = cells[(cells["outcome"] == outcome) & cells["source"].isin(sources)]
        _matrix(matrix, some, sources, scale, unit)
        own = doses[(doses["outcome"] == outcome) & doses["source"].isin(sources)]
        if len(own):
            own = own[own["target"] == own["target"].iloc[0]]
        for axes, measure, label in zip(panels, MEASURES, labels, strict=True):
            _doses(axes, own, measure, looks)
            axes.set_ylabel(label)
    keys = [canvas.key(source, looks[source], "o", ":" if "random " in source else "-") for source in sources]
    drawn = cells.loc[cells["source"].isin(sources), "source"]
    canvas.legend_below(figure, keys, 3, canvas.left_out(cells["source"], drawn, "sources"))
    return Drawing(figure, points)


def _doses(axes: Axes, doses: pd.DataFrame, measure: str, looks: dict[str, str]) -> None:
    for source, rows in doses.groupby("source", sort=False):
        rows = rows.sort_values("strength")
        line, colour = ":" if rows["control"].iloc[0] else "-", looks[str(source)]
        axes.plot(rows["strength"], rows[measure], "o", linestyle=line, color=colour, markersize=2.6)
        axes.fill_between(
            rows["strength"], rows[f"{measure}_low"], rows[f"{measure}_high"], color=colour, alpha=0.1, linewidth=0
        )
    axes.axhline(0, color=canvas.INK, linewidth=0.6)
    axes.set_xticks(sorted(set(doses["strength"])))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("strength / residual norm")
    target = str(doses["target"].iloc[0]) if len(doses) else ""
    axes.set_title(f"{measure.capitalize()} of {canvas.wrap(target, 24)}")


def colours_of(sources: list[str], cells: pd.DataFrame) -> dict[str, str]:
    """A colour for each source; grey for random ones."""
    control = set(cells.loc[cells["control"], "source"])
    own = [source for source in sources if source not in control]
    colours = {source: canvas.COLOURS[i % (len(canvas.COLOURS) - 1)] for i, source in enumerate(own)}
    return {source: colours.get(source, canvas.GREY) for source in sources}


def _matrix(axes: Axes, cells: pd.DataFrame, sources: list[str], scale: float, unit: str) -> None:
    targets = list(dict.fromkeys(cells["target"]))
    ends = ["effect", "effect_low", "effect_high"]
    cells = cells.assign(**(cells[ends] * scale))
    wide = cells.pivot(index="source", columns="target", values=ends)
    wide = wide.reindex(index=sources)
    effect = wide["effect"].reindex(columns=targets).to_numpy()
    # shades go as far as the intervals, so that an effect is pale beside what noise alone may do
    limit = max(float(cells[ends].abs().max(axis=None)), 1e-9)
    image = axes.imshow(effect, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    low = wide["effect_low"].reindex(columns=targets).to_numpy()
    high = wide["effect_high"].reindex(columns=targets).to_numpy()
    largest = max(float(cells["effect"].abs().max()), 1e-9)
    decimals = int(np.clip(2 - np.floor(np.log10(largest)), 0, 4))
    for (row, column), value in np.ndenumerate(effect):
        if not np.isnan(value):
            colour = "white" if abs(value) > 0.65 * limit else canvas.INK
            words = in_print(value, decimals)
            if not np.isnan([low[row, column], high[row, column]]).any():
                words += f"\n[{in_print(low[row, column], decimals)}, {in_print(high[row, column], decimals)}]"
            axes.text(column, row, words, ha="center", va="center", fontsize=5, color=colour)
    axes.set_yticks(range(len(sources)), [canvas.wrap(source, 16) for source in sources])
    axes.set_xticks(range(len(targets)), [canvas.wrap(target, 10) for target in targets])
    axes.tick_params(length=0, labelsize=5.5)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_ylabel("vector of")
    size = f"n {canvas.extent(cells['n_prompts'])}"
    if cells["n_responses"].notna().all():
        size += f", {canvas.extent(cells['n_responses'])} responses"
    axes.set_title(f"Effect in each arm,\n{unit}, {size}")
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.6, aspect=22, pad=0.03)
    bar.ax.tick_params(labelsize=5.5)


def in_print(value: float, decimals: int) -> str:
    """``value`` with its sign, which nothing has not."""
    text = f"{value:+.{decimals}f}"
    return text if float(text) else text[1:]


PLOT = Plot({"transfer": CELLS, "dose_response": DOSES}, draw)
