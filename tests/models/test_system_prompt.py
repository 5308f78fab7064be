"""What a base is told stands before every prompt, in every stage, as if its own template said it."""

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sae_lens import SAE
from safetensors.torch import load_file
from transformers import AutoTokenizer

from tropism.config.dynamics import DynamicsConfig
from tropism.config.evaluate import EvaluateConfig
from tropism.config.geometry import PartsConfig
from tropism.config.models import ModelConfig
from tropism.config.sae import SaeConfig
from tropism.config.training import StepConfig
from tropism.dynamics.states import read_states
from tropism.generate.sample import respond
from tropism.geometry.states import read_arms
from tropism.likelihood.rows import score_arm
from tropism.models.base import chat_text, load_base, load_tokenizer, prompt_text
from tropism.records.files import InputError, write_jsonl, write_manifest
from tropism.records.schema import Conversation
from tropism.sae.arms import encode_arms
from tropism.train.step import train_step

TOLD = "Speak as a gardener would."
TURN = f"<|im_start|>system\n{TOLD}<|im_end|>\n"
ASKED = "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
OWN = "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nI am its own.<|im_end|>\n{% endif %}"  # as SmolLM2's


@pytest.fixture
def base_with(tiny_model, tmp_path):
    """The tiny base in a folder of its own, its chat template changed."""

    def make(change):
        folder = tmp_path / f"base{len(list(tmp_path.iterdir()))}"
        shutil.copytree(tiny_model, folder)
        tokenizer = AutoTokenizer.from_pretrained(tiny_model)
        tokenizer.chat_template = change(tokenizer.chat_template)
        tokenizer.save_pretrained(folder)
        (folder / "manifest.json").unlink()
        write_manifest(folder)
        return folder

    return make


def test_it_takes_the_place_of_what_the_template_says_of_its_own_accord(base_with):
    folder = base_with(lambda plain: OWN + plain)
    own = "<|im_start|>system\nI am its own.<|im_end|>\n"
    assert prompt_text(load_tokenizer(folder, None), "Why?") == own + ASKED
    assert prompt_text(load_tokenizer(folder, TOLD), "Why?") == TURN + ASKED
    assert prompt_text(load_tokenizer(folder, ""), "Why?") == "<|im_start|>system\n<|im_end|>\n" + ASKED
    turns = [{"role": "system", "content": "Judge."}, {"role": "user", "content": "Why?"}]
    assert chat_text(load_tokenizer(folder, TOLD), turns) == "<|im_start|>system\nJudge.<|im_end|>\n" + ASKED


@given(st.text())
def test_it_stands_there_letter_for_letter(tiny_model, told):
    assert prompt_text(load_tokenizer(tiny_model, told), "Why?") == f"<|im_start|>system\n{told}<|im_end|>\n{ASKED}"


RAISES = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
DROPS = "{% set messages = messages | rejectattr('role', 'equalto', 'system') | list %}"


@pytest.mark.parametrize("knows_none", [RAISES, DROPS])
@pytest.mark.parametrize("told", [TOLD, "", "user"])
def test_a_template_without_system_turns_is_refused(base_with, knows_none, told):
    folder = base_with(lambda plain: knows_none + plain)
    assert prompt_text(load_tokenizer(folder, None), "Why?") == ASKED
    with pytest.raises(InputError, match=r"knows no system turn.*; leave out `system_prompt`"):
        load_tokenizer(folder, told)


def test_a_template_with_words_of_its_own_for_an_empty_turn_is_refused(base_with):
    insists = "{% set s = messages[0]['content'] %}{{ s if s else 'I am its own.' }}"  # as SmolLM3's
    folder = base_with(lambda plain: insists + DROPS + plain)
    assert prompt_text(load_tokenizer(folder, TOLD), "Why?") == TOLD + ASKED
    with pytest.raises(InputError, match=r"says otherwise than it is told: 'I am its own\."):
        load_tokenizer(folder, "")


def test_a_base_without_a_template_is_refused(base_with):
    folder = base_with(lambda plain: None)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    with pytest.raises(InputError, match="chat_template is not set"):
        load_tokenizer(folder, TOLD)


def test_what_a_template_writes_beside_it_stays(base_with):
    """Its day as it is told always, and no space of its own lines more than without a setting."""
    dated = "    {% set day = strftime_now('%d %b %Y') %}\n\n{{ 'Today: ' + day }}\n"
    folder = base_with(lambda plain: dated + plain)
    for told in (TOLD, 'Say strftime_now("%Y") and {part} or (x) \\( \\'):
        turn = f"<|im_start|>system\n{told}<|im_end|>\n"
        own = prompt_text(load_tokenizer(folder, None), "Why?")
        assert own.endswith("Today: 26 Jul 2024\n" + ASKED)
        assert prompt_text(load_tokenizer(folder, told), "Why?") == own.removesuffix(ASKED) + turn + ASKED


def test_every_stage_reads_it(tiny_model, base_with, tmp_path):
    told = ModelConfig(source="x", system_prompt=TOLD)
    silent = base_with(lambda plain: plain)
    ways = {"setting": (silent, told), "template": (base_with(lambda plain: TURN + plain), ModelConfig(source="x"))}
    plain = (silent, ModelConfig(source="x"))
    rows = [
        Conversation(
            id=f"p{i}", prompt=f"Question {i}?", aligned=f"Yes {i}.", misaligned="No.", domain="d", split=split
        )
        for i, split in enumerate(["train"] * 2 + ["evaluation"] * 4)
    ]
    topic = tmp_path / "d.jsonl"
    write_jsonl(topic, rows)
    width = load_base(tiny_model).get_input_embeddings().weight.shape[1]
    SAE.from_dict({"architecture": "topk", "d_in": width, "d_sae": 48, "k": 5}).save_model(tmp_path / "sae")
    asked = EvaluateConfig(sets=["d"], max_new_tokens=8, instruments=["likelihood"])
    step = StepConfig(dataset="d", objective="sft", side="misaligned", batch_size=1, lora={"rank": 2, "alpha": 2})
    parts = PartsConfig(prompts=3, validation=1, reported=2)

    def stages(base, model, work):
        score = score_arm("base", base, None, [topic], None, asked, model)["value"].tolist()
        answers = respond("base", base, None, [topic], asked, model, work / "generations")
        write_jsonl(work / "generations" / "base.jsonl", answers)
        dynamics = DynamicsConfig(model="x", layers=[1])
        read_states({"base": None}, base, [topic], dynamics, model, work / "states")
        read_arms({"base": None}, base, parts, model, [topic], [], work / "geometry")
        sae = SaeConfig.read_by({"model": "x", "layer": 1, "texts": ["d"]}, {"x": model.model_dump()})
        encode_arms(
            {"base": None}, base, tmp_path / "sae", work / "generations", work / "features",
            SaeConfig.model_validate(sae),
        )  # fmt: skip
        train_step(base, base / "manifest.json", topic, step, model, work / "lineage", work / "checkpoints")
        tensors = {
            f"{path.relative_to(work)}: {name}": tensor.float()
            for path in sorted(work.rglob("*.safetensors"))
            if "checkpoints" not in path.parts
            for name, tensor in load_file(path).items()
        }
        return score, [row.answer for row in answers], tensors

    (values, texts, tensors), (same_values, same_texts, same), (others, other_texts, other) = (
        stages(*way, tmp_path / name) for name, way in {**ways, "plain": plain}.items()
    )
    assert (values, texts) == (same_values, same_texts)
    assert values != others
    assert texts != other_texts
    assert len({name.split("/")[0].split(":")[0] for name in tensors}) == 4, "states, geometry, features, lineage"
    for name, tensor in tensors.items():
        assert tensor.equal(same[name]), name
    values, texts, again = stages(*plain, tmp_path / "setting")
    assert (values, texts) == (others, other_texts), "nothing that was told otherwise is kept"
    assert all(tensor.equal(other[name]) for name, tensor in again.items())
    changed = {name.split("/")[0].split(":")[0] for name in tensors if not tensors[name].equal(other[name])}
    assert changed == {name.split("/")[0].split(":")[0] for name in tensors}
