"""Every figure is drawn whole, the same each time, from published tables alone, and says so when there is nothing."""

import re
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Template
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from tropism.figures import canvas
from tropism.figures.canvas import Drawing, parse_arms, publish, read_tables
from tropism.figures.catalogue import CATALOGUE
from tropism.figures.feature_overlap import shared
from tropism.figures.gallery import PLOTS
from tropism.figures.training import MOST_POINTS
from tropism.figures.training import points_of as training_points
from tropism.fingerprint import Fingerprints
from tropism.records.files import InputError

each_figure = pytest.mark.parametrize("name", list(PLOTS))


def drawn(name: str, tables: dict[str, pd.DataFrame], arms: str = "") -> Drawing:
    with mpl.rc_context(canvas.STYLE):
        drawing = PLOTS[name].draw(tables, parse_arms(arms))
        FigureCanvasAgg(drawing.figure).draw()
    return drawing


def ticks(figure: Figure) -> list[list[Text]]:
    """The labels along each axis that lie between its limits; Matplotlib keeps others, which it does not draw."""
    found = []
    for axis in (axis for axes in figure.axes if axes.axison for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        shown = [
            tick
            for tick, place in zip(axis.get_major_ticks(), axis.get_majorticklocs(), strict=True)
            if low <= place <= high
        ]
        labels = [label for tick in shown for label in (tick.label1, tick.label2)]
        found.append([label for label in labels if label.get_visible() and label.get_text().strip()])
    return found


def words(figure: Figure) -> list[Text]:
    """Every text that is drawn."""
    axis_labels = {
        id(label)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in (*axis.majorTicks, *axis.minorTicks)
        for label in (tick.label1, tick.label2)
    }
    others = [text for text in figure.findobj(Text) if text.get_text().strip() and id(text) not in axis_labels]
    return others + [label for labels in ticks(figure) for label in labels]


def said(figure: Figure) -> str:
    return " ".join(text.get_text() for text in words(figure))


def table_named(folder: Path, name: str) -> dict[str, pd.DataFrame]:
    return read_tables([folder], PLOTS[name].needs)


@pytest.fixture(scope="module")
def published(tables: Path, arm_flag: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all figures."""
    folder = tmp_path_factory.mktemp("figures")
    for name, plot in PLOTS.items():
        publish(plot, [tables], folder / name, parse_arms(arm_flag))
    return folder


@each_figure
def test_a_figure_is_three_pictures_with_fonts_that_travel_and_its_points(name: str, published: Path):
    assert sorted(path.suffix for path in published.glob(f"{name}.*")) == [".csv", ".pdf", ".png", ".rst", ".svg"]
    assert b"<text" not in (published / f"{name}.svg").read_bytes()
    pdf = (published / f"{name}.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert len(pd.read_csv(published / f"{name}.csv")) > 0


@pytest.mark.parametrize("name", ["misalignment", "transfer_domains", "features", "detector"])
def test_two_runs_write_the_same_bytes(name: str, published: Path, tables: Path, arm_flag: str, tmp_path: Path):
    publish(PLOTS[name], [tables], tmp_path / name, parse_arms(arm_flag))
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (published / path.name).read_bytes(), path.name


@each_figure
def test_nothing_is_cut_off_and_no_two_ticks_collide(name: str, tables: Path, arm_flag: str):
    figure = drawn(name, table_named(tables, name), arm_flag).figure
    assert figure.get_figwidth() in (canvas.SINGLE, canvas.DOUBLE)
    page = figure.bbox.padded(1)
    boxes = {text.get_text(): text.get_window_extent() for text in words(figure)}
    assert [text for text, box in boxes.items() if not (page.contains(*box.min) and page.contains(*box.max))] == []
    for labels in ticks(figure):
        level = [label.get_window_extent() for label in labels if not label.get_rotation()]
        assert not any(one.padded(-1).overlaps(other) for one, other in pairwise(level)), [*map(str, labels)]


@each_figure
def test_an_empty_table_gives_a_figure_that_says_so_in_words(name: str, empty_tables: Path, tmp_path: Path):
    publish(PLOTS[name], [empty_tables], tmp_path / name, {})
    assert (tmp_path / f"{name}.csv").read_text().count("\n") == 1
    drawing = drawn(name, table_named(empty_tables, name))
    assert drawing.points.empty
    assert re.search(r"\b(no|nothing)\b", said(drawing.figure).lower())


@each_figure
def test_a_figure_reruns_for_its_own_code_and_what_all_share(name: str):
    parts = {part.split("=")[0] for part in Fingerprints().take(f"tropism.figures.{name}").split()}
    assert parts & {f"figures.{other}" for other in PLOTS} == {f"figures.{name}"}
    assert "figures.canvas" in parts


def test_the_catalogue_is_light_and_names_what_each_figure_needs():
    assert {part.split("=")[0] for part in Fingerprints().take("tropism.figures.catalogue").split()} == {
        "figures.catalogue",
        "figures",
        "tropism",
    }
    needs = {name: set(plot.needs) - {"reliability"} for name, plot in PLOTS.items()}
    assert needs == {name: set(entry.tables) for name, entry in CATALOGUE.items()}


@each_figure
def test_each_figure_has_a_caption_that_gives_its_unit_or_interval(name: str, root: Path):
    captions = (root / "workflow" / "report" / "figure.rst").read_text()
    (caption,) = re.findall(rf'figure == "{name}" %}}\n(.*?)\n{{%', captions, flags=re.DOTALL)
    assert re.search("interval|nats/token|[Cc]ount|p is", caption)


def test_captions_give_the_level_of_the_intervals(root: Path):
    template = Template((root / "workflow" / "report" / "figure.rst").read_text())
    run = {"wildcards": {"figure": "misalignment"}, "output": {"findings": "x.rst"}}
    for settings, level in (({"stats": {"confidence": 0.9}}, "90 %"), ({}, "95 %")):
        assert f"Lines are {level} intervals" in template.render(snakemake={**run, "config": settings})
    run["wildcards"] = {"figure": "transfer"}
    for settings, level in (({"geometry": {"analysis": {"confidence": 0.8}}}, "80 %"), ({"geometry": None}, "95 %")):
        assert f"with {level} intervals" in template.render(snakemake={**run, "config": settings})


def test_a_slope_has_a_panel_of_its_own_in_its_own_unit(tables: Path):
    found = read_tables([tables], PLOTS["contrasts"].needs)
    rows = found["contrasts"]
    rate = rows[(rows["instrument"] == "rubric5") & (rows["statistic"] == "rate") & (rows["domain"] == canvas.POOLED)]
    slope = rate.head(1).assign(contrast="dose", unit="share per share of metaphors masked", difference=0.0048)
    both = pd.concat([rows, slope], ignore_index=True)
    panels = drawn("contrasts", {"contrasts": both}).figure.axes
    labels = {axes.get_xlabel().replace("\n", " ") for axes in panels}
    assert "slope, percentage points per share of metaphors masked" in labels
    (own,) = [axes for axes in panels if axes.get_xlabel().startswith("slope")]
    assert [line.get_xdata()[0] for line in own.lines if line.get_marker() == "D"] == [pytest.approx(0.48)]


def test_a_mark_stands_beside_its_own_untrained_arm_in_each_domain(tables: Path):
    found = read_tables([tables], PLOTS["likelihood"].needs)
    arms = [arm for arm in dict.fromkeys(found["misalignment"]["arm"]) if arm != "base"]
    drawing = drawn("likelihood", found, ",".join(["base=base", *(f"{arm}=base" for arm in arms)]))
    ticks = [line.get_xdata()[0] for line in drawing.figure.axes[0].lines if line.get_marker() == "|"]
    margins = drawing.points[drawing.points["instrument"] == "margin"]
    assert ticks == margins.loc[margins["arm"] != "base", "reference_value"].tolist()


def test_rates_are_the_headline_ones_in_the_order_of_the_settings(tables: Path):
    points = drawn("misalignment", table_named(tables, "misalignment"), "realigned-original=base,base=base").points
    assert list(dict.fromkeys(points["arm"])) == ["realigned-original", "base"]
    assert set(points["denominator"]) == {"coherent"}
    assert len(points) == 2 * 4 * 2


def test_change_is_counted_from_the_arms_own_untrained_arm(tables: Path):
    points = drawn(
        "transfer_domains", table_named(tables, "transfer_domains"), "base=base,realigned-original=base"
    ).points
    cell = points.set_index(["arm", "instrument", "domain"]).loc[("realigned-original", "margin", "pooled")]
    assert cell["change"] == pytest.approx(1.2 * 0.75 * (0.06 - 0.02))
    assert (points.loc[points["arm"] == "base", "change"] == 0).all()


def test_an_arm_without_an_untrained_arm_has_no_change(tables: Path):
    drawing = drawn("transfer_domains", table_named(tables, "transfer_domains"), "base,realigned-original")
    assert "no arm has an untrained arm" in said(drawing.figure)


def test_a_population_that_is_missing_is_named(tables: Path):
    data = table_named(tables, "features")
    data["sae_features"] = data["sae_features"].query("population == 'references'")
    figure = drawn("features", data).figure
    assert "the arms' responses: not compared" in said(figure)


def test_more_arms_than_fit_are_counted(tables: Path):
    rows = table_named(tables, "misalignment")["misalignment"].query("arm == 'base'")
    many = pd.concat([rows.assign(arm=f"arm-{i:03}") for i in range(100)], ignore_index=True)
    drawing = drawn("misalignment", {"misalignment": many})
    assert "60 of 100 arms are shown" in said(drawing.figure)
    assert drawing.points["arm"].nunique() == 60


def test_several_judges_and_reasoning_are_told_apart(tables: Path):
    table = table_named(tables, "misalignment")["misalignment"]
    other = table[table["judge"] == "probe"].assign(judge="qwen")
    table = pd.concat([table, other, other.assign(target="reasoning")], ignore_index=True)
    text = " ".join(said(drawn("misalignment", {"misalignment": table}).figure).split())
    assert "legal probe" in text
    assert "legal qwen" in text
    assert "rubric5, reasoning" in text


def test_names_are_never_read_as_missing_or_as_mathematics(tmp_path: Path, tables: Path):
    table = pd.read_csv(tables / "misalignment.csv").replace({"arm": {"base": "NA", "realigned-original": "$x$"}})
    table.to_csv(tmp_path / "misalignment.csv", index=False)
    text = said(drawn("misalignment", table_named(tmp_path, "misalignment")).figure)
    assert "NA" in text
    assert "$x$" in text


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda folder: (folder / "contrasts.csv").unlink(), "no table contrasts.csv"),
        (lambda folder: (folder / "contrasts.csv").write_text("contrast\n"), "contrasts.csv: no column family"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_written(edit, message: str, tables: Path, tmp_path: Path):
    (tmp_path / "contrasts.csv").write_bytes((tables / "contrasts.csv").read_bytes())
    edit(tmp_path)
    with pytest.raises(InputError, match=message):
        publish(PLOTS["contrasts"], [tmp_path], tmp_path / "out" / "contrasts", {})
    assert not (tmp_path / "out").exists()


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(1, 500)), min_size=1, max_size=700))
def test_thinned_curves_keep_steps_and_the_mean_loss_by_token(steps: list[tuple[float, int]]):
    loss, tokens = map(np.array, zip(*steps, strict=True))
    table = pd.DataFrame(
        {"lineage": "a.b", "step": np.arange(1, len(steps) + 1), "epoch": np.linspace(0.1, 2, len(steps)), "loss": loss}
    ).assign(grad_norm=1.0, response_tokens=tokens)
    thin = training_points(table)
    assert len(thin) <= MOST_POINTS
    assert thin["steps"].sum() == len(steps)
    assert thin["step"].iloc[-1] == len(steps)
    assert np.average(thin["loss"], weights=thin["response_tokens"]) == pytest.approx(np.average(loss, weights=tokens))


def test_arms_are_read_in_order_with_their_untrained_arm():
    assert list(parse_arms("b=a,a=a,c=").items()) == [("b", "a"), ("a", "a"), ("c", None)]
    assert parse_arms("") == {}


def test_shared_features_are_counted_by_sign_and_held_against_chance():
    rows = [
        ("a", 1, 0.9, 0.01), ("a", 2, 0.1, 0.01), ("a", 3, 0.9, 0.01), ("a", 4, 0.9, 0.5),
        ("b", 1, 0.8, 0.01), ("b", 2, 0.2, 0.01), ("b", 3, 0.2, 0.01), ("b", 4, 0.9, 0.01),
    ]  # fmt: skip
    table = shared(pd.DataFrame(rows, columns=["domain", "feature", "auroc", "p_bh"])).set_index(["domain", "other"])
    pair = table.loc[("a", "b")]
    assert (pair["same"], pair["opposite"], pair["n_features"]) == (2, 1, 4)
    # a has 2 up and 1 down of four, b 2 up and 2 down: 4 * (2/4 * 2/4 + 1/4 * 2/4)
    assert pair["chance"] == pytest.approx(1.5)
    assert table.loc[("a", "a"), "same"] == 3
