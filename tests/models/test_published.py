"""A published adapter becomes a lineage that answers as PEFT says it should."""

import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tests.models.test_adapters import logits

from tropism.models.base import load_arm, load_base
from tropism.models.published import take_adapter
from tropism.records.files import InputError, sha256_file

HEADER = "name,kind,location,revision,sha256,licence\n"


@pytest.fixture
def registry(tiny_model, tmp_path):
    """A registry with a LoRA of the tiny base, rsLoRA as the model organisms are."""
    torch.manual_seed(0)
    settings = LoraConfig(r=4, lora_alpha=8, use_rslora=True, target_modules=["q_proj", "down_proj"])
    model = get_peft_model(load_base(tiny_model), settings)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(tmp_path / "shelf" / "organism")
    (tmp_path / "resources").mkdir()
    path = tmp_path / "resources" / "registry.csv"
    sha = sha256_file(tmp_path / "shelf" / "organism" / "adapter_model.safetensors")
    path.write_text(HEADER + f"organism,adapter,shelf/organism,,{sha},MIT\n")
    return path


def test_a_published_adapter_is_a_lineage_of_the_same_model(tiny_model, registry, tmp_path):
    take_adapter("organism", registry, tiny_model, tmp_path / "lineage")
    theirs = PeftModel.from_pretrained(load_base(tiny_model), str(tmp_path / "shelf" / "organism"))
    torch.testing.assert_close(
        logits(load_arm(tiny_model, tmp_path / "lineage" / "adapter")), logits(theirs), rtol=1e-3, atol=1e-3
    )
    manifest = json.loads((tmp_path / "lineage" / "manifest.json").read_text())
    assert manifest["source"] == "organism"
    assert manifest["rank"] == 4
    assert "adapter/adapter_model.safetensors" in manifest["files"]


def test_an_adapter_of_another_base_is_refused_by_the_module_that_does_not_fit(tiny_model, registry, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    config = json.loads((tiny_model / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"intermediate_size": 128}))
    (other / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="down_proj` is 32 x 64, the base's is 32 x 128"):
        take_adapter("organism", registry, other, tmp_path / "lineage")
    assert not (tmp_path / "lineage").exists()


def test_other_weights_than_registered_are_refused(tiny_model, registry, tmp_path):
    with (tmp_path / "shelf" / "organism" / "adapter_model.safetensors").open("ab") as file:
        file.write(b" ")
    with pytest.raises(InputError, match=r"registry.csv, line 2 .organism.: .* has sha256"):
        take_adapter("organism", registry, tiny_model, tmp_path / "lineage")


@pytest.mark.parametrize("initial", ["pissa", "pissa_niter_16", "olora", "OLoRA", "corda", "loftq", "lora_ga"])
def test_an_adapter_of_a_base_that_its_start_has_changed_is_refused_with_the_conversion(
    tiny_model, registry, tmp_path, initial
):
    path = tmp_path / "shelf" / "organism" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"init_lora_weights": initial}))
    with pytest.raises(InputError, match=f"`init_lora_weights: {initial}`.*path_initial_model_for_weight_conversion"):
        take_adapter("organism", registry, tiny_model, tmp_path / "lineage")
    assert not (tmp_path / "lineage").exists()


@pytest.mark.parametrize("initial", [True, False, "gaussian", "orthogonal", "mica"])
def test_a_start_that_leaves_the_base_as_it_is_is_taken(tiny_model, registry, tmp_path, initial):
    path = tmp_path / "shelf" / "organism" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"init_lora_weights": initial}))
    take_adapter("organism", registry, tiny_model, tmp_path / "lineage")
    assert (tmp_path / "lineage" / "manifest.json").is_file()


def test_what_is_no_adapter_is_named(tiny_model, registry, tmp_path):
    with pytest.raises(InputError, match="no `adapter` is registered as `smollm2`"):
        take_adapter("smollm2", registry, tiny_model, tmp_path / "lineage")
