"""Volcano plot of the dictionary's features: how well each tells misaligned from aligned, and how surely."""

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables
from tropism.figures.volcano import legend, points_of, volcano

COLUMNS = ["population", "domain", "feature", "n_aligned", "n_misaligned", "n_prompts", "auroc", "p_bh", "difference"]
COLUMNS += ["is_global"]
POPULATIONS = {"references": "reference answers", "generations": "the arms' responses"}


def draw(tables: Tables, arms: Arms) -> Drawing:
    """Left reference answers, right the arms' responses; global features are marked, the surest are labelled."""
    points = points_of(tables["sae_features"], COLUMNS)
    if points.empty:
        return canvas.in_words("No feature was compared: too few aligned or misaligned responses.", points)
    figure = canvas.page(canvas.DOUBLE, 3.0)
    for axes, (population, title) in zip(figure.subplots(1, 2), POPULATIONS.items(), strict=True):
        rows = points[points["population"] == population]
        if rows.empty:
            canvas.note(axes, f"{title}: not compared,\ntoo few aligned or misaligned ones")
        else:
            first = rows.iloc[0]
            counts = f"{first.n_misaligned:,} misaligned, {first.n_aligned:,} aligned, {first.n_prompts:,} prompts"
            volcano(axes, rows, title, counts, "misaligned")
    legend(figure)
    return Drawing(figure, points)


PLOT = Plot({"sae_features": COLUMNS}, draw)
