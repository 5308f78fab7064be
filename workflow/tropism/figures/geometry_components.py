"""Principal components of steering vectors: how much each holds, where the vectors lie, how each loads."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables
from tropism.figures.marks import cluster_looks, cluster_names

NULLS = ["random_low", "random_high", "covariance_low", "covariance_high"]
NEEDS = {
    "geometry_tests": ["method", "statistic", "value", "low", "high", *NULLS],
    "geometry_coordinates": [
        "vector", "number", "cluster", "pc1", "pc2", "cosine_pc1", "cosine_pc2", "cosine_pc3"
    ],
}  # fmt: skip
COMPONENTS = ("PC1", "PC2", "PC3")
MOST = 40


def draw(tables: Tables, arms: Arms) -> Drawing:
    """Left the shares beside their nulls, then scores about the mean, then cosines with each component."""
    tests, places = tables["geometry_tests"], tables["geometry_coordinates"].sort_values("number")
    shares = tests[(tests["method"] == "pca") & tests["statistic"].str.startswith("share of PC")]
    if places.empty or shares.empty:
        return canvas.in_words("No steering vectors to compare.", tests)
    figure = canvas.page(canvas.DOUBLE, float(np.clip(1.9 + 0.16 * min(len(places), MOST), 2.9, 7.0)))
    scree, scatter, loadings = figure.subplots(1, 3, width_ratios=[1.0, 1.0, 0.9])
    _scree(scree, shares)
    looks = cluster_looks(places)
    for name, rows in places.groupby(cluster_names(places)):
        colour, mark = looks[str(name)]
        scatter.plot(rows["pc1"], rows["pc2"], mark, color=colour, markersize=3.6, clip_on=False)
    scatter.margins(0.15)
    scatter.xaxis.set_major_locator(MaxNLocator(3))
    scatter.set_xlabel("score on PC1, about the mean")
    scatter.set_ylabel("score on PC2")
    scatter.set_title("Unit vectors about their mean")
    _loadings(loadings, places)
    keys = [canvas.key(name, *look, "") for name, look in looks.items()] if len(looks) <= 12 else []
    bands = [canvas.patch("random directions", canvas.BAND), canvas.patch("with the vectors' covariance", canvas.SKY)]
    remark = canvas.left_out(places["vector"], places["vector"].head(MOST), "vectors' loadings")
    canvas.legend_below(figure, [*keys, *bands], 4, remark)
    return Drawing(figure, pd.concat([shares, places], ignore_index=True))


def _scree(axes: Axes, shares: pd.DataFrame) -> None:
    for centred, place, marker in ((False, -0.18, "o"), (True, 0.18, "D")):
        for k, name in enumerate(COMPONENTS):
            title = f"share of {name}" + (", centred" if centred else "")
            for row in shares[shares["statistic"] == title].itertuples():
                x = k + place
                axes.fill_between([x - 0.15, x], row.random_low, row.random_high, color=canvas.BAND, linewidth=0)
                axes.fill_between([x, x + 0.15], row.covariance_low, row.covariance_high, color=canvas.SKY, linewidth=0)
                if pd.notna(row.low):
                    axes.plot([x, x], [row.low, row.high], color=canvas.INK, linewidth=0.9)
                axes.plot(x, row.value, marker, color=canvas.INK, markersize=3.4)
    axes.set_xticks(range(len(COMPONENTS)), COMPONENTS)
    axes.set_ylim(0, None)
    axes.set_ylabel("share")
    axes.set_title("Scree: about zero (dots),\nabout the mean (diamonds)")


def _loadings(axes: Axes, places: pd.DataFrame) -> None:
    rows = places.head(MOST)
    values = rows[["cosine_pc1", "cosine_pc2", "cosine_pc3"]].to_numpy()
    axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        colour = "white" if abs(value) > 0.6 else canvas.INK
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=5.5, color=colour)
    axes.set_xticks(range(3), COMPONENTS)
    axes.set_yticks(range(len(rows)), rows["vector"])
    axes.yaxis.tick_right()
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title("Loadings: cosine with each\ncomponent about zero")


PLOT = Plot(NEEDS, draw)
