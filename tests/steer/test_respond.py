"""Responses under a change are asked for as responses without one are."""

import pytest

from tropism.config.evaluate import EvaluateConfig
from tropism.config.models import ModelConfig, ReasoningConfig
from tropism.config.sampled import SampledConfig
from tropism.generate.requests import build_requests, response_start
from tropism.models.base import load_tokenizer
from tropism.records.files import write_jsonl
from tropism.records.schema import Conversation
from tropism.steer import respond as room


@pytest.mark.parametrize(
    "reasoning", ["none", ReasoningConfig(), ReasoningConfig(prefill="<think>\nOkay.")], ids=["none", "own", "prefill"]
)
def test_it_begins_as_generation_does_where_the_template_opens_a_reasoning(
    tiny_model, tmp_path, monkeypatch, reasoning
):
    tokenizer = load_tokenizer(tiny_model, None)
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %} answer <think>\n"
    records = [Conversation(id="a", prompt="How long?", domain="tea", split="evaluation")]
    write_jsonl(tmp_path / "tea.jsonl", records)
    model = ModelConfig(source="-", reasoning=reasoning)
    block = model.reasoning_block()
    settings = EvaluateConfig(sets=["tea"], samples=1)
    expected = build_requests([tmp_path / "tea.jsonl"], settings, tokenizer, response_start(tokenizer, block))
    asked = []
    monkeypatch.setattr(room, "answer", lambda name, model, tokenizer, requests, *_: asked.extend(requests) or [])
    prompts = [("tea", record) for record in records]
    room.respond("dose", None, tokenizer, prompts, SampledConfig(samples=1), model, batch_tokens=64, seed=0)
    assert [request.ids for request in asked] == [request.ids for request in expected]
