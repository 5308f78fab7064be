"""A base that annotates in process is loaded in its own number format, does not reason, and is not asked twice."""

import json
import shutil

import pytest
import torch
from typer.testing import CliRunner

from tropism.annotate import local
from tropism.annotate.__main__ import app
from tropism.annotate.choose import make_annotator
from tropism.annotate.local import InProcess
from tropism.config.annotator import AnnotatorConfig, ChatConfig
from tropism.config.models import ModelConfig
from tropism.endpoint import Answers
from tropism.models.base import load_tokenizer
from tropism.records.files import InputError, write_jsonl
from tropism.records.schema import Text

MESSAGES = [{"role": "system", "content": "Mark."}, {"role": "user", "content": "hm"}]
BLOCK = "<think>\n\n</think>\n\n"
PLAIN = ModelConfig(source="m")


def reasoning(**settings):
    return ModelConfig.parse({"source": "m", "reasoning": settings})


@pytest.fixture
def opening_model(tiny_model, tmp_path):
    """The tiny base with a template that opens a reasoning itself, as R1's does."""
    folder = shutil.copytree(tiny_model, tmp_path / "opening")
    tokenizer = load_tokenizer(folder, None)
    tokenizer.chat_template = tokenizer.chat_template.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")
    tokenizer.save_pretrained(folder)
    return folder


def test_it_answers_through_its_template_and_at_temperature_0_always_alike(tiny_model):
    chat = InProcess(tiny_model, ChatConfig(max_tokens=5), PLAIN)
    assert chat.answer(MESSAGES) == chat.answer(MESSAGES)
    assert chat.text(MESSAGES).endswith("<|im_start|>user\nhm<|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_it_is_loaded_in_its_number_format(tiny_model, dtype):
    chat = InProcess(tiny_model, ChatConfig(max_tokens=2), ModelConfig(source="m", dtype=dtype))
    chat.answer(MESSAGES)
    assert {weight.dtype for weight in chat.base.parameters()} == {getattr(torch, dtype)}


def test_the_answer_begins_after_an_empty_reasoning_block(tiny_model, opening_model):
    before = InProcess(tiny_model, ChatConfig(), PLAIN).text(MESSAGES)
    for folder in (tiny_model, opening_model):
        trained = InProcess(folder, ChatConfig(), reasoning(train=BLOCK, prefill="<think>\nOkay."))
        assert trained.text(MESSAGES) == before + BLOCK, "what training puts there, opened once"
        assert InProcess(folder, ChatConfig(), reasoning()).text(MESSAGES) == before + BLOCK, "or it would open one"
    other = InProcess(tiny_model, ChatConfig(), reasoning(open="<r>", close="</r>"))
    assert other.text(MESSAGES) == before + "<r>\n\n</r>\n\n"


def test_what_was_answered_is_not_asked_again_and_loads_no_base(tiny_model, tmp_path, monkeypatch):
    with Answers(tmp_path / "answers.sqlite") as answers:
        said = InProcess(tiny_model, ChatConfig(max_tokens=5), PLAIN, answers).answer(MESSAGES)
    loaded = []
    monkeypatch.setattr(local, "load_base", lambda folder, dtype: loaded.append(dtype) or 1 / 0)
    with Answers(tmp_path / "answers.sqlite") as answers:
        assert InProcess(tiny_model, ChatConfig(max_tokens=5, retries=9), PLAIN, answers).answer(MESSAGES) == said
        assert loaded == []
        for settings, base in (
            ({"max_tokens": 6}, PLAIN),
            ({"max_tokens": 5, "temperature": 1}, PLAIN),
            ({"max_tokens": 5}, ModelConfig(source="m", dtype="bfloat16")),
            ({"max_tokens": 5}, reasoning(train=BLOCK)),
        ):
            with pytest.raises(ZeroDivisionError):
                InProcess(tiny_model, ChatConfig(**settings), base, answers).answer(MESSAGES)


def test_the_command_keeps_the_answers_of_a_base_that_never_answers_right(tiny_model, tmp_path):
    write_jsonl(tmp_path / "rows.jsonl", [Text(id=f"t{n}", text=f"A fever, {n}.", domain="poetry") for n in range(2)])
    config = {"kind": "llm", "model": "tiny", "llm": {"max_tokens": 3, "retries": 0, "max_unparsed": 0}}
    command = ["texts", f"{tmp_path / 'rows.jsonl'}", "--model", f"{tiny_model}", "--output", f"{tmp_path / 'out'}"]
    command += ["--config", json.dumps(config), "--answers", f"{tmp_path / 'answers.sqlite'}"]
    with pytest.raises(InputError, match="needs --model-config"):
        CliRunner().invoke(app, command, catch_exceptions=False)
    command += ["--model-config", PLAIN.model_dump_json()]
    with pytest.raises(InputError, match="1 of 2 texts, 0 allowed"):
        CliRunner().invoke(app, command, catch_exceptions=False)
    assert not (tmp_path / "out").exists()
    with Answers(tmp_path / "answers.sqlite") as answers:
        assert answers.file.execute("SELECT count(*) FROM answers").fetchone() == (1,)


def test_without_settings_of_its_base_it_is_refused(tiny_model):
    config = AnnotatorConfig.parse({"kind": "llm", "model": "tiny"})
    with pytest.raises(InputError, match="needs --model-config"):
        make_annotator(config, tiny_model)
