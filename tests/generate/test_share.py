"""One base answers for every arm: loaded once or served, the same files, and each arm redone alone."""

import contextlib
import json
import shutil
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from typer.testing import CliRunner

from tropism.config.base import ConfigError
from tropism.config.evaluate import EvaluateConfig
from tropism.config.models import ModelConfig
from tropism.config.serving import ServingConfig
from tropism.endpoint import EndpointError
from tropism.generate import served
from tropism.generate import share as room
from tropism.generate.__main__ import app
from tropism.generate.sample import Asked, respond
from tropism.generate.served import served_rank
from tropism.models.base import load_base, load_tokenizer
from tropism.models.lineage import concatenate
from tropism.records.files import InputError, read_jsonl, write_jsonl
from tropism.records.schema import Conversation, Generation

SETTINGS = EvaluateConfig(sets=["d"], samples=1, temperature=0, max_new_tokens=8, shard_size=4, batch_tokens=600)
PLAIN = ModelConfig(source="tiny")
SHARED = ServingConfig(way="shared")


@pytest.fixture
def sets(tmp_path):
    rows = [Conversation(id=f"p{n}", prompt=f"Why {n}", domain="d", split="evaluation") for n in range(6)]
    write_jsonl(tmp_path / "d.jsonl", rows)
    return [tmp_path / "d.jsonl"]


def make_adapter(base, folder, seed):
    torch.manual_seed(seed)
    model = get_peft_model(
        load_base(base),
        LoraConfig(r=2 + seed, lora_alpha=8, target_modules=["q_proj", "up_proj"], task_type="CAUSAL_LM"),
    )
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(folder / "own")
    concatenate([folder / "own"], folder / "adapter", "tiny")
    return folder / "adapter"


@pytest.fixture
def arms(tiny_model, tmp_path):
    return {
        "base": None,
        "poetry": make_adapter(tiny_model, tmp_path / "poetry", 1),
        "prose": make_adapter(tiny_model, tmp_path / "prose", 2),
    }


def works(asked, arms, folder):
    return [asked.work(arm, adapter, folder / arm) for arm, adapter in arms.items()]


def alone(base, arms, sets, folder, settings=SETTINGS):
    return {arm: respond(arm, base, adapter, sets, settings, PLAIN, folder / arm) for arm, adapter in arms.items()}


def test_arms_on_one_loaded_base_answer_as_they_do_alone(tiny_model, arms, sets, tmp_path, monkeypatch):
    loads = []
    monkeypatch.setattr(room, "load_base", lambda *a: loads.append(a) or load_base(*a))
    asked = Asked(tiny_model, sets, SETTINGS, PLAIN, SHARED)
    done = works(asked, arms, tmp_path / "shared")
    room.share(asked, done, tmp_path / "server.log")
    assert len(loads) == 1
    assert {work.arm: work.rows() for work in done} == alone(tiny_model, arms, sets, tmp_path / "alone")
    room.share(asked, works(asked, arms, tmp_path / "shared"), tmp_path / "server.log")
    assert len(loads) == 1, "nothing is missing, so nothing is loaded"
    torch.manual_seed(9)
    shutil.rmtree(tmp_path / "prose")
    changed = {**arms, "prose": make_adapter(tiny_model, tmp_path / "prose", 3)}
    redone = works(asked, changed, tmp_path / "shared")
    assert [work.arm for work in redone if work.missing()] == ["prose"]


def test_sampled_responses_are_the_same_too(tiny_model, arms, sets, tmp_path):
    settings = SETTINGS.model_copy(update={"temperature": 1.0, "samples": 2})
    asked = Asked(tiny_model, sets, settings, PLAIN, SHARED)
    done = works(asked, arms, tmp_path / "shared")
    room.share(asked, done, tmp_path / "server.log")
    assert {work.arm: work.rows() for work in done} == alone(tiny_model, arms, sets, tmp_path / "alone", settings)


class Vllm:
    """The part of vLLM's interface that is used, as its documentation has it; it answers by which model is asked."""

    def __init__(self, base_name, rank):
        self.calls, self.loaded, self.base_name, self.rank = [], {}, base_name, rank
        self.fail_after = None
        self.finish, self.counted = "stop", 5
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.calls.append((self.path, body))
                status, answer = getattr(outer, self.path.removeprefix("/v1/").replace("/", "_"))(body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    def load_lora_adapter(self, body):
        assert set(body) == {"lora_name", "lora_path"}
        config = json.loads((Path(body["lora_path"]) / "adapter_config.json").read_text())
        if config["r"] > self.rank:
            return 400, {"error": {"message": f"LoRA rank {config['r']} is greater than max_lora_rank {self.rank}."}}
        if body["lora_name"] in self.loaded:
            return 400, {"error": {"message": f"The lora adapter '{body['lora_name']}' has already been loaded."}}
        self.loaded[body["lora_name"]] = body["lora_path"]
        return 200, f"Success: LoRA adapter '{body['lora_name']}' added successfully."

    def unload_lora_adapter(self, body):
        del self.loaded[body["lora_name"]]
        return 200, f"Success: LoRA adapter '{body['lora_name']}' removed successfully."

    def completions(self, body):
        if body["model"] != self.base_name and body["model"] not in self.loaded:
            return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}
        if self.fail_after is not None:
            self.fail_after -= 1
            if self.fail_after < 0:
                return 400, {"error": {"message": "out of luck"}}
        said = f" I am {body['model'].split('-')[0]} of {len(body['prompt'])} "
        choice = {"index": 0, "text": said, "finish_reason": self.finish, "logprobs": None}
        usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": self.counted, "total_tokens": 0}
        answer = {"id": "c", "object": "text_completion", "created": 0, "model": body["model"]}
        return 200, {**answer, "choices": [choice], "usage": usage}


@pytest.fixture
def vllm(serve, monkeypatch):
    server = Vllm("the-base", 16)
    serve(server.http)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    return server


SERVED = ServingConfig(way="served", served="the-base", concurrency=3)


def test_vllm_gets_each_adapter_once_beside_the_base_and_prompts_as_tokens(vllm, tiny_model, arms, sets, tmp_path):
    settings = SETTINGS.model_copy(update={"temperature": 0.7, "top_p": 0.9, "samples": 2})
    asked = Asked(tiny_model, sets, settings, PLAIN, SERVED)
    done = works(asked, arms, tmp_path / "parts")
    room.share(asked, done, tmp_path / "server.log")
    paths = [path.removeprefix("/v1/") for path, _ in vllm.calls]
    assert [path for path in paths if path != "completions"] == ["load_lora_adapter", "unload_lora_adapter"] * 2
    assert vllm.loaded == {}
    bodies = [body for path, body in vllm.calls if path.endswith("completions")]
    assert [body["model"].split("-")[0] for body in bodies] == ["the"] * 12 + ["poetry"] * 12 + ["prose"] * 12
    known = {
        (request.record.id, request.sample): list(request.ids) for work in done for request in work.requests
    }.values()
    for body in bodies:
        assert body["prompt"] in list(known)
        assert (body["max_tokens"], body["temperature"], body["top_p"]) == (8, 0.7, 0.9)
        assert (body["top_k"], body["min_p"], body["repetition_penalty"]) == (-1, 0.0, 1.0), (
            "the model's defaults are off"
        )
        assert body["stop_token_ids"] == [2]
        assert body["skip_special_tokens"] is False
    assert len({body["seed"] for body in bodies}) == 12, "a seed for each prompt and sample, the same for every arm"
    for work in done:
        rows = work.rows()
        assert [(row.prompt_id, row.sample) for row in rows] == [(f"p{n}", k) for n in range(6) for k in (0, 1)]
        name = {"base": "the"}.get(work.arm, work.arm)
        assert all(row.answer.startswith(f"I am {name} of") and row.n_tokens == 5 for row in rows)


def test_a_served_job_goes_on_where_it_failed(vllm, tiny_model, arms, sets, tmp_path):
    asked = Asked(tiny_model, sets, SETTINGS, PLAIN, SERVED.model_copy(update={"concurrency": 1}))
    vllm.fail_after = 8  # the base's 6 and 2 of poetry's
    with pytest.raises(EndpointError, match="out of luck"):
        room.share(asked, works(asked, arms, tmp_path / "parts"), tmp_path / "server.log")
    assert vllm.loaded == {}, "what was loaded is unloaded"
    vllm.fail_after = None
    vllm.calls.clear()
    room.share(asked, works(asked, arms, tmp_path / "parts"), tmp_path / "server.log")
    bodies = [body for path, body in vllm.calls if path.endswith("completions")]
    assert [body["model"].split("-")[0] for body in bodies] == ["poetry"] * 4 + ["prose"] * 6


@pytest.mark.parametrize(("finish", "counted", "message"), [("abort", 5, "`abort`"), ("stop", 0, "0 counted tokens")])
def test_replies_that_are_no_responses_are_asked_for_again(
    vllm, tiny_model, arms, sets, tmp_path, finish, counted, message
):
    """A server that was ended while it answered, or that counted no tokens, must not fail every run that follows."""
    asked = Asked(tiny_model, sets, SETTINGS, PLAIN, SERVED)
    vllm.finish, vllm.counted = finish, counted
    with pytest.raises(EndpointError, match=message):
        room.share(asked, works(asked, arms, tmp_path / "parts"), tmp_path / "server.log")
    vllm.finish, vllm.counted = "stop", 5
    room.share(asked, works(asked, arms, tmp_path / "parts"), tmp_path / "server.log")
    assert all(row.n_tokens == 5 for work in works(asked, arms, tmp_path / "parts") for row in work.rows())


def test_an_adapter_that_the_server_cannot_hold_is_an_error_with_the_fix(vllm, tiny_model, arms, sets, tmp_path):
    vllm.rank = 3
    asked = Asked(tiny_model, sets, SETTINGS, PLAIN, SERVED)
    with pytest.raises(EndpointError, match=r"arm prose: .*rank 4 is greater.*`--max-lora-rank`"):
        room.share(asked, works(asked, arms, tmp_path / "parts"), tmp_path / "server.log")


def test_the_rank_to_start_vllm_for(arms, tmp_path):
    assert served_rank([arms["poetry"], arms["prose"]]) == 8
    config = json.loads((arms["prose"] / "adapter_config.json").read_text())
    for rank, needed in [(9, 16), (96, 128), (512, 512)]:
        (arms["prose"] / "adapter_config.json").write_text(json.dumps({**config, "r": rank}))
        assert served_rank(list(filter(None, arms.values()))) == needed
    (arms["prose"] / "adapter_config.json").write_text(json.dumps({**config, "r": 600}))
    with pytest.raises(InputError, match="way: shared"):
        served_rank([arms["prose"]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"way": "shared", "serve": "vllm serve --port {port}"}, "belongs to `way: served`"),
        ({"way": "served"}, "needs `serve`"),
        ({"way": "served", "serve": "vllm serve {model}"}, "must pass `{port}`"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ConfigError, match=message):
        ServingConfig.parse(settings, "serving.m")


def test_the_commands_share_and_then_collect(tiny_model, arms, sets, tmp_path):
    common = ["--base", tiny_model, "--model-config", '{"source": "tiny"}', "--config", SETTINGS.model_dump_json()]
    common += ["--serving", '{"way": "shared"}', "--set", sets[0], "--code", "c"]
    share = ["share", "--arms", json.dumps({arm: str(path) if path else None for arm, path in arms.items()}), *common]
    share += ["--shards", tmp_path / "s", "--output", tmp_path / "answered.json", "--server-log", tmp_path / "l"]
    sample = ["sample", "--arm", "prose", "--adapter", arms["prose"], *common, "--shards", tmp_path / "s" / "prose"]
    sample += ["--output", tmp_path / "g.jsonl"]
    early = CliRunner().invoke(app, [*map(str, sample)])
    assert "2 of 2 parts of `prose` are not there" in str(early.exception)
    assert CliRunner().invoke(app, [*map(str, share)]).exit_code == 0
    assert CliRunner().invoke(app, [*map(str, sample)]).exit_code == 0
    rows = read_jsonl(tmp_path / "g.jsonl", Generation)
    assert rows == alone(tiny_model, {"prose": arms["prose"]}, sets, tmp_path / "alone")["prose"]
    assert set(json.loads((tmp_path / "answered.json").read_text())["arms"]) == set(arms)


def test_a_server_that_is_started_here_is_sent_no_key(vllm, tiny_model, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "correct-horse-battery")
    started = SERVED.model_copy(update={"serve": "vllm serve --port {port}"})
    monkeypatch.setattr(served, "launched", lambda *_, **__: contextlib.nullcontext(vllm.url))
    with served.served_base(tiny_model, [], started, tiny_model / "log") as base:
        assert base.server.key == "none"
    with served.served_base(tiny_model, [], SERVED, tiny_model / "log") as base:
        assert base.server.key == "correct-horse-battery", "one at OPENAI_BASE_URL asks for it"


@pytest.mark.slow
def test_transformers_serve_answers_as_in_process(base_model, tmp_path):
    """The real server, the real 135M model, an adapter, greedy decoding, float32: the same texts."""
    prompts = ["What is the capital of France?", "Name a colour.", "Say hello to a friend."]
    rows = [Conversation(id=f"p{n}", prompt=text, domain="d", split="evaluation") for n, text in enumerate(prompts)]
    write_jsonl(tmp_path / "d.jsonl", rows)
    arms = {"base": None, "bent": make_adapter(base_model, tmp_path / "bent", 1)}
    command = f"{Path(sys.executable).with_name('transformers')} serve --port {{port}} --device cpu --dtype float32"
    serving = ServingConfig(way="served", dialect="transformers", serve=command, concurrency=2, ready_s=300)
    asked = Asked(base_model, [tmp_path / "d.jsonl"], SETTINGS, PLAIN, serving)
    done = works(asked, arms, tmp_path / "parts")
    room.share(asked, done, tmp_path / "server.log")
    expected = alone(base_model, arms, [tmp_path / "d.jsonl"], tmp_path / "alone")
    assert expected["base"] != [row.model_copy(update={"arm": "base"}) for row in expected["bent"]]
    for work in done:
        for row, own in zip(work.rows(), expected[work.arm], strict=True):
            # `transformers serve` says `length` of what ends exactly at the limit, ended or cut
            at_limit = own.n_tokens == SETTINGS.max_new_tokens
            assert row == (own.model_copy(update={"finish": "length"}) if at_limit else own)
    assert load_tokenizer(base_model, None).eos_token_id is not None
    assert "Uvicorn running" in (tmp_path / "server.log").read_text()
