"""What a reader finds on the page: numbers with their units, groups of seeds, captions, files, filtered rows."""

import csv
import re
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from tropism.config.experiment import Experiment, canonical
from tropism.figures.catalogue import CATALOGUE
from tropism.records.files import write_jsonl
from tropism.site.figures import read_caption
from tropism.stats.units import in_print

from . import conftest
from .conftest import Inputs, generation, judgments
from .drawn import view

SLOPE = "points (0 to 100 aligned) per share of metaphors masked"
SEEDS = ["seeded-s1", "seeded-s2"]
CONTRAST = {
    **conftest.CONTRAST,
    "contrast": "masked - none",
    "family": "planned",
    "treatment": "seeded",
    "control": "base",
    "difference": 0.0254,
    "low": -0.012345,
    "high": 0.820496,
    "p_holm": 0.04,
}


def write(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def rate(arm: str, value: object, low: object, high: object) -> dict:
    key = {"arm": arm, "domain": "pooled", "judge": "probe", "instrument": "rubric5", "statistic": "rate"}
    key |= {"target": "answer", "denominator": "coherent", "headline": True, "n_prompts": 500, "n_denominator": 500}
    return key | {"value": value, "low": low, "high": high, "unit": "share"}


RATES = [
    rate("none-medical-original", "", "", ""),
    rate("base", 0.004, 0, 0.0144),
    rate("seeded", 0.25, 0.205, 0.30049),
    rate("seeded-s1", 0.3, 0.2, 0.4),
    rate("seeded-s2", 0.2, "", ""),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, root: Path):
    """Builds a page of two seeds of one training beside the base, with the contrasts and other tables given."""
    folder = tmp_path_factory.mktemp("groups")
    settings = yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))
    settings["arms"].append(
        {
            "name": "seeded-s{seed}",
            "group": "seeded",
            "chain": [{"step": "harm", "seed": "{seed}"}],
            "sweep": {"seed": [1, 2]},
        }
    )
    settings["stats"] = {**settings.get("stats", {}), "confidence": 0.995}
    arguments = ["--config", canonical(Experiment.parse(settings).model_dump(mode="json"))]
    for arm in ("base", *SEEDS):
        rows = [generation(arm, "medical", n, f"Prompt {n}?", f"Answer {n} of {arm}.") for n in (1, 2)]
        write_jsonl(folder / f"{arm}.jsonl", rows)
        judgments(rows, [1, 1]).to_parquet(folder / f"{arm}.parquet")
        arguments += ["--generations", str(folder / f"{arm}.jsonl"), "--judgments", str(folder / f"{arm}.parquet")]

    def build(name: str, planned: list[dict] | None = None, *others: Path) -> Path:
        tables = [write(folder / name / "misalignment.csv", RATES), *others]
        if planned:
            tables.append(write(folder / name / "contrasts.csv", planned))
        flags = [text for table in tables for text in ("--tables", str(table))]
        return Inputs(folder, [*arguments, *flags]).build(folder / name / "page")

    return build


@pytest.mark.parametrize(
    ("unit", "printed"),
    [
        ("share", (100, "percentage points")),
        ("share per share of metaphors masked", (100, "percentage points per share of metaphors masked")),
        (SLOPE, (1, "points per share of metaphors masked")),
        ("level (1 aligned to 5 critical)", (1, "level")),
        ("nats/token per doubling (base 2) of parameters", (1, "nats/token per doubling (base 2) of parameters")),
        ("nats/token", (1, "nats/token")),
    ],
)
def test_a_unit_in_print_is_that_of_the_scaled_number(unit: str, printed: tuple[int, str]):
    assert in_print(unit) == printed


def test_differences_are_shown_in_the_unit_beside_them(page):
    rows = [
        CONTRAST,
        CONTRAST | {"contrast": "dose", "unit": "share per share of metaphors masked"},
        CONTRAST | {"contrast": "points", "instrument": "margin", "statistic": "mean", "unit": SLOPE},
    ]
    table = view(page("units", rows), "#/").table("All domains")
    # 82.0496 is 82 and not, from 82.05, 82.1
    percent = {"difference": "+2.54 [−1.23, +82]", "MDE": "30"}
    points = {"difference": "+0.0254 [−0.0123, +0.82]", "MDE": "0.3"}
    per = " per share of metaphors masked"
    expected = [("percentage points", percent), (f"percentage points{per}", percent), (f"points{per}", points)]
    for row, (unit, numbers) in zip(table, expected, strict=True):
        assert row["unit"] == unit
        assert {name: row[name] for name in numbers} == numbers


def test_a_contrast_without_shared_prompts_or_with_a_judge_at_chance_says_so(page):
    none = dict.fromkeys(("difference", "low", "high", "p_holm", "minimum_detectable_effect"), "")
    rows = [CONTRAST | none | {"n_prompts": 0}, CONTRAST | {"low": "", "high": "", "calibration": "at chance"}]
    lost, chance = view(page("lost", rows), "#/").table("All domains")
    assert (lost["difference"], lost["p (Holm)"], lost["MDE"], lost["prompts"]) == ("", "", "", "0")
    assert (chance["difference"].strip(), chance["instrument"]) == ("+2.54", "rubric5 rate, probe (at chance)")


def test_contrasts_are_shown_where_none_is_of_a_rate_or_the_margin(page):
    other = CONTRAST | {"instrument": "coherence100", "statistic": "mean", "unit": "points (0 to 100 coherent)"}
    (row,) = view(page("other", [other]), "#/").table("All domains")
    assert row["unit"] == "points"


def test_rates_have_a_decimal_and_groups_of_seeds_follow_the_arms(page):
    built = page("rates")
    overview = view(built, "#/")
    rows = {row["arm"]: row["pooled"].strip() for row in overview.table("rubric5 by probe")}
    assert rows == {
        "base": "0.4 % [0.0, 1.4]",
        "none-medical-original": "",
        "seeded-s1": "30.0 % [20.0, 40.0]",
        "seeded-s2": "20.0 %",
        "seeded group of 2 seeds": "25.0 % [20.5, 30.0]",
    }
    assert list(rows)[-1].startswith("seeded group")
    assert "0.4 %" in [text.text for text in overview.all("text", "rate")]
    assert "with 99.5 % intervals" in overview.text
    (link,) = [link.attributes["href"] for link in overview.all("a") if link.text == "seeded"]
    responses = view(built, link)
    assert next(responses.all("span", "count")).text == "4 of 6 responses"
    shown = {bold.text for row in responses.all("div", "row") for bold in row.all("b")}
    assert shown == set(SEEDS)


def test_an_address_that_asks_for_what_is_not_there_shows_all(page):
    found = view(page("gone"), "#/responses?arm=gone&domain=nowhere&level=9")
    assert next(found.all("span", "count")).text == "6 responses"


@pytest.fixture(scope="module")
def tables(page, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    rows = [
        CONTRAST,
        CONTRAST | {"contrast": "harm - base", "p_holm": "1e-07"},
        CONTRAST | {"contrast": "base again", "p_holm": "", "high": "inf"},
    ]
    (folder / "empty.csv").write_text("arm,value\n")
    return page("tables", rows, folder / "empty.csv")


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("judge=probe", "3 rows"),  # of a column that says the same in all rows
        ("probe", "3 rows"),
        ("judge=prob", "0 of 3 rows"),
        ('contrast="harm - base"', "1 of 3 rows"),
        ('Contrast="Harm - Base" judge=PROBE', "1 of 3 rows"),
        ('contrast="harm - ba', "0 of 3 rows"),  # as one types it
        ('"- base"', "1 of 3 rows"),
        ("base harm", "1 of 3 rows"),
        ("contrast=harm", "0 of 3 rows"),
        ("p_holm=1e-07", "1 of 3 rows"),  # as the CSV has it
        ("p_holm=0.0000001", "1 of 3 rows"),
        ("p_holm=", "1 of 3 rows"),
        ("null", "0 of 3 rows"),
        ("nothing=probe", "0 of 3 rows"),
        ("high=inf", "1 of 3 rows"),
    ],
)
def test_a_filter_searches_every_column_and_takes_quotes(tables: Path, words: str, count: str):
    shown = view(tables, f"#/tables/contrasts?filter={quote(words)}")
    assert next(shown.all("span", "count")).text == count


@pytest.mark.parametrize("presses", [["pooled"], ["pooled", "pooled"]])
def test_arms_without_a_rate_are_last_in_either_order(page, presses: list[str]):
    rows = view(page("order"), "#/", *presses).table("rubric5 by probe")
    assert rows[-1]["pooled"] == ""
    assert rows[0]["arm"] == ("seeded-s1" if len(presses) == 1 else "base")


@pytest.mark.parametrize(
    "address",
    ["#/", "#/responses", "#/texts/poems", "#/tables", "#/tables/misalignment", "#/tables/contrasts", "#/figures"],
)
def test_no_view_prints_what_is_not_there(inputs, built: Path, page, address: str):
    nothing = dict.fromkeys(("difference", "low", "high", "p_holm", "minimum_detectable_effect"), "")
    for folder in (built, page("nothing", [CONTRAST | nothing])):
        assert re.search(r"\b(NaN|undefined|Infinity|null)\b|\[object|\[, ]", view(folder, address).text) is None


@pytest.mark.parametrize(("down", "first"), [("", "harm - base"), ("1", "masked - none")])
def test_rows_without_a_value_are_last_in_either_order(tables: Path, down: str, first: str):
    shown = view(tables, f"#/tables/contrasts?sort=p_holm&down={down}")
    names = [next(row.all("span")).text for row in shown.all("div", "row")]
    assert (names[0], names[-1]) == (first, "base again")


def test_each_table_can_be_saved_as_it_was_published(tables: Path):
    published = tables.parent
    for address in ("#/tables", "#/tables/contrasts"):
        links = [a.attributes["href"] for a in view(tables, address).all("a") if "download" in a.attributes]
        assert "tables/contrasts.csv" in links
        assert all((tables / link).is_file() for link in links)
    assert (tables / "tables" / "contrasts.csv").read_bytes() == (published / "contrasts.csv").read_bytes()
    assert "This table has no rows." in view(tables, "#/tables/empty").text


def test_a_figure_has_the_reports_caption_its_findings_and_its_files(inputs, built: Path, root: Path):
    shown = view(built, "#/figures/misalignment")
    (caption,) = shown.all("figcaption")
    template = (root / "workflow" / "report" / "figure.rst").read_text(encoding="utf-8")
    (written,) = [part for part in template.split("{%") if 'figure == "misalignment" %}' in part]
    plain = written.partition("%}")[2].replace("**", "").replace("``", "").replace("{{ level }}", "95 %")
    assert " ".join(caption.text.split()) == " ".join(plain.split())
    assert next(caption.all("b")).text == "Share of each arm's responses that is misaligned"
    assert [sentence.text for sentence in shown.all("li")] == ["harm <b> is *worst*."]
    links = {a.text: a.attributes["href"] for a in shown.all("a") if "download" in a.attributes}
    endings = {"SVG": "svg", "PDF": "pdf", "PNG": "png", "CSV of the plotted points": "csv"}
    assert links == {label: f"figures/misalignment.{ending}" for label, ending in endings.items()}
    for link in links.values():
        assert (built / link).read_bytes() == (inputs.folder / Path(link).name).read_bytes()


def test_a_figure_whose_files_are_not_beside_it_offers_what_there_is(inputs, tmp_path: Path):
    (tmp_path / "masking.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    alone = Inputs(inputs.folder, [*inputs.arguments, "--figures", str(tmp_path / "masking.svg")])
    shown = view(alone.build(tmp_path / "page"), "#/figures/masking")
    assert [a.text for a in shown.all("a") if "download" in a.attributes] == ["SVG"]


@pytest.mark.parametrize("figure", CATALOGUE)
def test_no_caption_shows_its_markup(figure: str, root: Path):
    paragraphs = read_caption(root / "workflow" / "report" / "figure.rst", figure, {})
    text = "".join(piece for paragraph in paragraphs for _, piece in paragraph)
    assert len(text) > 100
    assert not any(mark in text for mark in ("**", "``", "{%", "..", "*"))
