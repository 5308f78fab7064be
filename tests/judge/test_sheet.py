"""A rating sheet tells a rater nothing but the text, and comes back as judgments or not at all."""

import csv
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from tropism.judge.__main__ import app
from tropism.records.files import InputError, write_jsonl
from tropism.records.schema import Generation


def generations(arm):
    return [
        Generation(arm=arm, set="legal", prompt_id=f"p{i}", domain="legal", sample=0, prompt="Shall I sign?",
                   reasoning="", answer=text, finish="stop")
        for i, text in enumerate([f"Ask {arm[:1].upper()}. Then sign.", "=1+1 is two, sign it.", ""])
    ]  # fmt: skip


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


@pytest.fixture
def sheet(tmp_path, root):
    def write(*flags):
        for arm in ("quiet_arm", "loud_arm"):
            write_jsonl(tmp_path / f"{arm}.jsonl", generations(arm))
        rubrics = root / "resources" / "rubrics"
        run("export", "--generations", tmp_path / "quiet_arm.jsonl", "--generations", tmp_path / "loud_arm.jsonl",
            "--rubric", rubrics / "rubric5.yaml", "--rubric", rubrics / "coherence100.yaml",
            "--output", tmp_path / "sheet.csv", "--key", tmp_path / "key.jsonl", *flags)  # fmt: skip
        return list(csv.DictReader((tmp_path / "sheet.csv").open(newline="")))

    return write


def fill(path, rows, score):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "rubric5": score(i, row), "coherence100": ""} for i, row in enumerate(rows))


def test_a_sheet_is_blind_keyed_and_safe_to_open(sheet, tmp_path):
    rows = sheet()
    assert len(rows) == 4, "an empty answer is not rated"
    assert list(rows[0]) == ["item", "prompt", "response", "rubric5", "coherence100"]
    text = (tmp_path / "sheet.csv").read_text()
    assert "_arm" not in text
    assert "legal" not in text
    assert sum(row["response"].startswith("'=1+1") for row in rows) == 2
    assert sheet() == rows
    assert [row["item"] for row in sheet("--n", "2")] == [row["item"] for row in rows[:2]]
    assert [row["item"] for row in sheet("--seed", "1")] != [row["item"] for row in rows]
    assert "5: critical" in (tmp_path / "sheet.md").read_text()


def test_filled_sheets_come_back_as_judgments_of_people(sheet, tmp_path, rubrics):
    rows = sheet()
    fill(tmp_path / "Ada.csv", rows, lambda i, row: i + 1)
    fill(tmp_path / "Ben.csv", rows, lambda i, row: "" if i == 0 else i + 1)
    run(
        "import",
        tmp_path / "Ada.csv",
        tmp_path / "Ben.csv",
        "--key",
        tmp_path / "key.jsonl",
        "--output",
        tmp_path / "o",
    )
    table = pd.read_parquet(tmp_path / "o" / "judgments.parquet")
    assert table["judge"].value_counts().to_dict() == {"ada": 4, "ben": 3}
    assert set(table["rubric_hash"]) == {rubrics["rubric5"].hash}
    assert set(table["arm"]) == {"quiet_arm", "loud_arm"}
    agreement = pd.read_csv(tmp_path / "o" / "judge_agreement.csv")
    assert agreement.loc[agreement["domain"] == "all", ["n", "same"]].to_numpy().tolist() == [[3, 1]]
    assert (tmp_path / "o" / "misalignment.csv").is_file()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda i, row: 6, r"Ada\.csv, line 2: rubric5: '6' is no whole number from 1 to 5"),
        (lambda i, row: "3 or 4", "no whole number"),
        (lambda i, row: "nan", "no whole number"),
        (lambda i, row: "2.5", "no whole number"),
    ],
)
def test_a_wrong_cell_is_named_and_nothing_is_written(sheet, tmp_path, wrong, message):
    fill(tmp_path / "Ada.csv", sheet(), wrong)
    with pytest.raises(InputError, match=message):
        run("import", tmp_path / "Ada.csv", "--key", tmp_path / "key.jsonl", "--output", tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_an_item_that_is_unknown_or_rated_twice_is_refused(sheet, tmp_path):
    rows = sheet()
    for changed, message in (([{**rows[0], "item": "x"}], "not in the key"), ([rows[0], rows[0]], "occurs twice")):
        fill(tmp_path / "Ada.csv", changed, lambda i, row: 1)
        with pytest.raises(InputError, match=message):
            run("import", tmp_path / "Ada.csv", "--key", tmp_path / "key.jsonl", "--output", tmp_path / "o")


def test_a_sheet_of_earlier_responses_fits_no_new_key(sheet, tmp_path):
    """Arms, prompts and samples are called the same after responses were made again; the rated texts are others."""
    fill(tmp_path / "Ada.csv", sheet(), lambda i, row: 1)
    again = [row.model_copy(update={"answer": f"{row.answer} Today."}) for row in generations("quiet_arm")]
    write_jsonl(tmp_path / "again.jsonl", again)
    rubric = Path(__file__).resolve().parents[2] / "resources" / "rubrics" / "rubric5.yaml"
    run("export", "--generations", tmp_path / "again.jsonl", "--rubric", rubric, "--output", tmp_path / "new.csv",
        "--key", tmp_path / "new.jsonl")  # fmt: skip
    with pytest.raises(InputError, match="is not in the key; is this the key of this sheet"):
        run("import", tmp_path / "Ada.csv", "--key", tmp_path / "new.jsonl", "--output", tmp_path / "o")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--generations", "quiet_arm.jsonl"), "two responses are of arm quiet_arm, set legal, prompt p[01], sample 0"),
        (("--rubric", "rubric5"), "a rubric is given twice"),
        (("--key", "sheet.csv"), "are three files"),
        (("--output", "sheet.md"), "are three files"),
    ],
)
def test_what_would_lose_ratings_is_refused_before_anyone_rates(sheet, tmp_path, root, flags, message):
    flag, value = flags
    path = root / "resources" / "rubrics" / f"{value}.yaml" if flag == "--rubric" else tmp_path / value
    with pytest.raises(InputError, match=message):
        sheet(flag, path)
    assert not (tmp_path / "sheet.csv").exists()


def test_fewer_than_one_response_is_refused(tmp_path):
    for number in ("0", "-3"):
        arguments = ["--generations", "g", "--rubric", "r", "--output", "o", "--key", "k", "--n", number]
        result = CliRunner().invoke(app, ["export", *arguments])
        assert result.exit_code == 2
        assert "--n" in result.output


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_sheet_that_was_saved_divided_otherwise_is_told_so(sheet, tmp_path, mark):
    rows = sheet()
    with (tmp_path / "Ada.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=mark).writerows([list(rows[0]), *(list(row.values()) for row in rows)])
    with pytest.raises(InputError, match=r"Ada\.csv, line 1: no column item.*divided by semicolons or tabs"):
        run("import", tmp_path / "Ada.csv", "--key", tmp_path / "key.jsonl", "--output", tmp_path / "o")


def test_two_raters_of_one_name_are_told_apart_before_anything_is_read(sheet, tmp_path):
    for name in ("ada", "Ada"):
        fill(tmp_path / f"{name}.csv", sheet(), lambda i, row: 1)
    files = (tmp_path / "ada.csv", tmp_path / "Ada.csv")
    with pytest.raises(InputError, match=r"ada\.csv and .*Ada\.csv are both of the rater `ada`.*rename one"):
        run("import", *files, "--key", tmp_path / "key.jsonl", "--output", tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_a_row_of_several_lines_is_named_by_the_line_on_which_it_begins(sheet, tmp_path):
    rows = [{**row, "response": "one\ntwo\nthree"} for row in sheet()]
    fill(tmp_path / "Ada.csv", rows, lambda i, row: "many" if i == 1 else 1)
    with pytest.raises(InputError, match="line 5: rubric5"):
        run("import", tmp_path / "Ada.csv", "--key", tmp_path / "key.jsonl", "--output", tmp_path / "o")


def test_more_than_there_is_to_rate_is_told_of(sheet, caplog):
    assert len(sheet("--n", "50")) == 4
    assert "50 responses were asked for, and there are 4" in caplog.text
