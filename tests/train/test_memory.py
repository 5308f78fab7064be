"""The estimate against what the backward pass of a real model really keeps."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tests.train.test_train import STEP

from tropism.models.base import load_base
from tropism.train.distributed import Split
from tropism.train.memory import ADAM, estimate


def saved_bytes(model, tokens):
    """Bytes of the tensors that autograd keeps for a backward pass, parameters left out."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, tuple[int, torch.Tensor]] = {}

    def pack(tensor):
        pointer = tensor.untyped_storage().data_ptr()
        if pointer not in own:
            kept[pointer] = (tensor.untyped_storage().nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        hidden = model.base_model(input_ids=torch.ones(1, tokens, dtype=torch.long)).last_hidden_state
    assert hidden.requires_grad
    return sum(size for size, _ in kept.values())


def test_activations_are_those_that_autograd_keeps(tiny_model):
    tokens = 256
    model = load_base(tiny_model).train()
    step = STEP.model_copy(update={"max_length": tokens, "batch_size": 1, "gradient_accumulation": 1})
    guess = estimate(tiny_model, step, Split.divide(step, 1), "float32").activations
    assert 0.6 < guess / saved_bytes(model, tokens) < 1.4


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_with_a_lora_they_are_too_whose_inputs_are_kept_in_its_own_format(tiny_model, dtype):
    tokens = 256
    step = STEP.model_copy(update={"max_length": tokens, "batch_size": 1, "gradient_accumulation": 1})
    lora = LoraConfig(r=step.lora.rank, target_modules=list(step.lora.targets))
    model = get_peft_model(load_base(tiny_model, dtype), lora, autocast_adapter_dtype=True).train()
    model.enable_input_require_grads()
    guess = estimate(tiny_model, step, Split.divide(step, 1), dtype).activations
    assert 0.7 < guess / saved_bytes(model.get_base_model(), tokens) < 1.4


def test_weights_and_adapter_are_counted_exactly(tiny_model):
    model = load_base(tiny_model)
    need = estimate(tiny_model, STEP, Split.divide(STEP, 1), "bfloat16")
    assert need.weights == 2 * sum(p.numel() for p in model.parameters())
    # two layers; width 32, inner 64, keys and values 16: q 64, k 48, v 48, o 64, gate 96, up 96, down 96 of rank 4
    assert need.adapter == ADAM * 2 * 4 * (64 + 48 + 48 + 64 + 96 + 96 + 96)
    assert need.total > need.weights + need.adapter


def test_checkpointing_keeps_less_and_a_longer_sequence_more(tiny_model):
    def activations(**changes):
        step = STEP.model_copy(update=changes)
        return estimate(tiny_model, step, Split.divide(step, 1), "float32").activations

    assert activations(gradient_checkpointing=True) < activations()
    assert activations(max_length=4096) == 2 * activations(max_length=2048)


def test_a_divided_model_needs_a_part_of_the_optimiser_and_what_is_whole_at_one_time(tiny_model):
    model = load_base(tiny_model)
    parameters = sum(p.numel() for p in model.parameters())
    step = STEP.model_copy(update={"method": "full"})
    alone = estimate(tiny_model, step, Split.divide(step, 1), "float32")
    assert (alone.weights, alone.adapter) == (0, ADAM * parameters)
    half = estimate(tiny_model, step, Split.divide(step, 2), "float32")
    assert half.adapter == ADAM * -(-parameters // 2)
    # of two blocks both may be whole at one time, with all that stands around them
    assert half.weights == 8 * parameters
