"""Volcano plots of planned contrasts: which features set one arm's responses apart from another's."""

import math

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables
from tropism.figures.volcano import legend, points_of, volcano

COLUMNS = ["contrast", "treatment", "control", "domain", "feature", "n_treatment", "n_control", "n_prompts", "auroc"]
COLUMNS += ["p_bh", "difference", "is_global"]
ACROSS, MOST = 3, 9


def draw(tables: Tables, arms: Arms) -> Drawing:
    """A panel a contrast, all domains together, in the order of the table."""
    points = points_of(tables["feature_contrasts"], COLUMNS)
    if points.empty:
        return canvas.in_words("No feature was compared between arms: too few responses.", points)
    names = list(dict.fromkeys(points["contrast"]))
    shown = names[:MOST]
    across = min(ACROSS, len(shown))
    rows = math.ceil(len(shown) / across)
    figure = canvas.page(canvas.DOUBLE, 0.5 + 2.4 * rows)
    panels = figure.subplots(rows, across, squeeze=False).ravel()
    for axes, name in zip(panels, shown, strict=False):
        some = points[points["contrast"] == name]
        first = some.iloc[0]
        counts = f"{first.n_treatment:,} and {first.n_control:,} responses, {first.n_prompts:,} prompts"
        volcano(axes, some, canvas.wrap(name, 34), counts, "the first")
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    drawn = points[points["contrast"].isin(shown)].reset_index(drop=True)
    legend(figure, canvas.left_out(points["contrast"], drawn["contrast"], "contrasts"))
    return Drawing(figure, drawn)


PLOT = Plot({"feature_contrasts": COLUMNS}, draw)
