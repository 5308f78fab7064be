"""Many domains and arms with long names: nothing overlaps, runs off the page or is dropped in silence."""

from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from .effects import ARM_FLAG
from .test_figures import drawn, said, table_named, ticks, words

NAMES = [f"arm-{i:02}-with-a-rather-long-name_β & 100%" for i in range(30)]
DOMAINS = [f"domain-{i:02}" for i in range(12)]


def of_domains(table: pd.DataFrame, count: int, column: str = "domain") -> pd.DataFrame:
    """One domain's rows under ``count`` names, beside those of all domains together."""
    kept = table[table[column].isin(["pooled", "all"])]
    one = table[table[column] == "medical"]
    return pd.concat([kept, *(one.assign(**{column: name}) for name in DOMAINS[:count])], ignore_index=True)


def of_arms(table: pd.DataFrame, count: int) -> pd.DataFrame:
    one = table[table["arm"] == "none-medical-original"]
    return pd.concat([one.assign(arm=name) for name in NAMES[:count]], ignore_index=True)


def is_legible(figure) -> bool:
    """No two words in a plot, two titles or neighbouring ticks overlap, and none is off the page."""
    page = figure.bbox.padded(1)
    boxes = [text.get_window_extent() for text in words(figure)]
    inside = all(page.contains(*box.min) and page.contains(*box.max) for box in boxes)
    in_plots = [[text.get_window_extent().padded(-1) for text in axes.texts] for axes in figure.axes]
    titles = [axes.title.get_window_extent().padded(-1) for axes in figure.axes if axes.get_title()]
    level = [
        [label.get_window_extent().padded(-1) for label in labels if label.get_rotation() in (0, 90)]
        for labels in ticks(figure)
    ]
    apart = not any(one.overlaps(other) for some in (*in_plots, titles) for one, other in combinations(some, 2))
    return inside and apart and not any(one.overlaps(other) for some in level for one, other in pairwise(some))


@pytest.mark.parametrize("count", [6, 12])
@pytest.mark.parametrize("name", ["feature_overlap", "transfer_domains"])
def test_cells_of_many_domains_are_legible(name: str, count: int, tables: Path):
    data = {key: of_domains(table, count) for key, table in table_named(tables, name).items()}
    assert is_legible(drawn(name, data, ARM_FLAG).figure)


def test_a_dozen_held_out_domains_have_a_line_of_their_own(tables: Path):
    data = table_named(tables, "detector")
    held = data["detector"]["evidence"] == "leave-one-domain-out"
    many = of_domains(data["detector"][held], 12, "held_out")
    data["detector"] = pd.concat([data["detector"][~held], many], ignore_index=True)
    figure = drawn("detector", data).figure
    last = [axes for axes in figure.axes if axes.get_xlabel() == "held-out domain"]
    labels = [[label.get_window_extent() for label in axes.get_xticklabels()] for axes in last]
    assert [len(some) for some in labels] == [12, 12]
    assert all(np.diff([box.x1 for box in some]).min() > 25 for some in labels)


@pytest.mark.parametrize("name", ["interventions", "dynamics"])
def test_eight_arms_with_long_names_stay_on_the_page(name: str, tables: Path):
    data = {key: of_arms(table, 8) for key, table in table_named(tables, name).items() if "arm" in table}
    figure = drawn(name, table_named(tables, name) | data).figure
    assert is_legible(figure)


@pytest.mark.parametrize("name", ["priors", "subspaces"])
def test_arms_without_room_are_counted_and_the_others_stand_apart(name: str, tables: Path):
    data = {key: of_arms(table, 30) for key, table in table_named(tables, name).items()}
    figure = drawn(name, data).figure
    assert "16 of 30 arms are shown" in said(figure)
    marks = [line for line in figure.axes[0].lines if line.get_marker() in ("o", "s") and line.get_zorder() > 2]
    heights = np.unique([figure.axes[0].transData.transform((0, line.get_ydata()[0]))[1] for line in marks])
    assert np.diff(heights).min() > 0.05 * figure.dpi


@pytest.mark.parametrize("name", ["moments", "likelihood", "trends"])
def test_a_dozen_domains_have_a_look_each(name: str, tables: Path):
    data = {key: of_domains(table, 12) for key, table in table_named(tables, name).items()}
    entries = [entry for entry in drawn(name, data).figure.legends[0].legend_handles if entry is not None]
    looks = {
        (entry.get_color(), entry.get_marker()) for entry in entries if str(entry.get_label()).startswith("domain-")
    }
    assert len(looks) == 12
