"""An arm is its base plus one adapter, exactly."""

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from tropism.models.base import load_arm, load_base
from tropism.models.lineage import concatenate, read_factors


def trained_step(model, folder, seed, **settings):
    """Put a LoRA with random factors on ``model``, save it, and give back the model with it merged in."""
    torch.manual_seed(seed)
    peft_model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
    for name, parameter in peft_model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    peft_model.save_pretrained(folder, save_embedding_layers=False)
    return peft_model.merge_and_unload()


STEPS = [
    {"r": 4, "lora_alpha": 8, "use_rslora": True, "target_modules": ["q_proj", "v_proj", "down_proj"]},
    {"r": 3, "lora_alpha": 5, "use_rslora": False, "target_modules": ["q_proj", "up_proj"]},
    {"r": 2, "lora_alpha": 2, "use_rslora": True, "target_modules": ["q_proj"]},
]


@pytest.fixture
def chain(tiny_model, tmp_path):
    """Three steps of different rank, scaling and targets, each trained on top of the earlier ones merged in."""
    model, folders = load_base(tiny_model), []
    for number, settings in enumerate(STEPS):
        folders.append(tmp_path / f"step{number}")
        model = trained_step(model, folders[-1], number, **settings)
    return model, folders


def test_base_and_adapter_give_the_logits_of_the_stepwise_merged_model(tiny_model, chain, tmp_path):
    merged, folders = chain
    assert concatenate(folders, tmp_path / "joined", "tiny") == 9
    ids = torch.arange(3, 43).reshape(2, 20)
    with torch.no_grad():
        expected = merged(ids).logits
        plain_peft = PeftModel.from_pretrained(load_base(tiny_model), str(tmp_path / "joined"))
        torch.testing.assert_close(plain_peft(ids).logits, expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(
            load_arm(tiny_model, tmp_path / "joined")(ids).logits, expected, rtol=1e-4, atol=1e-4
        )
        assert not torch.allclose(load_base(tiny_model)(ids).logits, expected, atol=0.1)


def test_a_lora_on_the_output_embedding_of_a_tied_base_leaves_the_input_embedding(tied_model, tmp_path):
    """Else an arm would be measured with another input embedding than it was trained with."""
    trained_step(load_base(tied_model), tmp_path / "step", 0, r=2, target_modules=["lm_head", "q_proj"])
    concatenate([tmp_path / "step"], tmp_path / "joined", "tied")
    ids = torch.arange(3, 43).reshape(2, 20)
    with torch.no_grad():
        plain_peft = PeftModel.from_pretrained(load_base(tied_model), str(tmp_path / "joined"))
        arm = load_arm(tied_model, tmp_path / "joined")
        torch.testing.assert_close(arm(ids).logits, plain_peft(ids).logits, rtol=1e-4, atol=1e-4)
        embedded = arm.get_input_embeddings().weight
        assert torch.equal(embedded, load_base(tied_model).get_input_embeddings().weight)
        arm.save_pretrained(tmp_path / "whole")
        again = load_base(tmp_path / "whole")
        torch.testing.assert_close(again(ids).logits, arm(ids).logits)


def test_concatenation_is_associative(chain, tmp_path):
    _, (first, second, third) = chain
    concatenate([first, second, third], tmp_path / "all", "tiny")
    concatenate([first, second], tmp_path / "two", "tiny")
    concatenate([tmp_path / "two", third], tmp_path / "stepwise", "tiny")
    whole, stepwise = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("all", "stepwise"))
    assert whole.keys() == stepwise.keys()
    assert all(torch.equal(whole[key], stepwise[key]) for key in whole)


@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("pattern", ["v_proj", "self_attn.v_proj", r"layers\.\d+\.self_attn\.v_proj", r".*1\..*v_proj"])
def test_scales_and_ranks_of_single_modules_are_matched_as_peft_matches_them(tiny_model, tmp_path, pattern, rslora):
    settings = {"r": 4, "lora_alpha": 8, "use_rslora": rslora, "target_modules": ["q_proj", "v_proj"]}
    settings |= {"alpha_pattern": {pattern: 1}, "rank_pattern": {pattern: 2}}
    expected = trained_step(load_base(tiny_model), tmp_path / "own", 0, **settings)
    concatenate([tmp_path / "own"], tmp_path / "joined", "tiny")
    ids = torch.arange(3, 43).reshape(2, 20)
    with torch.no_grad():
        for adapter in (tmp_path / "own", tmp_path / "joined"):
            ours = load_arm(tiny_model, adapter)(ids).logits
            torch.testing.assert_close(ours, expected(ids).logits, rtol=1e-4, atol=1e-4)


def test_a_pattern_is_of_whole_names(tiny_model, tmp_path):
    """`proj` names no module, although it ends the name of each."""
    settings = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}
    trained_step(load_base(tiny_model), tmp_path / "plain", 0, **settings)
    trained_step(load_base(tiny_model), tmp_path / "named", 0, **settings, alpha_pattern={"proj": 1})
    plain, named = read_factors(tmp_path / "plain"), read_factors(tmp_path / "named")
    assert all(torch.equal(plain[module].b, named[module].b) for module in plain)


def test_what_is_not_plain_lora_is_refused(chain, tmp_path):
    _, (first, *_) = chain
    tensors = load_file(first / "adapter_model.safetensors")
    save_file({**tensors, "base_model.model.lm_head.weight": torch.zeros(2, 2)}, first / "adapter_model.safetensors")
    with pytest.raises(ValueError, match="not plain LoRA"):
        concatenate([first], tmp_path / "joined", "tiny")


def test_an_adapter_of_another_architecture_is_refused(tiny_model, chain, tmp_path):
    _, (first, *_) = chain
    tensors = load_file(first / "adapter_model.safetensors")
    renamed = {key.replace("self_attn", "attention"): value for key, value in tensors.items()}
    save_file(renamed, first / "adapter_model.safetensors")
    with pytest.raises(ValueError, match="belongs to another base"):
        load_arm(tiny_model, first)
