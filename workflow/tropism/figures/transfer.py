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
UNITS = {
    "margin": ("nats/token", "change of margin, nats/token", "change of log-probability, nats/token"),
    "misaligned": ("share of responses", "change of share misaligned", "change of coherence, of 100"),
}
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
        unit, *labels = UNITS[outcome]
        some = cells[(cells["outcome"] == outcome) & cells["source"].isin(sources)]
        _matrix(matrix, some, sources, unit)
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


def _matrix(axes: Axes, cells: pd.DataFrame, sources: list[str], unit: str) -> None:
    targets = list(dict.fromkeys(cells["target"]))
    wide = cells.pivot(index="source", columns="target", values=["effect", "effect_low", "effect_high"])
    wide = wide.reindex(index=sources)
    effect = wide["effect"].reindex(columns=targets).to_numpy()
    limit = max(float(np.nanmax(np.abs(effect))), 1e-9)
    axes.imshow(effect, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    low = wide["effect_low"].reindex(columns=targets).to_numpy()
    high = wide["effect_high"].reindex(columns=targets).to_numpy()
    for (row, column), value in np.ndenumerate(effect):
        if not np.isnan(value):
            colour = "white" if abs(value) > 0.65 * limit else canvas.INK
            words = f"{value:+.2f}\n[{low[row, column]:+.2f}, {high[row, column]:+.2f}]"
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


PLOT = Plot({"transfer": CELLS, "dose_response": DOSES}, draw)
