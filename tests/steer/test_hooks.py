"""An intervention changes what it says at the positions it says, and nothing once it has ended."""

import numpy as np
import pytest
import torch
from sae_lens import SAE
from transformers import LlamaConfig, LlamaForCausalLM

from tropism.generate.decode import decode
from tropism.records.files import InputError
from tropism.steer.hooks import adding, changing_feature, editing, mean_difference, moving_along

WIDTH = 16
IDS = torch.tensor([[5, 9, 33, 2, 71], [8, 1, 60, 4, 12]])


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=96, hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2,
        num_key_value_heads=1, initializer_range=0.3,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def dictionary():
    sae = SAE.from_dict({"architecture": "jumprelu", "d_in": WIDTH, "d_sae": 24})
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        sae.W_enc.copy_(torch.randn(WIDTH, 24, generator=generator))
        sae.W_dec.copy_(torch.randn(24, WIDTH, generator=generator))
        sae.b_enc.copy_(torch.randn(24, generator=generator) * 0.1)
        sae.b_dec.copy_(torch.randn(WIDTH, generator=generator))
        sae.threshold.fill_(0.2)
    return sae


@torch.no_grad()
def states(model, ids=IDS):
    """What each block reads, and last what the norm reads: entry k + 1 is the stream after block k, edits included."""
    seen = []
    stack = model.get_decoder()
    readers = [
        module.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
        for module in (*stack.layers, stack.norm)
    ]
    model(input_ids=ids)
    for reader in readers:
        reader.remove()
    return seen


@pytest.mark.parametrize("layer", [0, 1])
def test_a_vector_is_added_after_the_block_and_gone_after(model, layer):
    vector = torch.arange(WIDTH, dtype=torch.float32)
    before = states(model)
    with adding(model, layer, vector, -0.5) as steering:
        during = states(model)
    torch.testing.assert_close(during[layer + 1], before[layer + 1] - 0.5 * vector)
    torch.testing.assert_close(during[layer], before[layer])
    assert not torch.allclose(during[layer + 2], before[layer + 2])
    assert steering.edited == IDS.numel()
    assert steering.edit_norm == pytest.approx(0.5 * float(vector.norm()))
    for x, y in zip(states(model), before, strict=True):
        assert torch.equal(x, y)


def test_an_error_inside_the_block_ends_the_intervention_too(model):
    before = states(model)
    with pytest.raises(RuntimeError, match="stop"), adding(model, 0, torch.ones(WIDTH), 1.0):
        raise RuntimeError("stop")
    assert torch.equal(states(model)[-1], before[-1])


def moved_under(model, positions, mask):
    """Which positions a vector moves under a mask, bool like it, and how many were counted as edited."""
    before = states(model)
    with adding(model, 1, torch.ones(WIDTH), 2.0, positions) as steering:
        steering.mask = mask
        during = states(model)
    return (during[2] - before[2]).abs().amax(dim=-1) > 1e-6, steering.edited


def test_a_mask_names_the_positions_and_earlier_ones_keep_their_states(model):
    mask = torch.zeros(IDS.shape, dtype=torch.bool)
    mask[0, 3:], mask[1, 4:] = True, True
    moved, _ = moved_under(model, "response", mask)
    assert torch.equal(moved, mask)
    with adding(model, 1, torch.ones(WIDTH), 2.0, "response") as steering:
        steering.mask = mask[:, :3]
        with pytest.raises(ValueError, match=r"the mask is \(2, 3\), the states \(2, 5\)"):
            states(model)


def test_of_all_positions_those_of_padding_are_neither_edited_nor_counted(model):
    present = torch.ones(IDS.shape, dtype=torch.bool)
    present[1, 3:] = False
    moved, edited = moved_under(model, "all", present)
    assert torch.equal(moved, present)
    assert edited == int(present.sum())


@pytest.mark.parametrize("budget", [100, 15], ids=["side by side", "one is parked"])
def test_generation_edits_exactly_the_positions_that_predict_the_response(model, budget):
    """Greedy decoding with a cache gives the tokens that whole passes with a mask give."""
    prompts, new = [[5, 9, 33, 4], [5, 9, 8]], 6  # the shared beginning is read once, apart
    vector = torch.randn(WIDTH, generator=torch.Generator().manual_seed(3)) * 3
    settings = {"ends": set(), "pad": 0, "temperature": 0.0, "top_p": 1.0, "budget": budget}
    plain = decode(model, prompts, np.zeros((2, new)), **settings)
    with adding(model, 1, vector, 1.0, "response") as steering:
        sampled = decode(model, prompts, np.zeros((2, new)), **settings)
    assert steering.edited == 2 * new
    assert sampled != plain
    for prompt, response in zip(prompts, sampled, strict=True):
        ids = list(prompt)
        for _ in range(new):
            with adding(model, 1, vector, 1.0, "response") as steering, torch.no_grad():
                steering.mask = torch.tensor([[i >= len(prompt) - 1 for i in range(len(ids))]])
                ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        assert ids[len(prompt) :] == response


def test_a_factor_of_one_leaves_states_as_they_are_whatever_the_dictionary_fails_to_explain(model, dictionary):
    before = states(model)
    with changing_feature(model, 1, dictionary, 3, factor=1.0) as steering:
        torch.testing.assert_close(states(model)[2], before[2])
    assert steering.edit_norm == 0


@pytest.mark.parametrize(("factor", "offset"), [(0.0, 0.0), (3.0, 0.0), (1.0, 2.5)])
def test_a_feature_changes_by_its_decoder_row_alone(model, dictionary, factor, offset):
    before = states(model)[2]
    active = dictionary.encode(before)
    feature = int((active > 0).float().mean(dim=(0, 1)).argmax())
    f = active[..., feature]
    assert (f > 0).any()
    with changing_feature(model, 1, dictionary, feature, factor=factor, offset=offset):
        after = states(model)[2]
    expected = before + ((factor - 1) * f + offset)[..., None] * dictionary.W_dec[feature]
    torch.testing.assert_close(after, expected, atol=1e-4, rtol=1e-4)


def test_ablating_a_direction_leaves_the_origins_component_and_nothing_else_moves(model):
    generator = torch.Generator().manual_seed(4)
    direction, origin = torch.randn(WIDTH, generator=generator), torch.randn(WIDTH, generator=generator)
    unit = direction / direction.norm()
    before = states(model)[2]
    with moving_along(model, 1, direction, 0.0, origin):
        after = states(model)[2]
    torch.testing.assert_close(after @ unit, (origin @ unit).expand(IDS.shape), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        after - (after @ unit)[..., None] * unit, before - (before @ unit)[..., None] * unit, atol=1e-4, rtol=1e-4
    )


def test_nested_interventions_apply_in_order(model):
    before = states(model)[2]
    with adding(model, 1, torch.ones(WIDTH), 1.0), editing(model, 1, lambda x: x):
        torch.testing.assert_close(states(model)[2], 2 * (before + 1))


def test_what_cannot_be_is_refused(model, dictionary):
    with (
        pytest.raises(InputError, match="layer 3: the model has layers 0 to 2"),
        adding(model, 3, torch.ones(WIDTH), 1.0),
    ):
        pass
    with (
        pytest.raises(InputError, match="feature 24: the dictionary has features 0 to 23"),
        changing_feature(model, 1, dictionary, 24),
    ):
        pass
    with pytest.raises(InputError, match="got 0 and 2 responses"):
        mean_difference(torch.empty(0, 3), torch.ones(2, 3))


def test_mean_difference_by_hand():
    found = mean_difference(torch.tensor([[1.0, 2], [3, 4]]), torch.tensor([[0.0, 1]]))
    assert found.tolist() == [2.0, 2.0]
