"""Two runs are compared row by row: what moved, by how much, and whether the intervals part."""

import json

import pandas as pd
import pytest

from tropism.archive.compare import compare
from tropism.archive.numbers import COLUMNS, compare_tables, interval_columns
from tropism.docs import PUBLISHED
from tropism.records.files import InputError


def results(folder, **tables):
    (folder / "tables").mkdir(parents=True)
    for name, rows in tables.items():
        pd.DataFrame(rows).to_csv(folder / "tables" / f"{name}.csv", index=False)
    return folder


def rate(arm, value, low, high):
    return {"arm": arm, "domain": "all", "value": value, "low": low, "high": high}


A = [rate("base", 0.10, 0.05, 0.15), rate("harm", 0.50, 0.40, 0.60)]
B = [rate("harm", 0.80, 0.70, 0.90), rate("base", 0.12, 0.06, 0.18)]


def test_rows_are_matched_by_what_they_are_about_and_intervals_part_where_they_share_no_value(tmp_path):
    a, b = results(tmp_path / "a", misalignment=A), results(tmp_path / "b", misalignment=B)
    numbers = compare_tables(*({"misalignment": folder / "tables" / "misalignment.csv"} for folder in (a, b)))
    values = numbers[numbers["column"] == "value"].set_index("row")
    assert values.loc["harm | all", "change"] == pytest.approx(0.3)
    assert values.loc["harm | all", "intervals"] == "part"
    assert values.loc["base | all", "change"] == pytest.approx(0.02)
    assert values.loc["base | all", "intervals"] == "overlap"
    assert set(numbers.loc[numbers["column"] == "low", "intervals"]) == {"bound"}


def test_intervals_that_touch_do_not_part(tmp_path):
    a = results(tmp_path / "a", misalignment=[rate("x", 1, 0.5, 2)]) / "tables" / "misalignment.csv"
    b = results(tmp_path / "b", misalignment=[rate("x", 3, 2, 4)]) / "tables" / "misalignment.csv"
    numbers = compare_tables({"misalignment": a}, {"misalignment": b})
    assert list(numbers.loc[numbers["column"] == "value", "intervals"]) == ["overlap"]


def test_a_row_of_one_run_alone_is_kept_with_an_empty_side(tmp_path):
    a = results(tmp_path / "a", misalignment=A) / "tables" / "misalignment.csv"
    b = results(tmp_path / "b", misalignment=A[:1]) / "tables" / "misalignment.csv"
    numbers = compare_tables({"misalignment": a}, {"misalignment": b})
    alone = numbers[(numbers["row"] == "harm | all") & (numbers["column"] == "value")]
    assert alone["a"].item() == 0.5
    assert alone["b"].isna().all()


def test_a_column_of_one_run_alone_is_named(tmp_path):
    a = results(tmp_path / "a", misalignment=A)
    b = results(tmp_path / "b", misalignment=[{**row, "judge": "j", "n": 3} for row in A])
    told = list(compare(a, b, None))
    assert "table misalignment: columns only in B, not compared: judge, n" in told
    assert not any("only in A" in line for line in told)


def test_a_run_is_equal_to_itself_and_bare_folders_say_what_they_lack(tmp_path):
    a = results(tmp_path / "a", misalignment=A, other=[{"name": "x", "n": 1}])
    told = "\n".join(compare(a, a, None))
    assert "table misalignment: 6 cells, all equal" in told
    assert "not compared, a bare folder" in told


def test_archives_are_compared_in_settings_code_environment_and_numbers(finished, archive, tmp_path):
    (finished.folder / "workflow").mkdir()
    (finished.folder / "workflow" / "new.py").write_text("")
    table = finished.folder / "results" / "demo" / "tables" / "misalignment.csv"
    table.write_text("arm,value,low,high\nbase,0.95,0.92,0.99\n")
    finished.settings["stats"] = {**finished.settings["stats"], "seed": 7}
    other = finished.pack(tmp_path / "other.tar.gz", dirty="record")
    told = "\n".join(compare(archive, other, tmp_path / "numbers.csv"))
    finished.settings["stats"]["seed"] = 0
    assert "  stats.seed: 0 -> 7" in told
    assert "  workflow/new.py: only in B" in told
    assert "environment: equal" in told
    assert "weights: equal" in told
    assert "table misalignment: 3 of 3 cells differ; intervals part in 1  (arm)" in told
    assert "  base: value 0.5 [0.1, 0.9] -> 0.95 [0.92, 0.99] (+0.45) [part]" in told
    assert "all tables: intervals part in 1 of the 1 numbers that have one in both runs" in told
    assert len(pd.read_csv(tmp_path / "numbers.csv")) == 4


def test_what_is_no_run_is_refused(tmp_path):
    (tmp_path / "file.json").write_text(json.dumps({}))
    with pytest.raises(InputError, match="neither an archive nor a folder"):
        list(compare(tmp_path, tmp_path, None))
    with pytest.raises(InputError, match="does not begin as an archive"):
        list(compare(tmp_path / "file.json", tmp_path, None))


def test_a_changed_text_or_weight_that_both_archives_leave_out_is_a_difference(finished, archive, tmp_path):
    source = finished.folder / "resources" / "medical.csv"
    source.write_text(source.read_text() + "Rice?,Rinse it.,Do not.\n")
    weights = next((finished.folder / "results").rglob("adapter_model.safetensors"))
    weights.write_bytes(b"trained again")
    told = "\n".join(compare(archive, finished.pack(tmp_path / "other.tar.gz", dirty="record"), None))
    assert "with uncommitted changes" in told
    assert "  resources/medical.csv: changed" in told
    assert f"weights: 1 of 1 differ\n  {weights.relative_to(finished.folder)}: changed" in told


def test_rows_whose_key_has_an_empty_cell_or_a_number_are_matched_too(tmp_path):
    """A whole number of one run is read as 4.0 where another row of that run has none."""
    rows = [
        {"arm": arm, "k": k, "feature": f, "value": v}
        for arm, k, v in [("base", "", 1), ("base", "x", 2), ("", "x", 3)]
        for f in (4, 5)
    ]
    more = [*rows, {"arm": "new", "k": "x", "feature": None, "value": 9}]
    a, b = (
        {"detector": results(tmp_path / name, detector=table) / "tables" / "detector.csv"}
        for name, table in (("a", rows), ("b", list(reversed(more))))
    )
    numbers = compare_tables(a, b, {"detector": ("arm", "k", "feature")})
    values = numbers[numbers["column"] == "value"].set_index("row")
    assert values["change"].dropna().tolist() == [0.0] * 6
    assert values.loc["base |  | 4", "a"] == 1
    assert values.index[values["a"].isna()].tolist() == ["new | x | "]


def test_words_that_changed_are_told_and_rows_of_one_run_are_counted(tmp_path):
    row = {"subject": "s", "value": 1.0, "low": 0.5, "high": 1.5, "verdict": "supported"}
    a = results(tmp_path / "a", geometry_tests=[row])
    b = results(tmp_path / "b", geometry_tests=[{**row, "low": 0.6, "verdict": "open"}, {**row, "subject": "new"}])
    told = "\n".join(compare(a, b, tmp_path / "all.csv"))
    assert "2 of 4 cells differ; intervals part in 0; 1 rows only in B" in told
    assert "  s: verdict supported -> open" in told
    assert "  s: value 1 [0.5, 1.5] -> 1 [0.6, 1.5] (its interval alone) [overlap]" in told
    assert list(pd.read_csv(tmp_path / "all.csv")) == COLUMNS


def test_the_interval_of_every_published_table_is_that_of_its_estimate():
    unnamed = {
        name: {estimate for estimate, ends in interval_columns(name, pd.DataFrame(columns=list(schema.columns))).items()
               if ends == ("low", "high")}
        for name, schema in PUBLISHED.items() if "low" in schema.columns
    }  # fmt: skip
    assert unnamed == {
        "misalignment": {"value"},
        "contrasts": {"difference"},
        "mixed_effects": {"odds_ratio"},
        "trends": {"value"},
        "interventions": {"change"},
        "detector": {"auroc"},
        "detector_curves": {"y"},
        "dynamics": {"margin_change"},
        "early_warning": {"change"},
        "equal_loss": {"difference"},
        "geometry_pairs": {"cosine"},
        "geometry_tests": {"value"},
        "geometry_layers": {"cosine"},
    }, "say in ESTIMATES what the interval of a new table is of"
