"""Blocks before an intervention are run once for a text, and nothing that follows is any other for it."""

import pytest
import torch

from tropism.likelihood.score import Candidate, log_probabilities
from tropism.models.base import load_base
from tropism.steer.hooks import adding
from tropism.steer.recall import Recall

LAYER = 0
CANDIDATES = [Candidate((1, 5, 9), (7, 8, 3)), Candidate((1, 5, 9), (4, 2)), Candidate((3, 3), (9, 9, 9, 1))]


@pytest.fixture
def model(tiny_model):
    return load_base(tiny_model)


@pytest.fixture
def counted(model):
    """How often the block was truly run: its attention is only reached then."""
    runs = []
    model.get_decoder().layers[LAYER].self_attn.register_forward_hook(lambda *_: runs.append(1))
    return runs


def scored(model, strength: float) -> list[float]:
    vector = torch.linspace(-1, 1, model.config.hidden_size)
    with adding(model, LAYER, vector, strength):
        return log_probabilities(model, CANDIDATES, 4, "test")


def test_every_condition_gets_what_it_would_get_alone_to_the_bit(model, counted):
    strengths = (0.0, 0.5, -2.0, 0.5)
    alone = [scored(model, strength) for strength in strengths]
    assert alone[0] != alone[1] != alone[2]
    passes = len(counted) // len(strengths)
    counted.clear()
    earlier = Recall(model, LAYER)
    remembered = []
    for strength in strengths:
        with earlier:
            remembered.append(scored(model, strength))
    assert remembered == alone
    assert len(counted) == passes > 1
    assert earlier.recalled == 3 * passes
    assert scored(model, 0.5) == alone[1], "and afterwards the model is as it was"


def test_another_text_is_read_for_itself(model):
    with Recall(model, LAYER) as earlier:
        first = log_probabilities(model, CANDIDATES[:1], 64, "test")
        second = log_probabilities(model, CANDIDATES[1:2], 64, "test")
    assert earlier.recalled == 0
    assert [first, second] == [log_probabilities(model, [c], 64, "test") for c in CANDIDATES[:2]]


def test_passes_with_a_cache_and_those_beyond_the_memory_are_run_whole(model):
    ids = torch.tensor([[1, 5, 9]])
    with torch.no_grad(), Recall(model, LAYER) as earlier:
        for _ in range(2):
            model(input_ids=ids, use_cache=True)
    assert earlier.recalled == 0
    with torch.no_grad(), Recall(model, LAYER, most_bytes=8) as earlier:
        first, second = (model(input_ids=ids, use_cache=False).logits for _ in range(2))
    assert earlier.recalled == 0
    assert torch.equal(first, second)
