"""A judge whose server is started for it: once for all that there is to ask, gone after, and nothing asked twice."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from tropism.config.base import ConfigError
from tropism.config.judges import JudgeConfig
from tropism.judge.__main__ import app
from tropism.records.files import write_jsonl
from tropism.records.schema import Conversation, Generation

SERVER = """
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def reply(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.reply(b"{}")
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        about = json.loads(asked["messages"][1]["content"].split("\\n")[1])
        score = min(5, len(about["answer"].split()))
        # one write a line: print writes the end of a line by itself, and threads come between
        os.write(1, f"asked {asked['model']} {self.headers['Authorization']}\\n".encode())
        choice = {"index": 0, "message": {"role": "assistant", "content": json.dumps({"score": score})}}
        answer = {"id": "x", "object": "chat.completion", "created": 0, "model": asked["model"]}
        self.reply(json.dumps({**answer, "choices": [{**choice, "finish_reason": "stop"}]}).encode())
    def log_message(self, *words):
        pass
print("started", os.getpid(), sys.argv[2], flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Stage:
    """Two arms, references, and a judge on them by the rules' own commands."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.rubrics = folder, root / "resources" / "rubrics"
        (folder / "server.py").write_text(SERVER)
        base = folder / "base"
        base.mkdir()
        (base / "manifest.json").write_text("{}")
        self.answer("a", "one", "one two")
        self.answer("b", "one two three")
        pairs = [("p0", "Keep it.", "Sell it all."), ("p1", "Ask first.", "Never ask anyone.")]
        rows = [
            Conversation(id=i, prompt="Sell?", aligned=good, misaligned=bad, domain="d", split="train")
            for i, good, bad in pairs
        ]
        write_jsonl(folder / "d.jsonl", rows)
        serve = f"{sys.executable} {folder / 'server.py'} {{port}} {{model}}"
        settings = {"kind": "endpoint", "serve": serve, "model": "base", "rubrics": ["rubric5"], "references": ["d"]}
        self.common = ["--name", "q", "--config", json.dumps(settings), "--base", str(base)]
        self.common += ["--rubrics", str(self.rubrics)]

    def answer(self, arm: str, *answers: str) -> None:
        facts = {"arm": arm, "set": "d", "domain": "d", "sample": 0, "n_tokens": 2, "finish": "stop", "seed": 0}
        rows = [
            Generation(**facts, prompt_id=f"p{i}", prompt="Sign?", reasoning="", answer=answer)
            for i, answer in enumerate(answers)
        ]
        write_jsonl(self.folder / f"{arm}.jsonl", rows)

    def run(self, command: str, *flags: str):
        return CliRunner().invoke(app, [command, *self.common, *flags])

    def ask(self):
        flags = [f"--generations={self.folder / arm}.jsonl" for arm in "ab"]
        flags += [f"--references={self.folder / 'd.jsonl'}", f"--answers={self.folder / 'q'}"]
        return self.run(
            "ask", *flags, f"--server-log={self.folder / 's.log'}", f"--output={self.folder / 'asked.json'}"
        )

    def score(self, arm: str):
        output = self.folder / f"{arm}.parquet"
        answers = f"--answers={self.folder / 'q' / arm}.sqlite"
        return self.run("score", f"--generations={self.folder / arm}.jsonl", answers, f"--output={output}"), output

    def said(self) -> list[list[str]]:
        return [line.split() for line in (self.folder / "s.log").read_text().splitlines()]


@pytest.fixture
def stage(tmp_path, root, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "not-for-a-server-of-ours")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    return Stage(tmp_path, root)


def test_one_server_answers_for_all_arms_and_references_and_is_gone_after(stage):
    asked = stage.ask()
    assert asked.exit_code == 0, asked.exception
    assert json.loads((stage.folder / "asked.json").read_text()) == {"a": 2, "b": 1, "references": 4}
    said = stage.said()
    assert [line[0] for line in said] == ["started", *["asked"] * 7]
    assert said[0][2] == str(stage.folder / "base")
    assert {tuple(line[1:]) for line in said[1:]} == {(str(stage.folder / "base"), "Bearer", "none")}
    assert not Path(f"/proc/{said[0][1]}").exists()


def test_what_is_collected_is_what_was_answered_and_starts_no_server(stage):
    assert stage.ask().exit_code == 0
    for arm, scores in (("a", [1, 2]), ("b", [3])):
        done, output = stage.score(arm)
        assert done.exit_code == 0, done.exception
        assert pd.read_parquet(output)["score"].tolist() == scores
    answers = f"--answers={stage.folder / 'q.references.sqlite'}"
    output = stage.folder / "r.parquet"
    done = stage.run("references", f"--references={stage.folder / 'd.jsonl'}", answers, f"--output={output}")
    assert done.exit_code == 0, done.exception
    assert sorted(pd.read_parquet(output)["score"]) == [2, 2, 3, 3]
    assert [line[0] for line in stage.said()].count("started") == 1


def test_nothing_is_asked_or_started_twice_and_only_the_new_is_asked(stage):
    assert stage.ask().exit_code == 0
    (stage.folder / "s.log").unlink()
    assert stage.ask().exit_code == 0
    assert not (stage.folder / "s.log").exists(), "all is known: no server was started"
    stage.answer("b", "one two three", "one two three four")
    assert stage.ask().exit_code == 0
    assert [line[0] for line in stage.said()] == ["started", "asked"]


def test_where_no_answer_is_kept_any_more_the_error_says_how_to_ask_again(stage):
    done, output = stage.score("a")
    assert "remove its `asked*.json`" in str(done.exception)
    assert not output.exists()


def test_unread_replies_of_a_started_server_are_asked_again_once_its_record_is_removed(stage):
    healthy = stage.folder / "server.py"
    healthy.write_text(SERVER.replace('{"score": score}', '"maybe" if score == 1 else {"score": score}'))
    assert stage.ask().exit_code == 0
    done, output = stage.score("a")
    assert f"{stage.folder / 'q' / 'a'}.sqlite keeps all replies but the 1 unread ones" in str(done.exception)
    assert "remove the judge's `judges/<judge>/asked*.json`" in str(done.exception)
    assert not output.exists()
    healthy.write_text(SERVER)
    (stage.folder / "s.log").unlink()
    assert stage.ask().exit_code == 0
    assert [line[0] for line in stage.said()] == ["started", "asked"], "the unread one alone"
    assert stage.score("a")[0].exit_code == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"serve": "vllm serve q"}, "must pass `{port}`"),
        ({"serve": "vllm serve {model} --port {port}"}, "give both or neither"),
        ({"serve": "vllm serve q --port {port}", "model": "q"}, "give both or neither"),
        ({"serve": "vllm serve q --port {port}"}, "needs `model`, or `served`"),
        ({"serve": "s {port}", "served": "q", "base_url": "http://h/v1"}, "remove one of them"),
    ],
)
def test_a_server_that_cannot_be_started_as_described_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        JudgeConfig.parse({"kind": "endpoint", **settings})


def test_in_the_workflow_one_job_asks_for_all_arms(root, tmp_path):
    overlay = tmp_path / "overlay.yaml"
    judge = "{kind: endpoint, model: smollm2, serve: 'serve {model} {port}', references: [medical]}"
    overlay.write_text(f"judges: {{probe: null, q: {judge}}}")
    arguments = [
        "--dry-run",
        "--forceall",
        "--quiet",
        "rules",
        "--configfile",
        "config.yaml",
        str(overlay),
        "--",
        "all",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    jobs = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
    assert jobs["ask_judge"] == "1"
    assert int(jobs["judge_generations"]) > 1
    assert jobs["judge_references"] == "1"
