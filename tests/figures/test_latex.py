"""Numbers and tables for a manuscript: names that TeX accepts, one each, and the numbers of the tables."""

import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tropism.figures.__main__ import app
from tropism.figures.canvas import read_table
from tropism.figures.catalogue import CATALOGUE
from tropism.figures.findings import FINDINGS, sentences
from tropism.figures.latex import as_latex
from tropism.figures.macros import macros, name_of, printed
from tropism.records.notes import Note
from tropism.stats.units import in_print

MACRO = re.compile(r"\\newcommand\{\\([A-Za-z]+)\}\{([^{}]*|\\ensuremath\{[^{}]*(?:\{[^{}]*\})?\})\}")


def test_every_line_is_a_comment_or_one_macro_and_no_name_comes_twice(written):
    lines = [line for line in (written / "paper.tex").read_text().split("\n") if line and not line.startswith("%")]
    found = [MACRO.fullmatch(line) for line in lines]
    assert [line for line, match in zip(lines, found, strict=True) if match is None] == []
    names = [match[1] for match in found if match]
    assert len(names) == len(set(names)) > 500


def test_a_number_is_that_of_the_table(written, tables):
    macros = dict(MACRO.findall((written / "paper.tex").read_text()))
    rates = read_table(tables / "misalignment.csv", [])
    keys = {"arm": "base", "domain": "pooled", "judge": "probe", "instrument": "rubric5", "statistic": "rate"}
    row = rates[rates["headline"] & (rates[list(keys)] == pd.Series(keys)).all(axis=1) & (rates["target"] == "answer")]
    stem = "MisalignmentBasePooledProbeRubricFiveRateAnswer"
    assert macros[f"{stem}Value"] == f"{100 * row['value'].iloc[0]:.1f}"
    assert macros[f"{stem}NDenominator"] == str(row["n_denominator"].iloc[0])


def test_what_differs_between_runs_is_apart(written):
    assert "TrainingSpeed" not in (written / "paper.tex").read_text()


def test_every_table_that_fits_is_written_with_its_text_escaped(written, tables):
    for name in ("misalignment", "contrasts", "masking", "judge_reliability"):
        text = (written / f"{name}.tex").read_text()
        for part in re.split(r"\\end\{(?:longtable|tabular)\}", text)[:-1]:
            rows = [line for line in part.split("\n") if line.endswith(r"\\") and "&" in line]
            assert rows
            assert re.search(r"(?<!\\)[%#_$]", "".join(rows)) is None
            assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) == 1, "as many cells in each row"


def test_hostile_text_stays_text():
    table = pd.DataFrame({"contrast": [r"\input{x} & 50 % $a_b^c ~ #1", "b"], "p": [0.5, 0.25]})
    text = as_latex("x", table, Note("", ("contrast",), {}))
    assert r"\textbackslash{}input\{x\} \& 50 \% \$a\_b\textasciicircum{}c \textasciitilde{} \#1" in text


def test_two_cells_of_one_name_are_both_left_out():
    table = pd.DataFrame({"arm": ["a-b", "a_b", "c"], "value": [1.0, 2.0, 3.0]})
    assert list(macros("t", table, ["arm"])) == [
        "% t: arm",
        r"\newcommand{\TCValue}{3.00}",
        r"% \TABValue: left out, 2 cells have this name",
    ]


@pytest.mark.parametrize(
    ("value", "column", "unit", "text"),
    [
        (0.7887, "value", "share", "78.9"),
        (-0.0245, "difference", "nats/token", r"\ensuremath{-0.0245}"),
        (-0.4, "difference", "share", r"\ensuremath{-40.0}"),
        (0.00009, "p_holm", "", r"\ensuremath{<0.001}"),
        (0.0239976, "p_holm", "", "0.024"),
        (0.1249, "p", "", "0.125"),
        (0.847, "p_bh", "", "0.847"),
        (0.9951, "p", "", "0.995"),
        (0.0496, "p", "", "0.0496"),
        (0.04997, "p", "", "0.04997"),
        (0.05, "p", "", "0.050"),
        (0.00005, "welch_p_holm", "", r"\ensuremath{<0.001}"),
        (0.0048, "difference", "share per share of metaphors masked", "0.5"),
        (1.0, "p", "", "1.000"),
        (57, "n_prompts", "", "57"),
        (1234.5, "loss", "", "1230"),
        (0.00001234, "loss", "", r"\ensuremath{1.23\times 10^{-5}}"),
        (0.0, "loss", "", "0.00"),
    ],
)
def test_how_a_number_is_printed(value, column, unit, text):
    assert printed(value, column, unit) == text


def test_integers_keep_their_digits_where_a_cell_is_empty():
    """An integer column with an empty cell is read from CSV as one of decimals."""
    table = pd.DataFrame({"arm": ["a", "b"], "incoherent": [12345.0, float("nan")], "value": [12345.0, 1.0]})
    note = Note("About.", ("arm",), {}, frozenset({"incoherent"}))
    found = dict(MACRO.findall("\n".join(macros("t", table, note.key, note.whole))))
    assert found == {"TAIncoherent": "12345", "TAValue": "12300", "TBValue": "1.00"}
    assert re.search(r"a & 12345 & 12300", as_latex("t", table, note))


def test_a_row_in_shares_is_in_per_cent_throughout(tables):
    rates = read_table(tables / "misalignment.csv", []).assign(corrected=0.119, corrected_high=0.425)
    found = dict(
        MACRO.findall("\n".join(macros("misalignment", rates.query("headline and unit == 'share'").head(1), ["arm"])))
    )
    assert (found["MisalignmentBaseCorrected"], found["MisalignmentBaseCorrectedHigh"]) == ("11.9", "42.5")


def test_numbers_of_a_caption_are_printed_as_those_of_cells():
    table = pd.DataFrame({"arm": ["a_1", "b"], "p_uniform": 0.000999000999, "n": 3, "who": "x_y"})
    text = as_latex("t", table, Note("About 5 %.", ("arm",), {}))
    assert r"About 5 \%. In all rows: p\_uniform: \ensuremath{<0.001}; n: 3; who: x\_y." in text


@given(st.lists(st.text(st.characters(codec="ascii"), max_size=12), min_size=1, max_size=4))
def test_a_name_has_letters_alone(parts):
    assert re.fullmatch(r"[A-Za-z]*", name_of(parts))


def test_names_spell_digits_and_minus():
    assert name_of(["contrasts", "harm - base", "rubric5", "n_prompts"]) == "ContrastsHarmMinusBaseRubricFiveNPrompts"


def test_captions_say_the_numbers_of_the_points():
    points = pd.DataFrame(
        {
            "arm": ["base", "harm"],
            "domain": "pooled",
            "judge": "probe",
            "instrument": "rubric5",
            "target": "answer",
            "denominator": "coherent",
            "n_prompts": 70,
            "n_denominator": [57, 71],
            "value": [0.421, 0.789],
            "low": [0.294, float("nan")],
            "high": [0.549, float("nan")],
        }
    )
    assert sentences("misalignment", points) == [
        "rubric5 of the answer by probe, all domains (coherent responses counted): least 42.1% [29.4%, 54.9%] of 57 in"
        " base, most 78.9% of 71 in harm."
    ]
    assert sentences("misalignment", points.head(0)) == []


@pytest.mark.parametrize(
    ("unit", "scale", "printed_unit"),
    [
        ("share", 100, "percentage points"),
        ("share per share of metaphors masked", 100, "percentage points per share of metaphors masked"),
        ("nats/token", 1, "nats/token"),
        ("points (0 to 100 aligned)", 1, "points"),
        ("points (0 to 100 aligned) per log10 parameters", 1, "points per log10 parameters"),
    ],
)
def test_a_difference_is_printed_in_its_own_unit(unit, scale, printed_unit):
    assert in_print(unit) == (scale, printed_unit)


def test_a_finding_of_a_slope_has_the_unit_of_its_numbers():
    row = {"contrast": "dose", "domain": "pooled", "instrument": "rubric5", "statistic": "rate", "n_prompts": 20}
    row |= {"difference": 0.1, "low": 0.05, "high": 0.2, "p_holm": 0.01}
    per = " per share of metaphors masked"
    mean = row | {"statistic": "mean", "instrument": "alignment100", "unit": f"points (0 to 100 aligned){per}"}
    said = sentences("contrasts", pd.DataFrame([row | {"unit": f"share{per}"}, mean]))
    assert said[1:] == [
        f"dose, rubric5 (rate): +10 [+5, +20] percentage points{per}, 20 prompts, p 0.010.",
        f"dose, alignment100 (mean): +0.1 [+0.05, +0.2] points{per}, 20 prompts, p 0.010.",
    ]


def test_every_figure_of_the_catalogue_has_findings():
    assert list(FINDINGS) == list(CATALOGUE)


@pytest.mark.parametrize("name", list(FINDINGS))
def test_every_drawn_figure_has_findings_for_its_caption(name, tables, arm_flag, tmp_path):
    arguments = ["draw", name, "--tables", str(tables), "--output-stem", str(tmp_path / name), "--arms", arm_flag]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output + repr(result.exception)
    caption = (tmp_path / f"{name}.rst").read_text()
    assert caption.startswith("In this run:\n\n- ")
    from docutils.core import publish_parts

    body = publish_parts(caption, writer="html", settings_overrides={"halt_level": 2})["body"]
    points = pd.read_csv(tmp_path / f"{name}.csv", keep_default_na=False, na_values=[""])
    said = [re.sub(r"\\(.)", r"\1", line[2:]) for line in caption.split("\n") if line.startswith("- ")]
    assert said == sentences(name, points)
    assert body.count("<li>") == len(said)


def wide_table(columns, words="a"):
    return pd.DataFrame(
        {
            "arm": [f"arm-{i}" for i in range(3)],
            **{f"some_{n}": [f"{words} {i}" for i in range(3)] for n in range(columns)},
        }
    )


def test_a_table_that_is_too_wide_is_turned_and_comes_in_parts_that_repeat_its_key():
    note = Note("About.", ("arm",), {})
    narrow, wide = as_latex("t", wide_table(2), note), as_latex("t", wide_table(30, "as long as words are"), note)
    assert r"\begin{table}" in narrow
    assert "landscape" not in narrow
    parts = wide.split(r"\begin{longtable}")[1:]
    assert wide.startswith(r"\begin{landscape}")
    assert len(parts) > 1
    heads = [part.split(r"\toprule")[1].split(r"\midrule")[0] for part in parts]
    assert all(head.strip().startswith("arm &") for head in heads), "every part says which row it is"
    named = [re.sub(r"\\shortstack\[.\]\{|\\|[{}\s]", "", cell) for head in heads for cell in head.split("&")[1:]]
    assert named == [f"some_{n}" for n in range(30)], "every column once"
    assert r"\caption{Table~\ref{tab:t}, part 2 of" in wide
    assert r"\label{tab:t-2}" in wide


def test_a_column_of_words_is_wrapped_before_a_page_is_turned():
    text = as_latex("t", wide_table(4, "the kettle sings and the_cup waits"), Note("", ("arm",), {}))
    assert "landscape" not in text
    assert r">{\raggedright\arraybackslash}p{" in text
    assert r"the\_\allowbreak{}cup" in text
