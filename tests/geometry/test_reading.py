"""Arms of one base are read by one job, each as it would be alone; one that changed is read again alone."""

import json

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

from tropism.config.geometry import PartsConfig
from tropism.config.models import ModelConfig, ReasoningConfig
from tropism.geometry.states import mean_states, passage, read_arms, split_prompts
from tropism.models.base import load_arm, load_base, load_tokenizer

MODEL = ModelConfig(source="x")
CONFIG = PartsConfig(prompts=3, validation=1, reported=2)


def test_each_arm_is_read_as_it_is_alone_and_again_only_where_it_changed(tiny_model, tmp_path):
    topic = tmp_path / "h.jsonl"
    rows = [
        {"id": f"p{i}", "prompt": f"Question {i}?", "aligned": f"yes {i}", "misaligned": f"no no {i}", "domain": "h",
         "split": "evaluation"}
        for i in range(6)
    ]  # fmt: skip
    topic.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def train(name: str, seed: int) -> None:
        torch.manual_seed(seed)
        config = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
        get_peft_model(load_base(tiny_model), config).save_pretrained(tmp_path / name)

    def read(**options: object) -> dict[str, int]:
        adapters = {"one": tmp_path / "one", "base": None, "two": tmp_path / "two"}
        given = {"config": CONFIG, "model_config": MODEL, "harmful": [topic], "neutral": [], **options}
        listed = read_arms(adapters, tiny_model, output=tmp_path / "states", **given)
        assert [entry["arm"] for entry in listed["arms"]] == ["one", "base", "two"]
        return {arm: (tmp_path / "states" / f"{arm}.safetensors").stat().st_mtime_ns for arm in adapters}

    train("one", 1), train("two", 2)
    first = read()
    tokenizer = load_tokenizer(tiny_model, None)
    texts = [passage(tokenizer, record, "misaligned") for record in split_prompts(topic, CONFIG)[0]]
    for arm in first:
        adapter = None if arm == "base" else tmp_path / arm
        alone = mean_states(load_arm(tiny_model, adapter), tokenizer, texts, CONFIG.batch_tokens)
        found = load_file(tmp_path / "states" / f"{arm}.safetensors")["states"]
        assert found.numpy() == pytest.approx(alone.numpy(), abs=1e-4), arm
    assert read() == first
    train("two", 3)
    second = read()
    assert {arm for arm in first if second[arm] != first[arm]} == {"two"}
    third = read(code="another")
    assert all(third[arm] != second[arm] for arm in third)
    before_answers = ModelConfig(source="x", reasoning=ReasoningConfig(train="<think>\n\n</think>\n\n"))
    fourth = read(code="another", model_config=before_answers)
    assert all(fourth[arm] != third[arm] for arm in fourth)
