"""Which domains share their significant features: counts of pairs of domains, beside what chance would share."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

COLUMNS = ["population", "domain", "feature", "auroc", "p_bh", "is_global"]
POPULATIONS = {"references": "reference answers", "generations": "the arms' responses"}
ALPHA = 0.05
ABREAST = 5
"""Domains up to which populations stand side by side."""


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
    count = max(part["domain"].nunique() for part in parts.values())
    across = len(populations) if count <= ABREAST else 1
    down = len(populations) // across
    width = canvas.DOUBLE if len(populations) > 1 or count > ABREAST else canvas.SINGLE
    figure = canvas.page(width, down * max(3.0, 0.5 + 0.36 * count))
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, (name, part) in zip(panels, parts.items(), strict=True):
        everywhere = table.loc[(table["population"] == name) & table["is_global"], "feature"].nunique()
        _heat(axes, part)
        axes.set_title(f"{POPULATIONS[name]}\n{everywhere:,} in every domain with one sign")
    if count > ABREAST:
        canvas.legend_below(figure, [], 1, "c: shared by chance; r: shared with the reverse sign")
    return Drawing(figure, points)


def _heat(axes: Axes, part: pd.DataFrame) -> None:
    """Shades are shares of the row's own features; numbers are counts."""
    domains = sorted(set(part["domain"]))
    cells = part.set_index(["domain", "other"])
    own = {domain: max(1, int(cells.loc[(domain, domain), "same"])) for domain in domains}
    grid = np.array([[cells.loc[(row, column), "same"] / own[row] for column in domains] for row in domains])
    many = len(domains) > ABREAST
    axes.imshow(grid, cmap="Blues", vmin=0, vmax=1, aspect="auto" if many else "equal")
    for (i, j), value in np.ndenumerate(grid):
        cell = cells.loc[(domains[i], domains[j])]
        text = f"{cell['same']:.0f}"
        if i != j:
            text += f"\n{'c' if many else 'chance '}{cell['chance']:.1f}"
            text += f"\n{cell['opposite']:.0f}{'r' if many else ' reversed'}" if cell["opposite"] else ""
        size = 5 if many else 6
        axes.text(j, i, text, ha="center", va="center", color="white" if value > 0.6 else canvas.INK, fontsize=size)
    axes.set_xticks(range(len(domains)), domains, rotation=90 if many else 0)
    axes.set_yticks(range(len(domains)), domains)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


PLOT = Plot({"sae_features": COLUMNS}, draw)
