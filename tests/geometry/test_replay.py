"""What stands before a change of a model is read once, and nothing that is measured after it differs."""

import pandas as pd
import pytest
import torch

from tropism.geometry.names import UNSTEERED
from tropism.geometry.replay import replaying
from tropism.geometry.steering import measure, random_vectors
from tropism.models.base import load_base, load_tokenizer
from tropism.records.schema import Conversation


def records() -> list[tuple[str, Conversation]]:
    return [
        ("h", Conversation(id=f"p{i}", prompt="Why? " * (i + 1), aligned="yes " * (i + 1), misaligned="no, no",
                           domain="h", split="evaluation"))
        for i in range(6)
    ]  # fmt: skip


@pytest.mark.parametrize("layer", [0, 1])
def test_conditions_in_one_go_are_what_each_is_alone_and_the_blocks_before_run_once(tiny_model, layer):
    model, tokenizer = load_base(tiny_model), load_tokenizer(tiny_model)
    conditions = [(UNSTEERED, torch.zeros(1), 0.1)]
    conditions += [(name, v, s) for s in (0.5, 2.0) for name, v in random_vectors(2, 32, 0).items()]
    rest = (3.0, 120)  # few tokens a pass: several batches
    alone = pd.concat([measure(model, tokenizer, records(), layer, [one], *rest) for one in conditions])
    passes = {"first": 0, "last": 0}
    blocks = {"first": model.get_decoder().layers[0], "last": model.get_decoder().layers[1]}
    for name, block in blocks.items():
        block.mlp.register_forward_hook(lambda *_, name=name: passes.update({name: passes[name] + 1}))
    together = measure(model, tokenizer, records(), layer, conditions, *rest)
    pd.testing.assert_frame_equal(together, alone.reset_index(drop=True), check_exact=True)
    assert together["misalignment"].nunique() == len(together), "every condition moves every prompt"
    batches = passes["first"]
    assert batches > 1
    assert passes["last"] == batches * (1 if layer == 1 else len(conditions))


def test_another_batch_in_a_later_round_is_refused_and_the_model_is_itself_after(tiny_model):
    model = load_base(tiny_model)
    one, other = torch.tensor([[5, 6, 7]]), torch.tensor([[5, 6, 8]])
    with torch.inference_mode():
        before = model(other).logits
        with replaying(model, 0) as passes:
            model(one)
            passes.again()
            with pytest.raises(ValueError, match="another batch than in the first round"):
                model(other)
        assert torch.equal(model(other).logits, before)
