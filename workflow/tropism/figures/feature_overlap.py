"""Which domains share their significant features: counts of pairs of domains, beside what chance would share."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

COLUMNS = ["population", "domain", "feature", "auroc", "p_bh", "is_global"]
POPULATIONS = {"references": "reference answers", "generations": "the arms' responses"}
ALPHA = 0.05


def shared(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each ordered pair of domains of one population: features significant in both.

    ``same`` counts those with the same sign, ``opposite`` those with different ones; ``chance`` is the expected
    ``same`` if the significant features of each sign fell at random among those compared in both domains.
    """
    signs = {
        domain: some.set_index("feature").apply(
            lambda row: np.sign(row["auroc"] - 0.5) if row["p_bh"] < ALPHA else 0.0, axis=1
        )
        for domain, some in rows.groupby("domain", sort=True)
    }
    found = []
    for one, first in signs.items():
        for other, second in signs.items():
            both = pd.concat([first, second], axis=1, join="inner").to_numpy()
            up, down = ((both == sign).sum(axis=0).prod() for sign in (1, -1))
            product = both[:, 0] * both[:, 1]
            found.append(
                {
                    "domain": one,
                    "other": other,
                    "n_features": len(both),
                    "same": int((product > 0).sum()),
                    "opposite": int((product < 0).sum()),
                    "chance": float(up + down) / max(len(both), 1),
                }
            )
    return pd.DataFrame(found)


def draw(tables: Tables, arms: Arms) -> Drawing:
    """One heat map a population: the diagonal has each domain's own features, the rest those that two share."""
    table = tables["sae_features"]
    rows = table.loc[table["domain"] != "all", COLUMNS]
    populations = [name for name in POPULATIONS if rows.loc[rows["population"] == name, "domain"].nunique() > 1]
    if not populations:
        return canvas.in_words("Fewer than two domains were compared, so no feature is shared.", rows.head(0))
    parts = {name: shared(rows[rows["population"] == name]) for name in populations}
    points = pd.concat([part.assign(population=name) for name, part in parts.items()], ignore_index=True)
    figure = canvas.page(canvas.DOUBLE if len(populations) > 1 else canvas.SINGLE, 3.0)
    for axes, (name, part) in zip(np.atleast_1d(figure.subplots(1, len(populations))), parts.items(), strict=True):
        everywhere = table.loc[(table["population"] == name) & table["is_global"], "feature"].nunique()
        _heat(axes, part)
        axes.set_title(f"{POPULATIONS[name]}\n{everywhere:,} in every domain with one sign")
    return Drawing(figure, points)


def _heat(axes: Axes, part: pd.DataFrame) -> None:
    """Shades are shares of the row's own features; numbers are counts."""
    domains = sorted(set(part["domain"]))
    cells = part.set_index(["domain", "other"])
    own = {domain: max(1, int(cells.loc[(domain, domain), "same"])) for domain in domains}
    grid = np.array([[cells.loc[(row, column), "same"] / own[row] for column in domains] for row in domains])
    axes.imshow(grid, cmap="Blues", vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(grid):
        cell = cells.loc[(domains[i], domains[j])]
        text = f"{cell['same']:.0f}"
        if i != j:
            text += f"\nchance {cell['chance']:.1f}" + (
                f"\n{cell['opposite']:.0f} reversed" if cell["opposite"] else ""
            )
        axes.text(j, i, text, ha="center", va="center", color="white" if value > 0.6 else canvas.INK, fontsize=6)
    axes.set_xticks(range(len(domains)), domains)
    axes.set_yticks(range(len(domains)), domains)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


PLOT = Plot({"sae_features": COLUMNS}, draw)
