"""The KL term is the KL of the definition, its gradient is the naive one, and it holds a training back."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import PreTrainedConfig

from tropism.config.training import SnapshotConfig, StepConfig
from tropism.models.adapters import with_new_step
from tropism.models.base import load_arm, load_base
from tropism.train import kl as room
from tropism.train.schedule import triangular
from tropism.train.snapshots import snapshot_steps


@pytest.fixture
def adapted(tiny_model):
    torch.manual_seed(1)
    model = get_peft_model(load_base(tiny_model), LoraConfig(r=2, target_modules=["q_proj", "down_proj"]))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.5)
    return model


def batch():
    labels = torch.tensor([[-100, -100, 7, 8, 9], [-100, 4, 5, -100, -100]])
    return {
        "input_ids": torch.tensor([[5, 6, 7, 8, 9], [3, 4, 5, 0, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
        "labels": labels,
    }


def naive(model, inputs):
    """KL(reference || current) over labelled positions from full logits."""
    fed = {key: inputs[key] for key in ("input_ids", "attention_mask")}
    with torch.no_grad(), model.disable_adapter():
        p = torch.softmax(model(**fed).logits[:, :-1].double(), -1)
    q = torch.softmax(model(**fed).logits[:, :-1].double(), -1)
    wanted = inputs["labels"][:, 1:] != -100
    return (p * (p.log() - q.log())).sum(-1)[wanted].sum()


def test_two_distributions_by_hand():
    """p = (1/2, 1/2), q = (1/4, 3/4): KL = 1/2 log 2 + 1/2 log 2/3 = 0.1438 nats."""

    class Fixed(torch.nn.Module):
        """A model of one position whose logits are its hidden state: with the adapter q, without it p."""

        def __init__(self):
            super().__init__()
            self.states = {True: torch.tensor([0.25, 0.75]).log(), False: torch.tensor([0.5, 0.5]).log()}
            self.adapter, self.peft_config, self.config = True, {}, PreTrainedConfig()

        @property
        def base_model(self):
            return self

        def get_base_model(self):
            return self

        def get_output_embeddings(self):
            return torch.nn.Identity()

        def disable_adapter(self):
            model = self

            class Off:
                def __enter__(self):
                    model.adapter = False

                def __exit__(self, *_):
                    model.adapter = True

            return Off()

        def forward(self, input_ids, attention_mask):
            state = self.states[self.adapter]
            return type("Output", (), {"last_hidden_state": state.expand(1, 2, 2)})

    inputs = {name: torch.tensor([[0, 1]]) for name in ("input_ids", "attention_mask", "labels")}
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert float(room.reference_kl_sum(Fixed(), inputs)) == pytest.approx(expected, abs=1e-6)


def compare_with_the_naive_form(model, atol=1e-5):
    """Value and every gradient of both forms; the names of what is trained."""
    found = {}
    for form in (room.reference_kl_sum, naive):
        model.zero_grad()
        value = form(model, batch())
        value.backward()
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}
        found[form] = float(value.detach()), gradients
    (ours, gradients), (theirs, wanted) = found.values()
    assert ours == pytest.approx(theirs, rel=1e-4)
    assert theirs > 0.1, "the adapter does change the distribution"
    for name, gradient in wanted.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-3, atol=atol)
    return list(wanted)


def test_the_reference_is_without_the_dropout_that_the_current_model_has(tiny_model):
    base = load_base(tiny_model)
    for module in base.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.5
    model = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"]))
    fed = {key: batch()[key] for key in ("input_ids", "attention_mask")}
    wanted = batch()["labels"][:, 1:] != -100
    with torch.no_grad():
        p = torch.log_softmax(model.eval()(**fed).logits[:, :-1][wanted].double(), -1)
        torch.manual_seed(3)
        q = torch.log_softmax(model.train()(**fed).logits[:, :-1][wanted].double(), -1)
        torch.manual_seed(3)
        ours = room.reference_kl_sum(model, batch())
    expected = float((p.exp() * (p - q)).sum())
    assert expected > 1e-4, "dropout alone moves the current model"
    assert float(ours) == pytest.approx(expected, rel=1e-3)
    assert model.training


@pytest.mark.parametrize("chunk", [1, 2, 128])
def test_value_and_gradient_are_those_of_the_naive_form(adapted, monkeypatch, chunk):
    monkeypatch.setattr(room, "CHUNK", chunk)
    compare_with_the_naive_form(adapted)


def kept_for_backward(model, inputs):
    """Shapes of all that the forward pass keeps for the backward pass."""
    shapes = []

    def keep(tensor):
        shapes.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        room.reference_kl_sum(model, inputs)
    return shapes


def test_what_is_kept_for_the_backward_pass_does_not_grow_with_vocabulary_x_sequence(adapted, monkeypatch):
    vocabulary, labelled = adapted.config.vocab_size, 5

    def logits():
        return sum(math.prod(shape) for shape in kept_for_backward(adapted, batch()) if shape[-1:] == (vocabulary,))

    assert logits() >= labelled * vocabulary, "in one chunk the logits are kept, and seen here"
    monkeypatch.setattr(room, "CHUNK", 2)
    assert logits() == 0


def test_in_bfloat16_it_is_nearly_that_of_float32_and_its_gradient_too(adapted):
    def value_and_gradient():
        adapted.zero_grad()
        value = room.reference_kl_sum(adapted, batch())
        value.backward()
        parts = [p.grad.flatten() for _, p in adapted.named_parameters() if p.requires_grad]
        return float(value.detach()), torch.cat(parts)

    exact, gradient = value_and_gradient()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded, other = value_and_gradient()
    assert rounded == pytest.approx(exact, rel=0.1)
    assert float(torch.nn.functional.cosine_similarity(gradient, other, dim=0)) > 0.98


def test_the_reference_of_an_unmerged_lineage_keeps_its_parent(adapted, tiny_model, tmp_path):
    adapted.save_pretrained(str(tmp_path / "parent"))
    torch.manual_seed(2)
    stacked = with_new_step(load_base(tiny_model), tmp_path / "parent", LoraConfig(r=2, target_modules=["v_proj"]))
    for name, parameter in stacked.named_parameters():
        if "lora_B.default" in name:
            parameter.data.normal_(std=0.5)
    trained = {name for name, parameter in stacked.named_parameters() if parameter.requires_grad}
    found = room.reference_kl_sum(stacked, batch())
    fed = {key: batch()[key] for key in ("input_ids", "attention_mask")}
    with torch.no_grad():
        p = torch.softmax(load_arm(tiny_model, tmp_path / "parent")(**fed).logits[:, :-1].double(), -1)
        q = torch.softmax(stacked(**fed).logits[:, :-1].double(), -1)
    wanted = batch()["labels"][:, 1:] != -100
    assert float(found.detach()) == pytest.approx(float((p * (p.log() - q.log())).sum(-1)[wanted].sum()), rel=1e-3)
    assert {name for name, parameter in stacked.named_parameters() if parameter.requires_grad} == trained
    assert trained
    assert all("v_proj" in name for name in trained)


def test_a_trained_output_embedding_is_not_the_references(tiny_model, monkeypatch):
    torch.manual_seed(1)
    model = get_peft_model(load_base(tiny_model), LoraConfig(r=2, target_modules=["q_proj", "lm_head"]))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.5)
    for chunk in (2, 100):
        monkeypatch.setattr(room, "CHUNK", chunk)
        assert any("lm_head" in name for name in compare_with_the_naive_form(model, atol=1e-4))


def test_without_a_difference_it_is_zero(tiny_model):
    model = get_peft_model(load_base(tiny_model), LoraConfig(r=2, target_modules=["q_proj"]))
    assert float(room.reference_kl_sum(model, batch()).detach()) == pytest.approx(0, abs=1e-6)


@given(st.integers(1, 400), st.integers(1, 12), st.sampled_from(["log", "linear"]))
def test_snapshots_lie_within_the_training(total, count, spacing):
    steps = snapshot_steps(total, SnapshotConfig(count=count, spacing=spacing))
    assert steps == sorted(set(steps))
    assert len(steps) <= count
    assert all(0 < step < total for step in steps)


def test_snapshots_by_hand():
    assert snapshot_steps(16, SnapshotConfig(count=4, spacing="log")) == [1, 2, 4, 8]
    assert snapshot_steps(10, SnapshotConfig(count=4, spacing="linear")) == [2, 4, 6, 8]


def test_triangles_by_hand():
    assert [triangular(step, 8, 0, 2) for step in range(9)] == [0, 0.5, 1, 0.5, 0, 0.5, 1, 0.5, 0]
    risen = [triangular(step, 8, 2, 2) for step in range(9)]
    assert risen == [0, 0.5, 1, 0.5, 0, 0.5, 1, 0.5, 0], "a warm-up as long as a rise changes nothing"


def test_kl_settings_go_with_their_objective():
    with pytest.raises(Exception, match="needs `kl`"):
        StepConfig.parse({"dataset": "d", "objective": "sft+kl", "side": "aligned"})
    with pytest.raises(Exception, match="needs `kl`"):
        StepConfig.parse({"dataset": "d", "objective": "sft", "side": "aligned", "kl": {"datasets": ["e"]}})
