"""How well the annotator finds metaphors: by part of speech and by genre, against gold labels."""

import pandas as pd

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

COLUMNS = ["annotator", "gold", "pos", "genre", "n_words", "n_metaphors", "precision", "recall", "f1", "kappa"]
MEASURES = {
    "precision": ("precision", canvas.BLUE, "o"),
    "recall": ("recall", canvas.ORANGE, "s"),
    "f1": ("F1", canvas.INK, "D"),
    "kappa": ("Cohen's kappa", canvas.GREEN, "^"),
}


def draw(tables: Tables, arms: Arms) -> Drawing:
    """Left by part of speech, right by genre; the commonest category first, all of them together on top."""
    table = tables["annotation_quality"]
    points = table[(table["pos"] == "all") | (table["genre"] == "all")][COLUMNS]
    if points.empty:
        return canvas.in_words("No gold label, so nothing to score the annotator against.", points)
    sides = {"part of speech": ("pos", "genre"), "genre": ("genre", "pos")}
    parts = {title: _rows(points, by, other) for title, (by, other) in sides.items()}
    figure = canvas.page(canvas.DOUBLE, 0.2 * max(len(rows) for rows in parts.values()) + 0.85)
    lowest = min(0.0, float(points["kappa"].min()))
    for axes, (title, rows) in zip(figure.subplots(1, 2), parts.items(), strict=True):
        by, _ = sides[title]
        names = [f"{row[by]}  ({row['n_metaphors']:,} of {row['n_words']:,})" for _, row in rows.iterrows()]
        canvas.name_rows(axes, names)
        for measure, (_, colour, marker) in MEASURES.items():
            axes.plot(rows[measure], range(len(rows)), marker, color=colour, markersize=4, clip_on=False, alpha=0.9)
        axes.set_xlim(lowest - 0.02, 1.02)
        axes.grid(axis="x", color=canvas.GRID, linewidth=0.5)
        axes.set_title(f"by {title}  (metaphors of words)", loc="left")
    keys = [canvas.key(label, colour, marker, "") for label, colour, marker in MEASURES.values()]
    canvas.legend_below(figure, keys, 4)
    return Drawing(figure, points)


def _rows(points: pd.DataFrame, by: str, other: str) -> pd.DataFrame:
    rows = points[points[other] == "all"].sort_values(["n_words", by], ascending=[False, True])
    return pd.concat([rows[rows[by] == "all"], rows[rows[by] != "all"]])[: canvas.MOST_ROWS]


PLOT = Plot({"annotation_quality": COLUMNS}, draw)
