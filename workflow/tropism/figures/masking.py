"""What masking hides: metaphors against as many other words, and where the control falls short."""

from collections.abc import Iterable

import pandas as pd
from matplotlib.patches import Patch

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

SUMS = ["n_texts", "n_words", "units_masked", "characters_masked", "shortfall_units"]
COLOURS = {"metaphor": canvas.ORANGE, "random": canvas.BLUE, "literal": canvas.GREEN, "place": canvas.PURPLE}
"""By what a variant does; its doses and directions differ in hatches."""
HATCHES = ("", "////", "....", "xxxx", "----")
PANELS = {"units_masked": "lexical units masked", "characters_masked": "characters masked"}
HIDES = ("metaphor", "random")


def points_of(table: pd.DataFrame) -> pd.DataFrame:
    """Sums over domains, one row a dataset, field and variant other than the original."""
    rows = table[table["variant"] != "original"]
    return rows.groupby(["dataset", "field", "variant"], as_index=False, sort=True)[SUMS].sum()


def looks_of(variants: Iterable[str]) -> dict[str, tuple[str, str]]:
    """A colour and a hatch for each variant, in the order of their bars: whole variants before their parts."""

    def place(name: str) -> tuple[int, str, bool, float, str]:
        kind, _, part = name.partition("_")
        known = list(COLOURS).index(kind) if kind in COLOURS else len(COLOURS)
        return known, kind, bool(part), -float(part) if part.isdecimal() else 0, part

    looks: dict[str, tuple[str, str]] = {}
    for name in sorted(set(variants), key=place):
        kind = name.partition("_")[0]
        of_kind = sum(other.partition("_")[0] == kind for other in looks)
        looks[name] = (COLOURS.get(kind, canvas.GREY), HATCHES[of_kind % len(HATCHES)])
    return looks


def draw(tables: Tables, arms: Arms) -> Drawing:
    """Left lexical units, right characters; one row a dataset and field, one bar a variant.

    Variants that hide nothing by their kind, in literal words or with a sentence moved, are named and have no bars.
    """
    points = points_of(tables["masking"])
    if points.empty:
        return canvas.in_words("Nothing is masked: no variant but the original is asked for.", points)
    looks = looks_of(points["variant"])
    bars = [
        name
        for name in looks
        if name.partition("_")[0] in HIDES or points.loc[points["variant"] == name, "units_masked"].any()
    ]
    every = list(dict.fromkeys(zip(points["dataset"], points["field"], strict=True)))
    groups = every[: canvas.MOST_ROWS]
    names = [_label(points, *group) for group in groups]
    figure = canvas.page(canvas.DOUBLE, max(0.42, 0.14 * len(bars)) * len(groups) + 0.75)
    panels = figure.subplots(1, 2)
    shown = points[points["variant"].isin(bars)]
    height = 0.76 / max(1, len(bars))
    for axes, (column, title) in zip(panels, PANELS.items(), strict=True):
        canvas.name_rows(axes, names, show=axes is panels[0])
        for row in shown.itertuples():
            if (row.dataset, row.field) not in groups:
                continue
            y = groups.index((row.dataset, row.field)) + (bars.index(row.variant) - (len(bars) - 1) / 2) * height
            value = getattr(row, column)
            colour, hatch = looks[row.variant]
            axes.barh(y, value, 0.9 * height, color=colour, hatch=hatch, edgecolor="white", linewidth=0, zorder=2)
            short = row.shortfall_units if column == "units_masked" else 0
            words = f"{value:,}" + (f"  ({short:,} short)" if short else "")
            axes.annotate(words, (value, y), (3, 0), textcoords="offset points", va="center", fontsize=6)
        axes.set_xlim(0, max(1, points[column].max()) * 1.28)
        axes.set_xlabel(title)
        axes.grid(axis="x", color=canvas.GRID, linewidth=0.5)
    keys = [
        Patch(facecolor=looks[name][0], hatch=looks[name][1], edgecolor="white", linewidth=0, label=f"{name} variant")
        for name in bars
    ]
    without = [name for name in looks if name not in bars]
    remarks = [
        f"{', '.join(without)}: no words are masked" if without else "",
        f"{len(groups)} of {len(every)} rows are shown; the table has all" if len(groups) < len(every) else "",
    ]
    canvas.legend_below(figure, keys, 4, "; ".join(filter(None, remarks)))
    return Drawing(figure, points)


def _label(points: pd.DataFrame, dataset: str, field: str) -> str:
    row = points[(points["dataset"] == dataset) & (points["field"] == field)].iloc[0]
    name = dataset if field == "text" else f"{dataset}, {field}"
    return f"{name}\n{row['n_texts']:,} texts, {row['n_words']:,} words"


PLOT = Plot({"masking": ["dataset", "field", "variant", *SUMS]}, draw)
