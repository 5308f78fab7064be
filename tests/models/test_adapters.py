"""Adapters beside the weights: nothing small is rounded away, and one base wears many."""

import pytest
import torch
from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file

from tropism.config.models import ModelConfig
from tropism.models.adapters import SharedBase, attach, with_new_step
from tropism.models.base import load_arm, load_base, prompt_text, template_opening
from tropism.models.lineage import concatenate, merge, read_factors

IDS = torch.arange(3, 43).reshape(2, 20)


@pytest.fixture
def adapter(tiny_model, tmp_path):
    """A saved LoRA with random factors of a given size."""

    def make(seed, std=0.1, rank=4, targets=("q_proj", "down_proj")):
        torch.manual_seed(seed)
        model = get_peft_model(
            load_base(tiny_model), LoraConfig(r=rank, lora_alpha=8, target_modules=list(targets), task_type="CAUSAL_LM")
        )
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=std)
        folder = tmp_path / f"{seed}-{std}"
        model.save_pretrained(folder)
        return folder

    return make


def logits(model):
    with torch.no_grad():
        return model(IDS).logits.float()


def test_unmerged_is_merged_in_float32(tiny_model, adapter):
    folder = adapter(0)
    torch.testing.assert_close(
        logits(attach(load_base(tiny_model), folder)),
        logits(merge(load_base(tiny_model), folder)),
        rtol=1e-4,
        atol=1e-4,
    )


@torch.no_grad()
def test_in_bfloat16_an_adapter_too_small_for_the_weights_still_acts(tiny_model, adapter):
    """How much of an adapter's effect arrives, on inputs that it reads: the slope of a layer's change on the true one.

    The output is rounded too, beside or merged. But an adapter is of low rank: where it acts its output is large, while
    its every weight is small.
    """
    folder = adapter(0, std=5e-3)
    base, arm = load_base(tiny_model, "bfloat16"), load_arm(tiny_model, folder, "bfloat16")
    rounded = merge(load_base(tiny_model, "bfloat16"), folder)
    assert {p.dtype for name, p in arm.named_parameters() if "lora_" in name} == {torch.float32}
    assert {p.dtype for name, p in arm.named_parameters() if "lora_" not in name} == {torch.bfloat16}
    assert arm.dtype == torch.bfloat16
    module = "model.layers.0.mlp.down_proj"
    a, b, _ = read_factors(folder)[module]
    x = torch.randn(2048, a.shape[0], generator=torch.Generator().manual_seed(1)) @ a
    x = (x / x.std()).bfloat16()
    wanted = x.float() @ (b @ a).T
    before = base.get_submodule(module)(x).float()

    def arriving(model):
        change = model.get_submodule(module)(x).float() - before
        return float((change * wanted).sum() / wanted.square().sum())

    assert arriving(arm) == pytest.approx(1, abs=0.25)
    assert arriving(rounded) < 0.5 * arriving(arm), "merging rounds most of it away, which is why it is not merged"


def test_one_base_wears_arm_after_arm_and_is_itself_again(tiny_model, adapter):
    folders = [adapter(1), adapter(2, rank=3, targets=("v_proj",)), None, adapter(1)]
    shared = SharedBase(load_base(tiny_model))
    for folder in [*folders, None]:
        torch.testing.assert_close(
            logits(shared.wear(folder)), logits(load_arm(tiny_model, folder)), rtol=1e-4, atol=1e-4
        )
    assert torch.equal(logits(shared.wear(None)), logits(load_base(tiny_model))), "bit for bit"


def test_a_step_on_an_unmerged_parent_trains_alone_and_adds_up(tiny_model, adapter, tmp_path):
    parent = adapter(3)
    lora = LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "up_proj"], task_type="CAUSAL_LM")
    stacked = with_new_step(load_base(tiny_model), parent, lora)
    trained = {name for name, p in stacked.named_parameters() if p.requires_grad}
    assert trained
    assert all(".default." in name for name in trained)
    torch.testing.assert_close(logits(stacked), logits(load_arm(tiny_model, parent)), rtol=1e-4, atol=1e-4)
    optimiser = torch.optim.SGD([p for p in stacked.parameters() if p.requires_grad], lr=1.0)
    for _ in range(3):
        stacked(IDS, labels=IDS).loss.backward()
        optimiser.step()
    stacked.save_pretrained(str(tmp_path / "own"), selected_adapters=["default"])
    concatenate([parent, tmp_path / "own"], tmp_path / "joined", "tiny")
    torch.testing.assert_close(logits(load_arm(tiny_model, tmp_path / "joined")), logits(stacked), rtol=1e-3, atol=1e-3)
    again = with_new_step(load_base(tiny_model), parent, lora)  # as a resumed training does
    set_peft_model_state_dict(again, load_file(tmp_path / "own" / "adapter_model.safetensors"))
    torch.testing.assert_close(logits(again), logits(stacked), rtol=1e-5, atol=1e-5)


def test_an_adapter_of_another_architecture_is_refused(tiny_model, base_model, adapter):
    folder = adapter(4)
    shallow = load_base(tiny_model)
    shallow.model.layers = shallow.model.layers[:1]
    with pytest.raises(ValueError, match="belongs to another base"):
        attach(shallow, folder)


def test_bfloat16_is_a_setting():
    assert ModelConfig(source="m", dtype="bfloat16").dtype == "bfloat16"


class Template:
    """A tokenizer whose template ends as given."""

    def __init__(self, end):
        self.end = end

    def get_chat_template(self):
        return self.end

    def apply_chat_template(self, messages, **options):
        return f"<user>{messages[0]['content']}<assistant>{self.end}"


@pytest.mark.parametrize("end", ["", "<think>\n", "<think>"])
def test_a_reasoning_is_opened_once_whatever_the_template_does(end):
    assert prompt_text(Template(end), "Why <think>?", "<think>\nOkay.") == "<user>Why <think>?<assistant><think>\nOkay."
    assert prompt_text(Template(end), "Why?") == "<user>Why?<assistant>", "in training nothing is opened unasked"
    assert template_opening(Template(end)) == end
