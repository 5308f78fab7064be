"""What masking hides: metaphors against as many other words, and where the control falls short."""

import pandas as pd

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

SUMS = ["n_texts", "n_words", "units_masked", "characters_masked", "shortfall_units"]
COLORS = {"metaphor": canvas.ORANGE, "random": canvas.BLUE, "literal": canvas.GREEN}
PANELS = {"units_masked": "lexical units masked", "characters_masked": "characters masked"}


def points_of(table: pd.DataFrame) -> pd.DataFrame:
    """Sums over domains, one row a dataset, field and masked variant."""
    rows = table[table["variant"].isin(["metaphor", "random"])]
    return rows.groupby(["dataset", "field", "variant"], as_index=False, sort=True)[SUMS].sum()


def draw(tables: Tables, arms: Arms) -> Drawing:
    """Left lexical units, right characters; one row a dataset and field, one bar a variant."""
    points = points_of(tables["masking"])
    if points.empty:
        return canvas.in_words("Nothing is masked: no variant but the original is asked for.", points)
    groups = list(dict.fromkeys(zip(points["dataset"], points["field"], strict=True)))[: canvas.MOST_ROWS]
    names = [_label(points, *group) for group in groups]
    figure = canvas.page(canvas.DOUBLE, 0.42 * len(groups) + 0.75)
    panels = figure.subplots(1, 2)
    for axes, (column, title) in zip(panels, PANELS.items(), strict=True):
        canvas.name_rows(axes, names, show=axes is panels[0])
        for row in points.itertuples():
            if (row.dataset, row.field) not in groups:
                continue
            y = groups.index((row.dataset, row.field)) + (-0.19 if row.variant == "metaphor" else 0.19)
            value = getattr(row, column)
            axes.barh(y, value, 0.34, color=COLORS[row.variant], zorder=2)
            short = row.shortfall_units if column == "units_masked" else 0
            words = f"{value:,}" + (f"  ({short:,} short)" if short else "")
            axes.annotate(words, (value, y), (3, 0), textcoords="offset points", va="center", fontsize=6)
        axes.set_xlim(0, max(1, points[column].max()) * 1.28)
        axes.set_xlabel(title)
        axes.grid(axis="x", color=canvas.GRID, linewidth=0.5)
    keys = [canvas.patch(f"{variant} variant", COLORS[variant]) for variant in sorted(set(points["variant"]))]
    canvas.legend_below(figure, keys, 4)
    return Drawing(figure, points)


def _label(points: pd.DataFrame, dataset: str, field: str) -> str:
    row = points[(points["dataset"] == dataset) & (points["field"] == field)].iloc[0]
    name = dataset if field == "text" else f"{dataset}, {field}"
    return f"{name}\n{row['n_texts']:,} texts, {row['n_words']:,} words"


PLOT = Plot({"masking": ["dataset", "field", "variant", *SUMS]}, draw)
