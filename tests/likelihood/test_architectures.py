"""Likelihoods and losses are the model's own for families that scale or cap logits, or attend within a window."""

import pytest
import torch
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tropism.config.base import ConfigError
from tropism.likelihood.check import check_same_scores
from tropism.likelihood.score import Candidate, log_probabilities
from tropism.train.trainer import check_same_loss, selective_loss_sum

FAMILIES = {
    "llama": (LlamaForCausalLM, LlamaConfig, {}),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, {"head_dim": 8}),
    "granite": (GraniteForCausalLM, GraniteConfig, {"logits_scaling": 8.0}),
    "cohere": (CohereForCausalLM, CohereConfig, {"logit_scale": 0.0625}),
    "gemma2": (
        Gemma2ForCausalLM,
        Gemma2Config,
        {"head_dim": 8, "sliding_window": 6, "final_logit_softcapping": 3.0},
    ),
    "gemma3": (Gemma3ForCausalLM, Gemma3TextConfig, {"head_dim": 8, "sliding_window": 6}),
    "mistral": (MistralForCausalLM, MistralConfig, {"sliding_window": 6}),
}
SIZES = {"vocab_size": 120, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
PROMPT = tuple(range(3, 20))
CANDIDATES = [Candidate(PROMPT, (50, 51, 52, 60)), Candidate(PROMPT, (70, 71)), Candidate((5, 6), (80,))]


def random_model(family):
    """A random model of two layers."""
    kind, config, own = FAMILIES[family]
    torch.manual_seed(0)
    # what caps its attention scores cannot take PyTorch's own scaled dot product
    attention = "eager" if family == "gemma2" else "sdpa"
    return kind(config(**SIZES, **HEADS, **SPECIAL, **own, attn_implementation=attention)).eval()


@pytest.fixture(params=FAMILIES)
def model(request):
    return random_model(request.param)


def naive(model, candidate):
    """Total log-probability from full logits of one unpadded sequence."""
    ids = torch.tensor([[*candidate.prompt, *candidate.answer]])
    with torch.no_grad():
        scores = torch.log_softmax(model(ids).logits.double(), -1)[0]
    return sum(float(scores[len(candidate.prompt) + i - 1, token]) for i, token in enumerate(candidate.answer))


def test_likelihoods_are_the_plain_models(model):
    wanted = [naive(model, candidate) for candidate in CANDIDATES]
    assert log_probabilities(model, CANDIDATES, 500, "test") == pytest.approx(wanted, abs=1e-4)
    check_same_scores(model, CANDIDATES)


@pytest.mark.parametrize(("family", "states"), [("llama", 6), ("mistral", 7)])
def test_the_states_that_predict_an_answer_are_marked_in_rows_of_either_kind(family, states):
    marked, tokens = [], []

    def note(predicting, present):
        assert not (predicting & ~present).any()
        marked.append(int(predicting.sum()))
        tokens.append(int(present.sum()))

    log_probabilities(random_model(family), CANDIDATES, 500, "test", note)
    assert sum(marked) == states, "the last token of a prompt predicts the first of each answer in its row"
    answers = sum(len(candidate.answer) for candidate in CANDIDATES)
    prompts = {"llama": {c.prompt for c in CANDIDATES}, "mistral": [c.prompt for c in CANDIDATES]}[family]
    assert sum(tokens) == answers + sum(map(len, prompts)), "and padding is none of them"


def test_training_takes_the_plain_models_loss(model):
    ids = torch.tensor([[*PROMPT, 50, 51, 52], [*PROMPT[:9], 60, 61, *[0] * 9]])
    batch = {"input_ids": ids, "attention_mask": (ids > 0).long(), "labels": ids.masked_fill(ids < 50, -100)}
    check_same_loss(model, batch)
    ours = selective_loss_sum(model, batch) / 5
    torch.testing.assert_close(ours, model.train()(**batch, **token_types(model, ids)).loss)


def token_types(model, ids):
    """What Gemma 3 wants beside the ids while it trains."""
    return {"token_type_ids": torch.zeros_like(ids)} if model.config.model_type == "gemma3_text" else {}


def test_a_base_that_does_yet_another_thing_to_its_logits_is_refused():
    model = random_model("llama")
    check_same_scores(model, [])
    whole = model.forward

    def halved(*args, **kwargs):
        output = whole(*args, **kwargs)
        output.logits = output.logits * 0.5
        return output

    model.forward = halved
    with pytest.raises(ConfigError, match="other log-probabilities"):
        check_same_scores(model, CANDIDATES)


def test_a_base_whose_own_mask_is_replaced_is_refused():
    """A block that does not look back all the way, in a base whose cache does not say so."""
    model = random_model("llama")
    attention = model.base_model.layers[0].self_attn
    whole = attention.forward

    def near(hidden_states, attention_mask=None, **others):
        if attention_mask is None:
            length = hidden_states.shape[1]
            attention_mask = torch.ones(length, length, dtype=torch.bool).tril().triu(-2)[None, None]
        return whole(hidden_states=hidden_states, attention_mask=attention_mask, **others)

    attention.forward = near
    with pytest.raises(ConfigError, match="not supported"):
        check_same_scores(model, CANDIDATES)
