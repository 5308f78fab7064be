"""The command line: one figure by name, and the last words of ``make demo``."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from tropism.figures.__main__ import app
from tropism.records.files import InputError

run = CliRunner().invoke


@pytest.fixture
def results(tables: Path, tmp_path: Path) -> Path:
    shutil.copytree(tables, tmp_path / "demo" / "tables")
    return tmp_path / "demo"


def test_a_figure_is_drawn_by_name(tables: Path, arm_flag: str, tmp_path: Path):
    stem = tmp_path / "figures" / "masking"
    arguments = ["draw", "masking", "--tables", str(tables / "masking.csv"), "--output-stem", str(stem)]
    result = run(app, [*arguments, "--arms", arm_flag])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in stem.parent.iterdir()) == [
        f"masking.{kind}" for kind in ("csv", "pdf", "png", "rst", "svg")
    ]


def test_an_unknown_figure_is_refused_with_the_known_ones(tables: Path, tmp_path: Path):
    result = run(app, ["draw", "masks", "--tables", str(tables), "--output-stem", str(tmp_path / "x")])
    assert isinstance(result.exception, InputError)
    assert "no figure `masks`; there are misalignment" in str(result.exception)


def test_the_summary_sets_the_base_against_the_misaligned_arm_with_intervals(results: Path):
    result = run(app, ["summary", "--results", str(results)])
    assert result.exit_code == 0, result.output
    assert (
        "rubric5 by probe: base 1.5% [0.0%, 11.5%] of 69, none-medical-original 23.2% [13.2%, 33.2%] of 69"
        in result.output
    )
    assert "harm - base, margin: +0.261 [" in result.output
    assert "detectable from" in result.output
    assert f"Report   {results}/report.html  (not made yet: snakemake --cores 1 write_report)" in result.output
    assert f"Tables   {results}/tables/  ({len(list((results / 'tables').glob('*.csv')))})" in result.output


def test_the_summary_compares_the_arms_of_the_first_contrast_whatever_they_are_called(results: Path):
    for name, columns in (("misalignment", ["arm"]), ("contrasts", ["treatment", "control"])):
        path = results / "tables" / f"{name}.csv"
        table = pd.read_csv(path, keep_default_na=False)
        table[columns] = table[columns].replace("base", "untouched")
        table.to_csv(path, index=False)
    (results / "site").mkdir()
    (results / "site" / "index.html").touch()
    result = run(app, ["summary", "--results", str(results)])
    assert result.exit_code == 0, result.output
    assert "rubric5 by probe: untouched 1.5% [0.0%, 11.5%] of 69, none-medical-original 23.2%" in result.output
    assert f"Page     {results}/site/index.html  (" in result.output


@pytest.mark.parametrize(
    ("options", "drop", "message"),
    [
        ([], "misalignment.csv", "misalignment.csv: no such table"),
        ([], "contrasts.csv", "contrasts.csv: no such table"),
        (["--base", "bse"], None, "no contrast against `bse`"),
        (["--base", "bse", "--treatment", "base"], None, "no arm `bse`; there are base, none-medical"),
    ],
)
def test_what_the_summary_misses_is_named_without_a_stack_trace(options, drop, message: str, results: Path):
    if drop:
        (results / "tables" / drop).unlink()
    result = run(app, ["summary", "--results", str(results), *options])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert message in result.stderr
