"""What a figure and its findings say where values are missing, names are many or numbers are small."""

from pathlib import Path

import numpy as np
import pytest

from tropism.figures.legend import fitting_columns
from tropism.figures.marks import looks_of

from .test_figures import drawn, said, table_named


def test_a_missing_r2_is_counted_and_not_drawn(tables: Path):
    table = table_named(tables, "priors")["prior_prediction"]
    lost = (table["features"] == "activations") & (table["layer"] == 10)
    table.loc[lost, ["r2", "r2_low", "r2_high"]] = np.nan
    figure = drawn("priors", {"prior_prediction": table}).figure
    lines = [line for axes in figure.axes for line in axes.lines if line.get_marker() == "o"]
    places = [float(np.asarray(line.get_xdata())[0]) for line in lines]
    assert f"{lost.sum()} of {len(table)} R² missing" in said(figure)
    assert np.isnan(places).sum() == lost.sum()
    assert sum(place == -1 for place in places) == (table["features"] == "random").sum()


def test_series_past_the_colours_have_another_mark():
    looks = looks_of([f"arm-{i}" for i in range(30)])
    assert len(set(looks.values())) == 30


@pytest.mark.parametrize(("label", "columns"), [("short", 3), ("a name as long as a line " * 4, 1)])
def test_a_legend_has_as_many_columns_as_fit(label: str, columns: int):
    assert fitting_columns([label] * 6, 3, 500) == columns
