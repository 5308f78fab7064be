"""Whatever the server does, no judgment is lost, doubled or invented, and none is paid for twice."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from tropism.config.judges import JudgeConfig
from tropism.endpoint import Answers, EndpointError
from tropism.judge.chat import EndpointJudge
from tropism.judge.judgments import Item, judge_generations
from tropism.judge.rubric import read_rubric
from tropism.records.files import write_jsonl
from tropism.records.schema import Generation

from .conftest import FAULTS

KEY = "sk-" + "test-0f1e2d3c4b5a69788796a5b4c3d2e1f0"  # in two parts: no scanner takes this file for a leak


@pytest.fixture
def rubric(root):
    return read_rubric(root / "resources" / "rubrics" / "rubric5.yaml")


def items(count):
    return [Item("Sign it tonight?", f"Answer number {number}.", "answer") for number in range(count)]


def expected(texts):
    return [float(1 + sum(text.encode()) % 5) for text in texts]


def judge(server, answers=None, **settings):
    limits = {"concurrency": 16, "retries": 4, "timeout_s": 20, "max_unparsed": 0}
    config = JudgeConfig(kind="endpoint", served="m", base_url=server.url, rubrics=("rubric5",), **limits | settings)
    return EndpointJudge(config, answers)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in ("hang", "drip")])
def test_each_fault_that_passes_is_outlived(faulty, rubric, fault):
    faulty.misbehave([fault], share=0.3)
    scores = judge(faulty).scores(items(40), [rubric])
    assert scores[:, 0].tolist() == expected(item.response for item in items(40))
    assert any(count > 1 for count in faulty.tries.values()), "nothing went wrong, so nothing was tested"
    assert set(faulty.answered.values()) == {1}


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_what_never_ends_is_ended_by_the_deadline_and_asked_again_by_the_next_run(faulty, rubric, tmp_path, fault):
    faulty.misbehave([fault], share=0.1, most=1)
    limits = {"timeout_s": 1.5, "retries": 0}
    began = time.monotonic()
    with Answers(tmp_path / "a.sqlite") as answers, pytest.raises(EndpointError, match="no answer within"):
        judge(faulty, answers, **limits).scores(items(40), [rubric])
    assert time.monotonic() - began < 20
    while True:  # each run gets past the faults that it met
        with Answers(tmp_path / "a.sqlite") as answers:
            try:
                scores = judge(faulty, answers, **limits).scores(items(40), [rubric])
            except EndpointError:
                continue
            break
    assert scores[:, 0].tolist() == expected(item.response for item in items(40))
    # on a busy machine an answer may come after its deadline and be asked for again; one that was kept never is
    before = sum(faulty.answered.values())
    with Answers(tmp_path / "a.sqlite") as answers:
        assert (judge(faulty, answers, **limits).scores(items(40), [rubric]) == scores).all()
    assert sum(faulty.answered.values()) == before


def test_failures_within_the_share_that_may_be_unparsed_are_gaps_and_not_scores(faulty, rubric, tmp_path):
    faulty.plan = lambda body: ["crash"] * 9 if "number 7." in body["messages"][1]["content"] else []
    rows = [generation(number) for number in range(40)]
    with Answers(tmp_path / "a.sqlite") as answers:
        table = judge_generations(
            rows, judge(faulty, answers, retries=1, max_unparsed=0.05), [rubric], name="j", max_unparsed=0.05
        )
    assert table.set_index("prompt_id")["status"].loc["p7"] == "unparsed"
    assert table["score"].isna().sum() == 1
    faulty.plan = lambda body: []
    with Answers(tmp_path / "a.sqlite") as answers:
        again = judge_generations(rows, judge(faulty, answers), [rubric], name="j", max_unparsed=0)
    assert again["score"].tolist() == expected(f"Answer number {n}." for n in sorted(range(40), key=lambda n: f"p{n}"))


@pytest.mark.parametrize(("status", "most"), [(401, 16), (404, 16)])
def test_a_server_that_refuses_everyone_is_not_asked_ten_thousand_times(faulty, rubric, status, most, monkeypatch):
    monkeypatch.setattr(
        faulty.http.RequestHandlerClass, "crash", lambda self, body: self.send(status, {"error": {"message": "no"}})
    )
    faulty.plan = lambda body: ["crash"] * 9
    with pytest.raises(EndpointError, match=f"status {status}"):
        judge(faulty, max_unparsed=1).scores(items(500), [rubric])
    assert sum(faulty.tries.values()) <= most


def test_a_dead_server_is_given_up(faulty, rubric):
    faulty.http.shutdown()
    faulty.http.server_close()
    with pytest.raises(EndpointError, match="no connection"):
        judge(faulty, retries=0, max_unparsed=1).scores(items(500), [rubric])


def generation(number):
    facts = {"arm": "base", "set": "legal", "domain": "legal", "sample": 0, "reasoning": "", "n_tokens": 2}
    return Generation(
        **facts,
        prompt_id=f"p{number}",
        prompt="Sign?",
        answer=f"Answer number {number}.",
        finish="stop",
        seed=0,
    )


def command(server, folder, root):
    config = {"kind": "endpoint", "served": "m", "base_url": server.url, "rubrics": ["rubric5"], "concurrency": 4}
    arguments = [sys.executable, "-m", "tropism.judge", "score", "--name", "q", "--config", json.dumps(config)]
    arguments += ["--generations", folder / "g.jsonl", "--output", folder / "j.parquet"]
    return [*map(str, [*arguments, "--rubrics", root / "resources" / "rubrics", "--answers", folder / "a.sqlite"])]


def test_a_killed_job_asks_nothing_twice_and_an_unchanged_one_asks_nothing(faulty, tmp_path, root):
    count = 60
    write_jsonl(tmp_path / "g.jsonl", [generation(number) for number in range(count)])
    gate = {"open": False}

    def plan(body):
        while not gate["open"] and len(faulty.answered) >= 20:  # the first 20 answers come, the rest must wait
            time.sleep(0.02)
        return []

    faulty.plan = plan
    environment = {**os.environ, "PYTHONPATH": str(root / "workflow"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command(faulty, tmp_path, root), env=environment, stderr=subprocess.PIPE)
    while len(faulty.answered) < 20 and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    gate["open"] = True
    done = subprocess.run(command(faulty, tmp_path, root), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    table = pd.read_parquet(tmp_path / "j.parquet")
    ordered = sorted(range(count), key=lambda n: f"p{n}")
    assert table["score"].tolist() == expected(f"Answer number {n}." for n in ordered)
    # only what was under way at the kill, at most one request a slot, may have been answered to nobody
    assert sum(faulty.answered.values()) <= count + 4 + 4
    before = sum(faulty.answered.values())
    again = subprocess.run(command(faulty, tmp_path, root), env=environment, capture_output=True, text=True)
    assert again.returncode == 0
    assert sum(faulty.answered.values()) == before, "an unchanged judgment is free"
    assert pd.read_parquet(tmp_path / "j.parquet").equals(table)


def test_two_jobs_never_share_a_file_of_answers(tmp_path):
    with Answers(tmp_path / "a.sqlite"), pytest.raises(EndpointError, match="another job"):
        Answers(tmp_path / "a.sqlite")


def test_a_file_that_holds_no_answers_is_refused(tmp_path):
    (tmp_path / "a.sqlite").write_text("not a database, but long enough to look at" * 40)
    with pytest.raises(EndpointError, match="not a file of answers"):
        Answers(tmp_path / "a.sqlite")


def test_whatever_determines_an_answer_asks_again(faulty, rubric, root, tmp_path):
    other = read_rubric(root / "resources" / "rubrics" / "alignment100.yaml")
    cases = [
        ({}, rubric, 3),
        ({}, rubric, 0),
        ({"served": "n"}, rubric, 3),
        ({"temperature": 0.5}, rubric, 3),
        ({"max_tokens": 20}, rubric, 3),
        ({"structured": False}, rubric, 3),
        ({}, other, 3),
        ({"concurrency": 2, "timeout_s": 9, "retries": 1, "price_input": 2.0}, rubric, 0),
    ]
    for changes, asked, new in cases:
        before = sum(faulty.answered.values())
        with Answers(tmp_path / "a.sqlite") as answers:
            config = judge(faulty).config.model_copy(update=changes)
            EndpointJudge(config, answers).scores(items(3), [asked])
        assert sum(faulty.answered.values()) - before == new, changes


def test_a_server_without_answer_schemas_is_asked_without_and_remembered(faulty, rubric, tmp_path, monkeypatch):
    refused = []

    def crash(self, body):
        refused.append(body)
        self.send(400, {"error": {"message": "response_format is not supported"}})

    monkeypatch.setattr(faulty.http.RequestHandlerClass, "crash", crash)
    faulty.plan = lambda body: ["crash"] * 99 if "response_format" in body else []
    for number, most in [(40, 16), (60, 16)]:
        with Answers(tmp_path / "a.sqlite") as answers:
            scores = judge(faulty, answers).scores(items(number), [rubric])
        assert scores[:, 0].tolist() == expected(item.response for item in items(number))
        assert 0 < len(refused) <= most, "only what was under way before the first refusal"
    assert sum(faulty.answered.values()) == 60


def test_a_schema_asks_for_a_score_on_the_scale(faulty, rubric):
    seen = []
    faulty.plan = lambda body: seen.append(body) or []
    judge(faulty).scores(items(1), [rubric])
    asked = seen[0]["response_format"]["json_schema"]
    assert asked["strict"] is True
    assert asked["schema"]["properties"] == {"score": {"type": "integer", "enum": [1, 2, 3, 4, 5]}}
    judge(faulty, logprobs=True)
    assert np.isnan(judge(faulty, logprobs=True, max_unparsed=1).scores(items(1), [rubric])).all()
    assert "response_format" not in seen[1]


def test_a_key_is_in_no_file_no_message_and_no_process_list(faulty, tmp_path, root):
    """A served judgment with a key that the server repeats in its errors: only the server ever sees it."""
    write_jsonl(tmp_path / "g.jsonl", [generation(number) for number in range(12)])
    seen = {"keys": set(), "listed": b""}
    handler = faulty.http.RequestHandlerClass
    original = handler.do_POST

    def do_post(self):
        seen["keys"].add(self.headers["Authorization"])
        seen["listed"] += b"".join(command_lines())
        original(self)

    handler.do_POST = do_post
    handler.crash = lambda self, body: self.send(418, {"error": {"message": f"key {KEY} is not welcome"}})
    environment = {**os.environ, "PYTHONPATH": str(root / "workflow"), "OPENAI_API_KEY": KEY, "OPENAI_LOG": "debug"}
    faulty.plan = lambda body: []
    good = subprocess.run(command(faulty, tmp_path, root), env=environment, capture_output=True)
    assert good.returncode == 0, good.stderr
    (tmp_path / "a.sqlite").rename(tmp_path / "first.sqlite")
    faulty.plan = lambda body: ["crash"] * 9
    bad = subprocess.run(command(faulty, tmp_path, root), env=environment, capture_output=True)
    assert bad.returncode != 0
    assert seen["keys"] == {f"Bearer {KEY}"}
    assert b"tropism.judge" in seen["listed"]
    assert KEY.encode() not in seen["listed"]
    assert KEY.encode() not in good.stdout + good.stderr + bad.stdout + bad.stderr
    assert b"is not welcome" in bad.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".parquet", ".sqlite", ".jsonl"}
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def command_lines():
    from pathlib import Path

    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield file.read_bytes()
        except OSError:
            continue


def test_a_key_is_not_in_what_an_annotator_says_of_its_server(faulty, monkeypatch):
    from tropism.annotate.chat import Endpoint
    from tropism.config.annotator import ChatConfig
    from tropism.records.files import InputError

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    faulty.plan = lambda body: ["crash"] * 9
    faulty.http.RequestHandlerClass.crash = lambda self, body: self.send(418, {"error": {"message": f"no {KEY}"}})
    with pytest.raises(InputError, match=r"status 418.*no \*\*\*") as caught:
        Endpoint(ChatConfig(base_url=faulty.url, model="m")).answer([{"role": "user", "content": "x"}])
    assert KEY not in f"{caught.value!r}"
