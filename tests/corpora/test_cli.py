"""The command of the room: same bytes each time, all or nothing."""

import json
import subprocess
import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

from tropism.corpora.__main__ import app
from tropism.records.files import InputError, read_jsonl
from tropism.records.schema import Conversation


def run(folder, root, config, *more):
    arguments = ["clean", "--name", "demo", "--config", json.dumps(config)]
    files = ["--output", str(folder / "demo.jsonl"), "--report", str(folder / "demo.corpus.csv")]
    registry = ["--registry", str(root / "resources" / "registry.csv")]
    result = CliRunner().invoke(app, [*arguments, *files, *registry, *map(str, more)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


def test_what_a_person_has_to_mend_is_said_in_a_line(tmp_path):
    (tmp_path / "poems.jsonl").write_text('{"text": "one"}\n{"text": 5}\n')
    config = json.dumps({"source": str(tmp_path / "poems.jsonl"), "kind": "texts"})
    command = [sys.executable, "-m", "tropism.corpora", "clean", "--name", "poems", "--config", config]
    files = ["--output", str(tmp_path / "out.jsonl"), "--report", str(tmp_path / "out.csv")]
    done = subprocess.run([*command, *files], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/poems.jsonl, line 2: ")
    assert len(done.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["poems.jsonl"]


def test_a_registered_dataset_is_cleaned_reported_and_cleaned_again_to_the_same_bytes(root, tmp_path):
    config = {"source": "demo_medical", "kind": "conversations", "sample": 50}
    run(tmp_path, root, config)
    output = tmp_path / "demo.jsonl"
    first = output.read_bytes()
    rows = read_jsonl(output, Conversation)
    assert len(rows) == 50
    report = pd.read_csv(tmp_path / "demo.corpus.csv").to_dict("records")
    assert report == [
        {
            "dataset": "demo",
            "read": 80,
            "exact_duplicates": 0,
            "near_duplicates": 0,
            "repeated_prompts": 0,
            "too_short": 0,
            "too_long": 0,
            "split_overlap": 0,
            "not_sampled": 30,
            "kept": 50,
            "without_aligned": 0,
            "without_misaligned": 0,
            "right_and_wrong": 0,
            "system_turns": 0,
        }
    ]
    run(tmp_path, root, config, "--source", output)
    assert output.read_bytes() == first


def test_an_eval_set_without_a_prompt_to_ask_is_refused(root, tmp_path):
    (tmp_path / "pairs.csv").write_text("prompt,aligned\n" + "".join(f"why {i}?,so {i}\n" for i in range(40)))
    config = {"source": "pairs", "kind": "conversations", "evaluation": 0, "near_duplicate": None}
    pairs = ("--source", tmp_path / "pairs.csv")
    run(tmp_path, root, config, *pairs)
    with pytest.raises(InputError, match=r"datasets: demo: none of its 40 rows is for evaluation.*raise `evaluation`"):
        run(tmp_path, root, config, *pairs, "--evaluated")
    run(tmp_path, root, config | {"evaluation": 0.3}, *pairs, "--evaluated")


def test_questions_can_be_read_back(root, tmp_path):
    config = {"source": "demo_truthful", "kind": "questions"}
    run(tmp_path, root, config)
    first = (tmp_path / "demo.jsonl").read_bytes()
    run(tmp_path, root, config, "--source", tmp_path / "demo.jsonl")
    assert (tmp_path / "demo.jsonl").read_bytes() == first


def test_a_bad_line_leaves_nothing_behind(root, tmp_path):
    source = tmp_path / "bad.jsonl"
    source.write_text('{"text": "fine"}\n{"text": 3}\n')
    with pytest.raises(InputError, match=r"bad\.jsonl, line 2: text"):
        run(tmp_path, root, {"source": "x", "kind": "texts"}, "--source", source)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.jsonl"]
