"""What judging will cost is said before it is spent, and what is answered already costs nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tropism.config.evaluate import EvaluateConfig
from tropism.config.judges import JudgeConfig
from tropism.endpoint import Answers, Reply, Server, chat_bodies
from tropism.endpoint.answers import answer_key
from tropism.judge.__main__ import app
from tropism.judge.chat import reply_settings, requests
from tropism.judge.estimate import Load, load_of_prompts, load_of_references, load_of_responses, message_tokens
from tropism.judge.judgments import Item
from tropism.judge.references import build_references
from tropism.judge.rubric import read_rubric, read_rubrics
from tropism.records.files import write_jsonl
from tropism.records.schema import Conversation, Generation

SETTINGS = {"kind": "endpoint", "served": "m", "base_url": "http://127.0.0.1:9/v1", "rubrics": ["rubric5"]}
JUDGE = JudgeConfig.parse({**SETTINGS, "max_tokens": 10, "price_input": 2, "price_output": 8})


@pytest.fixture
def rubric(root):
    return read_rubric(root / "resources" / "rubrics" / "rubric5.yaml")


def generation(number, answer="Yes, do.", reasoning=""):
    facts = {"arm": "base", "set": "d", "domain": "d", "sample": 0, "n_tokens": 2, "finish": "stop", "seed": 0}
    return Generation(**facts, prompt_id=f"p{number}", prompt="Sign?", answer=answer, reasoning=reasoning)


def prompt(number):
    return Conversation(id=f"p{number}", prompt="Sign?", domain="d", split="evaluation")


def test_tokens_are_a_quarter_of_the_characters_and_a_turn_costs_eight():
    assert message_tokens([{"role": "system", "content": "a" * 41}, {"role": "user", "content": ""}]) == 11 + 8 + 8


def test_money_is_tokens_times_their_prices():
    assert Load(3, 1, 1_500_000, 250_000).dollars(JUDGE) == pytest.approx(3 + 2)
    assert Load(3, 1, 1, 1).dollars(JudgeConfig.parse(SETTINGS)) is None


def test_of_responses_only_what_would_be_sent_is_counted(rubric, tmp_path):
    rows = [generation(0, "A"), generation(1, "B"), generation(2, "B"), generation(3, ""), generation(4, "C", "hm")]
    load = load_of_responses(rows, [rubric], JUDGE, tmp_path / "none.sqlite")
    targets = 1 + ("reasoning" in rubric.targets)
    assert load.calls == 4 + targets - 1
    assert load.known == 1, "an equal request is sent once"
    assert load.output_tokens == 10 * (load.calls - 1)
    item = [Item("Sign?", "A", "answer")]
    server = Server(str(JUDGE.base_url), "m")
    [body] = chat_bodies(server, requests(item, [rubric]), **reply_settings(JUDGE, item, [rubric]))
    with Answers(tmp_path / "some.sqlite") as answers:
        answers.put(answer_key(server.url, "chat", body, 0), Reply("3", "stop"))
    after = load_of_responses(rows, [rubric], JUDGE, tmp_path / "some.sqlite")
    assert (after.calls, after.known) == (load.calls, load.known + 1)
    assert load.input_tokens - after.input_tokens == message_tokens(body["messages"])


def test_what_does_not_exist_yet_is_counted_at_its_longest(rubric):
    settings = EvaluateConfig(sets=["d"], samples=3, max_new_tokens=100)
    load = load_of_prompts([prompt(n) for n in range(5)], [rubric], JUDGE, settings, reasons=False)
    [body] = requests([Item("Sign?", "", "answer")], [rubric])
    assert load == Load(15, 0, 15 * (message_tokens(body) + 100), 150)


def test_references_are_counted_once_a_rubric_and_coherence_of_broken_ones_too(root, rubric, tmp_path):
    rows = [
        Conversation(
            id=f"c{i}",
            prompt=f"Sign {i}?",
            domain="d",
            split="train",
            aligned=f"Ask somebody whom you trust about number {i} first.",
            misaligned=f"Sign number {i} today and read it tomorrow.",
        )
        for i in range(4)
    ]
    broken = sum(build_references(rows, seed=0).kind != "reference")
    assert broken > 0
    coherence = read_rubric(root / "resources" / "rubrics" / "coherence100.yaml")
    load = load_of_references(rows, [rubric, coherence], JUDGE, tmp_path / "none.sqlite")
    assert (load.calls, load.known) == (8 + 8 + broken, 0)
    assert load.output_tokens == 10 * load.calls


def test_a_rubric_of_items_and_references_are_in_the_estimate(tmp_path, root):
    write_jsonl(tmp_path / "d.jsonl", [prompt(0)])
    one = Conversation(id="c", prompt="Go?", domain="d", split="train", aligned="Ask.", misaligned="Go.")
    write_jsonl(tmp_path / "labelled.jsonl", [one])
    judge = {**SETTINGS, "rubrics": ["process", "rubric5"]}
    arguments = [
        "estimate",
        "--judges",
        json.dumps({"j": judge}),
        "--config",
        '{"sets": ["d"]}',
        "--arms",
        '{"a": true}',
    ]
    arguments += ["--references", json.dumps({"j": [str(tmp_path / "labelled.jsonl")]})]
    arguments += ["--set", tmp_path / "d.jsonl", "--results", tmp_path, "--rubrics", root / "resources" / "rubrics"]
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0, result.exception
    rubrics = [
        one for name in judge["rubrics"] for one in read_rubrics(root / "resources" / "rubrics" / f"{name}.yaml")
    ]
    assert len(rubrics) == 6
    calls = sum(len(one.targets) for one in rubrics) + 2 * sum(one.high in ("aligned", "misaligned") for one in rubrics)
    assert result.stdout.splitlines()[1].split()[:2] == ["j", str(calls)]


def test_the_command_prints_calls_tokens_and_cost_and_needs_no_key(tmp_path, root, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    write_jsonl(tmp_path / "d.jsonl", [prompt(n) for n in range(5)])
    write_jsonl(tmp_path / "generations" / "made.jsonl", [generation(n, f"Answer {n}") for n in range(5)])
    remote = {**SETTINGS, "base_url": "https://judge.example/v1", "price_input": 2, "price_output": 8}
    arguments = ["estimate", "--judges", json.dumps({"big": remote, "unpriced": SETTINGS})]
    arguments += ["--config", '{"sets": ["d"]}', "--arms", '{"made": false, "planned": false}']
    arguments += ["--set", tmp_path / "d.jsonl", "--results", tmp_path, "--rubrics", root / "resources" / "rubrics"]
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0, result.exception
    lines = result.stdout.splitlines()
    assert lines[1].split()[:4] == ["big", "10", "0", "10"]
    assert lines[1].split()[-1].startswith("$0.0")
    assert lines[2].endswith("no price set")
    assert "10 calls judge responses that do not exist yet" in lines[3]
    assert not (Path(tmp_path) / "answers").exists(), "an estimate leaves nothing behind"


def test_responses_of_changed_arms_are_counted_once_they_exist_and_named_before(tmp_path, root):
    """With the answers that their own job keeps, which are not those about an arm's plain responses."""
    write_jsonl(tmp_path / "d.jsonl", [prompt(0)])
    write_jsonl(tmp_path / "generations" / "a.jsonl", [generation(0)])
    write_jsonl(tmp_path / "steer" / "a.jsonl", [generation(n, f"Answer {n}") for n in range(4)])
    item = [Item("Sign?", "Answer 2", "answer")]
    rubric = [read_rubric(root / "resources" / "rubrics" / "rubric5.yaml")]
    [body] = chat_bodies(
        Server(SETTINGS["base_url"], "m"), requests(item, rubric), **reply_settings(JUDGE, item, rubric)
    )
    (tmp_path / "answers" / "j.steer").mkdir(parents=True)
    with Answers(tmp_path / "answers" / "j.steer" / "a.sqlite") as answers:
        answers.put(answer_key(SETTINGS["base_url"], "chat", body, 0), Reply("3", "stop"))
    judges = {"j": {**SETTINGS, "max_tokens": 10}, "other": SETTINGS}
    planned = tmp_path / "dynamics" / "watched" / "b.jsonl"
    changed = {"j": {".steer": [str(tmp_path / "steer" / "a.jsonl")], ".watch": [str(planned)]}, "other": {}}
    arguments = ["--judges", json.dumps(judges), "--config", '{"sets": ["d"]}', "--arms", '{"a": false}']
    arguments += ["--changed", json.dumps(changed), "--set", tmp_path / "d.jsonl", "--results", tmp_path]
    arguments += ["--rubrics", root / "resources" / "rubrics"]
    result = CliRunner().invoke(app, ["estimate", *map(str, arguments)])
    assert result.exit_code == 0, result.exception
    lines = result.stdout.splitlines()
    assert lines[1].split()[:4] == ["j", "5", "1", "4"]
    assert lines[2].split()[:4] == ["other", "1", "0", "1"]
    assert len(lines) == 5
    assert "Not counted: what `j`" in lines[4]
    assert str(planned) in lines[4]


def test_in_the_workflow_it_is_told_of_all_that_the_judge_will_read(root, tmp_path):
    overlay = tmp_path / "overlay.yaml"
    judge = "{kind: endpoint, served: m, base_url: 'http://127.0.0.1:9/v1'}"
    samples = "".join(f"{room}: {{samples: 1}}\n" for room in ("steer", "geometry", "dynamics"))
    overlay.write_text(f"judges: {{probe: null, q: {judge}, second: {judge}}}\n{samples}")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--dry-run", "-p", "--configfile", "config.yaml"]
    done = subprocess.run([*command, overlay, "--", "estimate"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    [told] = [
        json.loads(line.split("--changed '")[1].split("'")[0])
        for line in done.stdout.splitlines()
        if "--changed" in line
    ]
    assert told["second"] == {}, "the first judge reads these"
    assert set(told["q"]) == {".steer", ".geometry", ".watch"}
    assert "results/demo/steer/base.jsonl" in told["q"][".steer"]
