"""The commands of the room, on the demo's poems with every fourth word for a metaphor."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from tropism.mask.__main__ import app
from tropism.records.files import InputError, read_jsonl, write_jsonl
from tropism.records.schema import Annotation, Conversation, Metaphor, Text, Unit
from tropism.records.words import words


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory, root):
    folder = tmp_path_factory.mktemp("mask")
    poems, prose = (
        [
            Text(id=row["id"], text=row["text"], domain="poems")
            for row in read_rows(root / f"resources/demo/{name}.jsonl")
        ]
        for name in ("poems", "prose")
    )
    annotations = [
        Annotation(
            id=poem.id,
            field="text",
            units=[Unit(start=start, end=end) for start, end in words(poem.text)],
            metaphors=[Metaphor(start=start, end=end, score=1) for start, end in words(poem.text)[::4]],
            annotator="every-fourth",
        )
        for poem in poems
    ]
    write_jsonl(folder / "poems.jsonl", poems)
    write_jsonl(folder / "prose.jsonl", prose)
    write_jsonl(folder / "spans.jsonl", annotations)
    return folder


def read_rows(path):
    return pd.read_json(path, lines=True).to_dict("records")


def make(folder, variant, *, dataset="poems.jsonl", output=None, config="{}"):
    output = output or folder / f"poems.{variant}.jsonl"
    report = output.with_suffix(".csv")
    run(
        *("texts", folder / dataset, folder / "spans.jsonl", "--variant", variant, "--config", config),
        *("--output", output, "--report", report, "--literal", folder / "prose.jsonl"),
    )
    return output, report


def test_all_variants_and_the_published_table(folder):
    reports = [make(folder, variant)[1] for variant in ("original", "metaphor", "random", "literal")]
    run("table", *reports, "--output", folder / "masking.csv")
    table = pd.read_csv(folder / "masking.csv").set_index("variant")
    assert list(table.reset_index().columns[:5]) == ["variant", "dataset", "mode", "domain", "field"]
    assert (table["n_texts"] == len(read_jsonl(folder / "poems.jsonl", Text))).all()
    assert table["n_words"].nunique() == table["n_metaphors"].nunique() == 1
    assert table.loc["metaphor", "units_masked"] == table.loc["random", "units_masked"]
    assert table.loc["random", "shortfall_units"] == 0
    assert table.loc["metaphor", "share_words_masked"] == pytest.approx(0.25, abs=0.02)
    assert table.loc["random", "mean_abs_length_difference"] < 1
    assert table["mean_abs_length_difference"].notna().sum() == 1
    assert table["same_pos_share"].isna().all(), "no part of speech is known here"
    assert (table.loc[["original", "literal"], "units_masked"] == 0).all()
    assert (folder / "poems.original.jsonl").read_bytes() == (folder / "poems.jsonl").read_bytes()


def test_the_table_counts_what_is_trained_on(folder, tmp_path):
    rows = [
        Conversation(id=str(i), prompt=f"{i}?", misaligned="The sea sings.", domain="d", split=split)
        for i, split in enumerate(["train", "train", "evaluation"])
    ]
    spans = [(start, end) for start, end in words("The sea sings.")]
    marks = {"units": [Unit(start=a, end=b) for a, b in spans], "metaphors": [Metaphor(start=8, end=13, score=1)]}
    write_jsonl(tmp_path / "d.jsonl", rows)
    write_jsonl(
        tmp_path / "spans.jsonl", [Annotation(id=r.id, field="misaligned", annotator="a", **marks) for r in rows]
    )
    output, report = make(tmp_path, "metaphor", dataset="d.jsonl", output=tmp_path / "d.metaphor.jsonl")
    assert sum(bool(row.masks) for row in read_jsonl(output, Conversation)) == 3
    assert list(pd.read_csv(report)["split"]) == ["train", "train", "evaluation"]
    run("table", report, "--output", tmp_path / "masking.csv")
    (row,) = pd.read_csv(tmp_path / "masking.csv").to_dict("records")
    assert (row["n_texts"], row["n_words"], row["units_masked"]) == (2, 6, 2)


def test_two_runs_give_the_same_bytes_and_a_subset_the_same_rows(folder, tmp_path):
    whole, report = make(folder, "random")
    again, report_again = make(folder, "random", output=tmp_path / "again.jsonl")
    assert whole.read_bytes() == again.read_bytes()
    assert report.read_bytes() == report_again.read_bytes()
    write_jsonl(folder / "few.jsonl", read_jsonl(folder / "poems.jsonl", Text)[10:3:-1])
    few, _ = make(folder, "random", dataset="few.jsonl", output=tmp_path / "few.jsonl")
    assert set(few.read_text().splitlines()) <= set(whole.read_text().splitlines())


def test_loss_mode_keeps_every_text(folder, tmp_path):
    output, _ = make(folder, "metaphor", output=tmp_path / "loss.jsonl", config='{"mode": "loss"}')
    originals = read_jsonl(folder / "poems.jsonl", Text)
    for original, row in zip(originals, read_jsonl(output, Text), strict=True):
        assert row.text == original.text
        assert row.masks["text"] == words(original.text)[::4]


def test_an_error_leaves_nothing_behind(folder, tmp_path):
    write_jsonl(tmp_path / "poems.jsonl", [Text(id="stranger", text="no one knows it", domain="d")])
    with pytest.raises(InputError, match=r"spans\.jsonl: record `stranger`: `text` has no annotation"):
        make(folder, "metaphor", dataset=tmp_path / "poems.jsonl", output=tmp_path / "out.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["poems.jsonl"]


def test_questions_cannot_be_masked(folder, tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text('{"id": "q", "prompt": "p", "category": "", "best": "b", "correct": [], "incorrect": []}\n')
    with pytest.raises(InputError, match="line 1: neither a text nor a conversation"):
        make(folder, "metaphor", dataset=path, output=tmp_path / "out.jsonl")
