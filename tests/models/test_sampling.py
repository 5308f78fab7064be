"""A base answers from its own distribution, whatever its files set for sampling."""

import pytest
import torch

from tropism.models.base import load_base
from tropism.models.sampling import continuation

IDS = torch.tensor([[5, 9, 5, 9, 5, 9, 5, 9]])
SET = {
    "repetition_penalty": 1.5,
    "no_repeat_ngram_size": 1,
    "suppress_tokens": list(range(3, 200)),
    "top_k": 1,
    "top_p": 0.1,
    "min_p": 0.9,
    "temperature": 0.01,
    "max_length": 9,
}


@pytest.mark.parametrize("temperature", [0.0, 1.5])
@pytest.mark.parametrize("setting", SET)
def test_the_bases_own_settings_change_no_answer(tiny_model, setting, temperature):
    model = load_base(tiny_model)

    def said():
        torch.manual_seed(0)
        return continuation(model, IDS, 12, 0, temperature).tolist()

    plain = said()
    setattr(model.generation_config, setting, SET[setting])
    assert said() == plain
    assert getattr(model.generation_config, setting) == SET[setting], "and they stay where they are"


def test_nothing_is_cut_off_a_distribution_that_is_sampled_from(tiny_model):
    """transformers keeps the 50 likeliest tokens unless it is told otherwise."""
    model = load_base(tiny_model)
    torch.manual_seed(0)
    with torch.inference_mode():
        likeliest = set(model(IDS).logits[0, -1].topk(50).indices.tolist())
    drawn = {int(continuation(model, IDS, 1, 0, 50.0)[0]) for _ in range(40)}
    assert drawn - likeliest
