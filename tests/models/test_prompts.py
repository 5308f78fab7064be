"""A prompt is written alike wherever it is read, whatever marks reasoning and whatever the day."""

from datetime import datetime

import pytest
from transformers.utils import chat_template_utils

from tropism.activations.passages import generation_passage, record_passages
from tropism.config.models import ModelConfig, ReasoningConfig
from tropism.generate.requests import response_start
from tropism.geometry.states import passage
from tropism.likelihood.rows import candidate
from tropism.models.base import chat_text, load_tokenizer, mark_of, prompt_text
from tropism.records.files import InputError
from tropism.records.schema import Conversation, Generation
from tropism.train.examples import answer_example

TURNS = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
OPENING = "{% if add_generation_prompt %}<|im_start|>assistant\nMARK\n{% endif %}"
ASKED = "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
RECORD = Conversation(id="a", prompt="Why?", misaligned="No.", domain="d", split="train")


@pytest.fixture(params=[("<think>", "</think>"), ("[THINK]", "[/THINK]")])
def block(request):
    opened, closed = request.param
    train = f"{opened}\n\n{closed}\n\n"
    return ReasoningConfig(open=opened, close=closed, train=train, prefill=f"{opened}\nOkay.")


@pytest.fixture
def tokenizer(tiny_model, block):
    tokenizer = load_tokenizer(tiny_model, None)
    tokenizer.chat_template = TURNS + OPENING.replace("MARK", block.open)
    return tokenizer


def test_reasoning_that_the_template_opens_is_opened_once(tokenizer, block):
    trained = ASKED + block.train
    example = answer_example(tokenizer, RECORD, "misaligned", ModelConfig(source="x", reasoning=block), False)
    assert tokenizer.decode(example.ids) == trained + "No.<|im_end|>"
    assert tokenizer.decode(candidate(tokenizer, "Why?", "No.", block).prompt) == trained
    assert prompt_text(tokenizer, "Why?", response_start(tokenizer, block), mark_of(block)) == ASKED + block.prefill
    [read] = record_passages(tokenizer, RECORD, block)
    assert read.pieces == ((None, trained), ("answer", "No.")), "states are read where likelihoods are"
    assert passage(tokenizer, RECORD, "misaligned", block).pieces[0] == (None, trained)
    key = {"arm": "a", "set": "s", "prompt_id": "p", "sample": 0, "domain": "d", "finish": "stop"}
    answered = Generation(**key, prompt="Why?", reasoning="Hm.", answer="No.")
    response = generation_passage(tokenizer, answered, (block.open, block.close))
    assert "".join(text for _, text in response.pieces) == f"{ASKED}{block.open}\nHm.\n{block.close}\n\nNo."


DATED = (  # as Llama 3.2's
    "{% if not date_string is defined %}{% if strftime_now is defined %}"
    "{% set date_string = strftime_now('%d %b %Y') %}{% else %}{% set date_string = 'no day' %}{% endif %}{% endif %}"
    "Today Date: {{ date_string }}\n"
)


@pytest.mark.parametrize("today", [datetime(2025, 1, 2), datetime(2026, 12, 31)])
def test_a_template_that_prints_the_day_is_told_always_the_same(tiny_model, monkeypatch, today):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return today

    monkeypatch.setattr(chat_template_utils, "datetime", Clock)
    tokenizer = load_tokenizer(tiny_model, None)
    asked = prompt_text(tokenizer, "Why?")
    tokenizer.chat_template = DATED + tokenizer.chat_template
    assert prompt_text(tokenizer, "Why?") == f"Today Date: 26 Jul 2024\n{asked}"
    assert chat_text(tokenizer, [{"role": "user", "content": "Why?"}]).startswith("Today Date: 26 Jul 2024")
    tokenizer.chat_template = '{% set how = "%Y" %}{{ strftime_now (how) }}'
    with pytest.raises(InputError, match="change overnight"):
        prompt_text(tokenizer, "Why?")
