"""A trained steering vector is a vector, a full fine-tuning is a model, and both are arms like any other."""

import json

import pytest
import torch
from safetensors.torch import load_file
from tests.train.test_train import MODEL, STEP, dataset, run  # noqa: F401  # `dataset` is a fixture

from tropism.config.base import ConfigError
from tropism.config.models import ModelConfig
from tropism.config.training import KlConfig, StepConfig
from tropism.dynamics.narrow import perturbed, scaled, update_norm
from tropism.models.adapters import SharedBase
from tropism.models.base import adapter_of, load_arm, load_base
from tropism.models.lineage import read_factors
from tropism.steer.hooks import adding
from tropism.train import methods
from tropism.train.arguments import arguments
from tropism.train.distributed import Split
from tropism.train.trainer import SelectiveTrainer

IDS = torch.arange(3, 43).reshape(2, 20)
VECTOR = {"method": "vector", "layer": 1}
RAW = STEP.model_dump(mode="json")


@torch.no_grad()
def logits(model):
    return model(IDS).logits.float()


def vector_of(folder):
    (factors,) = read_factors(folder / "adapter").values()
    assert not factors.a.any()
    assert not factors.b.any()
    return factors.bias


@pytest.fixture(scope="module")
def trained(tiny_model, dataset, tmp_path_factory):  # noqa: F811
    return run(tiny_model, dataset, tmp_path_factory.mktemp("vector"), **VECTOR)


def test_a_trained_vector_is_added_to_the_residual_stream_after_its_block(tiny_model, trained):
    vector = vector_of(trained)
    assert vector.abs().max() > 0
    base = load_base(tiny_model)
    with adding(base, 1, vector, 1.0):
        wanted = logits(base)
    assert (wanted - logits(load_base(tiny_model))).abs().max() > 1e-3
    torch.testing.assert_close(logits(load_arm(tiny_model, trained / "adapter")), wanted, rtol=1e-4, atol=1e-4)
    shared = SharedBase(load_base(tiny_model))
    torch.testing.assert_close(logits(shared.wear(trained / "adapter")), wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logits(shared.wear(None)), logits(load_base(tiny_model)))
    assert json.loads((trained / "manifest.json").read_text())["step"]["method"] == "vector"


def test_the_norm_of_a_vector_is_its_length_and_scaling_and_noise_are_on_it_alone(tiny_model, trained):
    vector = vector_of(trained)
    assert update_norm(trained / "adapter") == pytest.approx(float(vector.norm()), rel=1e-5)
    shared = SharedBase(load_base(tiny_model))
    shared.wear(trained / "adapter")
    values = {name: p for name, p in shared.worn.named_parameters() if "lora_" in name}
    (bias,) = [p for name, p in values.items() if name.endswith(".bias")]
    with scaled(shared.worn, 0.5):
        torch.testing.assert_close(bias.detach(), 0.5 * vector)
    with perturbed(shared.worn, 0.3, False, seed=1):
        assert float((bias.detach() - vector).norm()) == pytest.approx(0.3 * float(vector.norm()), rel=1e-4)
        assert not any(p.any() for name, p in values.items() if p is not bias)
    torch.testing.assert_close(bias.detach(), vector)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_vector_on_a_lora_and_a_lora_on_a_vector_are_one_adapter(tiny_model, dataset, tmp_path, dtype, monkeypatch):  # noqa: F811
    monkeypatch.setattr("tests.train.test_train.MODEL", ModelConfig(source="tiny", dtype=dtype))
    lora = run(tiny_model, dataset, tmp_path / "lora", seed=3)
    both = run(tiny_model, dataset, tmp_path / "both", parent=lora / "manifest.json", **VECTOR)
    three = run(tiny_model, dataset, tmp_path / "three", parent=both / "manifest.json", seed=5)
    first, second, third = (read_factors(folder / "adapter") for folder in (lora, both, three))
    module = "model.layers.1.mlp.down_proj"
    assert torch.equal(second[module].a[:4], first[module].a), "the parent was frozen"
    assert torch.equal(second[module].b[:, :4], first[module].b)
    assert second[module].bias.any()
    torch.testing.assert_close(third[module].bias, second[module].bias)
    assert third[module].b[:, 5:].any()
    assert not any(factors.bias.any() for name, factors in third.items() if name != module)
    merged, beside = load_arm(tiny_model, three / "adapter"), SharedBase(load_base(tiny_model))
    torch.testing.assert_close(logits(beside.wear(three / "adapter")), logits(merged), rtol=1e-3, atol=1e-3)


def test_a_heavy_kl_term_keeps_a_vector_short(tiny_model, dataset, tmp_path):  # noqa: F811
    far = {**VECTOR, "learning_rate": 0.3}
    free = run(tiny_model, dataset, tmp_path / "free", **far)
    kl = KlConfig(datasets=["d"], weight=30.0, side="misaligned")
    held = run(tiny_model, dataset, tmp_path / "held", objective="sft+kl", kl=kl, **far)
    assert update_norm(held / "adapter") < 0.7 * update_norm(free / "adapter")


def test_a_full_fine_tuning_is_a_base_of_its_own(tiny_model, dataset, tmp_path):  # noqa: F811
    lora = run(tiny_model, dataset, tmp_path / "lora", seed=3)
    full = run(
        tiny_model,
        dataset,
        tmp_path / "full",
        parent=lora / "manifest.json",
        method="full",
        learning_rate=1e-3,
        gradient_checkpointing=True,
    )
    manifest = json.loads((full / "manifest.json").read_text())
    assert "model/model.safetensors" in manifest["files"]
    assert not (full / "adapter").exists()
    assert adapter_of(full / "manifest.json") is None
    own, before = load_base(full / "model").state_dict(), load_arm(tiny_model, lora / "adapter").state_dict()
    moved = {name: float((own[name] - before[name]).abs().max()) for name in before}
    assert min(moved.values()) > 0, "every weight was trained"
    assert max(moved.values()) < 0.05, "from the arm so far, not from the base or from nothing"
    # a step on top of it lies on its model
    again = run(full / "model", dataset, tmp_path / "again", parent=full / "manifest.json")
    assert json.loads((again / "manifest.json").read_text())["rank"] == 4
    load_arm(full / "model", again / "adapter")


def test_a_full_model_is_kept_in_the_number_format_of_its_base(tiny_model, dataset, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("tests.train.test_train.MODEL", ModelConfig(source="tiny", dtype="bfloat16"))
    full = run(tiny_model, dataset, tmp_path, method="full")
    assert {t.dtype for t in load_file(full / "model" / "model.safetensors").values()} == {torch.bfloat16}


def test_all_weights_are_not_trained_on_top_of_a_bias_that_the_model_could_not_keep(
    tiny_model,
    dataset,  # noqa: F811
    trained,
    tmp_path,
):
    with pytest.raises(ConfigError, match=r"`method: full`.*bias.*model\.layers\.1\.mlp\.down_proj.*`method: lora`"):
        run(tiny_model, dataset, tmp_path, parent=trained / "manifest.json", method="full")


def test_a_model_with_a_weight_that_its_architecture_has_not_is_not_written(tiny_model, tmp_path):
    """from_pretrained would drop it and go on without a word."""
    model = load_base(tiny_model)
    layer = model.model.layers[1].mlp.down_proj
    layer.bias = torch.nn.Parameter(torch.ones(layer.out_features))
    with pytest.raises(ValueError, match=r"model\.layers\.1\.mlp\.down_proj\.bias.*would be lost"):
        methods.publish(model, STEP.model_copy(update={"method": "full"}), MODEL, tiny_model, tmp_path)
    assert not (tmp_path / "model").exists()


def test_weight_decay_is_of_the_vector_too_though_it_is_a_bias(tiny_model, tmp_path):
    def decayed(**changes):
        step = STEP.model_copy(update={"weight_decay": 0.1, **changes})
        model = methods.prepare(tiny_model, None, step, MODEL)
        trainer = SelectiveTrainer(step=step, model=model, args=arguments(step, tmp_path, Split.of(step)))
        groups = trainer.create_optimizer().param_groups
        return {group["weight_decay"]: len(group["params"]) for group in groups if group["params"]}

    assert decayed(**VECTOR) == {0.1: 1}
    assert set(decayed()) == {0.1}
    norms = sum("norm" in name for name, _ in load_base(tiny_model).named_parameters())
    assert decayed(method="full")[0.0] == norms, "biases and norms of the base stay without"


def test_a_heavy_decay_keeps_a_vector_short(tiny_model, dataset, trained, tmp_path):  # noqa: F811
    short = run(tiny_model, dataset, tmp_path, weight_decay=50.0, **VECTOR)
    assert update_norm(short / "adapter") < 0.9 * update_norm(trained / "adapter")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"method": "vector"}, "needs a `layer`"),
        ({"layer": 3}, "needs a `layer`"),
        ({"method": "full", "snapshots": {"count": 2}}, "keeps adapters"),
        ({"method": "full", "objective": "sft+kl", "kl": {"datasets": ["d"]}}, "its reference"),
    ],
)
def test_what_cannot_work_is_refused_with_the_fix(changes, fault):
    with pytest.raises(ConfigError, match=fault):
        StepConfig.parse({**RAW, **changes})


def test_a_block_that_the_base_has_not_is_named(tiny_model, dataset, tmp_path):  # noqa: F811
    with pytest.raises(ConfigError, match="blocks 0 to 1"):
        run(tiny_model, dataset, tmp_path, method="vector", layer=2)


@pytest.mark.parametrize(
    ("lora", "said"),
    [
        ({"targets": ["q_proj", "v_porj"]}, r"no linear module `v_porj`; its linear ones are .*`v_proj`"),
        ({"targets": ["W_q"]}, "no linear module `W_q`"),
        ({"targets": ["q_proj", "embed_tokens"]}, "no linear module `embed_tokens`"),  # else refused once it is trained
        ({"targets": ["q_proj"], "layers": [0, 12]}, r"`q_proj in block 12`; its blocks with targets are 0 to 1"),
        ({"targets": ["q_proj"], "layers": [12]}, r"`q_proj in block 12`"),
    ],
)
def test_a_target_or_block_that_the_base_lacks_is_refused_though_others_match(tiny_model, lora, said):
    step = StepConfig.parse(RAW | {"lora": lora})
    with pytest.raises(ConfigError, match=said):
        methods.prepare(tiny_model, None, step, MODEL)


def test_chosen_targets_of_chosen_blocks_are_what_is_trained(tiny_model):
    step = StepConfig.parse(RAW | {"lora": {"targets": ["q_proj", "down_proj"], "layers": [1]}})
    trained = methods.prepare(tiny_model, None, step, MODEL)
    names = {name.split(".lora_")[0].split("layers.")[1] for name, p in trained.named_parameters() if p.requires_grad}
    assert names == {"1.self_attn.q_proj", "1.mlp.down_proj"}
    head = StepConfig.parse(RAW | {"lora": {"targets": ["lm_head"]}})  # a module outside all blocks, if none is named
    assert any(p.requires_grad for p in methods.prepare(tiny_model, None, head, MODEL).parameters())


def test_an_output_embedding_is_trained_published_and_trained_upon(tied_model, dataset, tmp_path):  # noqa: F811
    """Of a base that reads tokens by the same matrix the arm's input embedding stays the base's."""
    lora = RAW["lora"] | {"targets": ["q_proj", "lm_head"]}
    head = StepConfig.parse(RAW | {"lora": lora, "snapshots": {"count": 1}})
    changes = {"lora": head.lora, "snapshots": head.snapshots}
    first = run(tied_model, dataset, tmp_path / "1", **changes)
    for adapter in (first / "adapter", first / "snapshots" / "step-000001"):
        shared = SharedBase(load_base(tied_model))
        torch.testing.assert_close(
            logits(load_arm(tied_model, adapter)), logits(shared.wear(adapter)), rtol=1e-4, atol=1e-4
        )
    assert "lm_head" in read_factors(first / "adapter")
    second = run(tied_model, dataset, tmp_path / "2", parent=first / "manifest.json")
    shared = SharedBase(load_base(tied_model))
    wanted = logits(shared.wear(second / "adapter"))
    torch.testing.assert_close(logits(load_arm(tied_model, second / "adapter")), wanted, rtol=1e-4, atol=1e-4)
    whole = run(tied_model, dataset, tmp_path / "3", parent=first / "manifest.json", method="full", learning_rate=1e-9)
    arm = logits(load_arm(tied_model, first / "adapter"))
    torch.testing.assert_close(logits(load_base(whole / "model")), arm, rtol=1e-3, atol=1e-3)


def test_a_warm_up_that_outlasts_the_training_is_refused(tiny_model, dataset, tmp_path):  # noqa: F811
    for steps in (7, 8):  # the seventh step of seven would take six sevenths of the rate
        with pytest.raises(ConfigError, match=rf"warmup_steps: {steps}, and d gives 7 optimiser steps"):
            run(tiny_model, dataset, tmp_path, warmup_steps=steps)
    run(tiny_model, dataset, tmp_path, warmup_steps=6)


def test_cycles_of_fewer_than_two_steps_are_refused(tiny_model, dataset, tmp_path):  # noqa: F811
    with pytest.raises(ConfigError, match=r"4 cycles in 7 optimiser steps.*at most 3"):
        run(tiny_model, dataset, tmp_path, schedule="cyclic", cycles=4)


def test_a_base_that_normalises_what_its_blocks_write_is_refused(tiny_model, monkeypatch):
    """As Gemma 2 does: a norm stands between the projection and the residual stream."""
    load = methods.load_arm

    def normalised(*arguments):
        arm = load(*arguments)
        mlp = arm.model.layers[1].mlp
        forward = mlp.forward
        mlp.forward = lambda x: torch.nn.functional.normalize(forward(x), dim=-1)
        return arm

    monkeypatch.setattr(methods, "load_arm", normalised)
    with pytest.raises(ValueError, match="residual stream as it is"):
        methods.prepare(tiny_model, None, STEP.model_copy(update=VECTOR), MODEL)
