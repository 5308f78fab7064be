"""Do training and evaluation prompts shift in the same directions? Overlaps beside what chance gives."""

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables
from tropism.figures.marks import looks_of

COLUMNS = [
    "arm", "position", "layer", "k", "training_domain", "evaluation_domain", "overlap", "uniform_mean", "spectrum_mean",
    "spectrum_q95", "p_spectrum",
]  # fmt: skip

MOST_ARMS, MOST_HEIGHT = 16, 18.0
"""Arms that are drawn, and inches that their rows take together."""


def draw(tables: Tables, arms: Arms) -> Drawing:
    """One panel a layer, one row a pair of domains, a colour an arm; the grey band ends at chance's 95th percentile."""
    points = tables["subspace_overlap"][COLUMNS]
    if points.empty:
        return canvas.in_words("No shifts were compared.", points)
    k, position = points["k"].iloc[0], points["position"].iloc[0]
    kinds = points[["k", "position"]].drop_duplicates()
    points = points[(points["k"] == k) & (points["position"] == position)]
    names = canvas.arm_order(points, arms)[:MOST_ARMS]
    every = points["arm"]
    points = canvas.in_order(points, "arm", names)
    pairs = (points["training_domain"] + " → " + points["evaluation_domain"]).rename("pair")
    height = max(0.2, 0.09 * len(names))
    most = min(canvas.MOST_ROWS, int(MOST_HEIGHT / height))
    rows, layers = list(dict.fromkeys(pairs))[:most], sorted(points["layer"].unique())
    figure = canvas.page(canvas.DOUBLE, height * len(rows) + 1.0)
    panels = figure.subplots(1, len(layers), squeeze=False)[0]
    looks = looks_of(names)
    for axes, layer in zip(panels, layers, strict=True):
        canvas.name_rows(axes, rows, show=axes is panels[0])
        some = points[(points["layer"] == layer) & pairs.isin(rows)]
        for pair, row in zip(pairs[some.index], some.itertuples(), strict=True):
            y = rows.index(pair) + canvas.dodge(names.index(row.arm), len(names))
            axes.plot([0, row.spectrum_q95], [y, y], color=canvas.FAINT, linewidth=2.2, solid_capstyle="butt", zorder=2)
            axes.plot(row.spectrum_mean, y, "|", color=canvas.INK, markersize=4, zorder=3)
            colour, mark = looks[row.arm]
            axes.plot(row.overlap, y, mark, color=colour, markersize=3.4, zorder=4, clip_on=False)
        axes.axvline(float(some["uniform_mean"].mean()), color=canvas.INK, linewidth=0.7, linestyle=(0, (1, 2)))
        axes.set_xlim(0, 1)
        axes.grid(axis="x", color=canvas.GRID, linewidth=0.5)
        axes.set_title(f"layer {layer}, leading {k} directions, {position}", loc="left")
        axes.set_xlabel("mean squared cosine")
    keys = [canvas.key(name, *looks[name], "") for name in names]
    keys += [canvas.key("chance that varies as activations do, to its 95 %", canvas.FAINT, "|")]
    keys += [canvas.key("uniform chance", canvas.INK, line=":")]
    remarks = [canvas.left_out(pairs, pairs[pairs.isin(rows)], "pairs"), canvas.left_out(every, points["arm"], "arms")]
    remarks.append(f"1 of {len(kinds)} pairs of k and position is shown; the table has all" if len(kinds) > 1 else "")
    canvas.legend_below(figure, keys, 2, "; ".join(filter(None, remarks)))
    return Drawing(figure, points)


PLOT = Plot({"subspace_overlap": COLUMNS}, draw)
