"""What a dictionary loses, in variance and in the model's predictions: exact at both ends and by hand between."""

import numpy as np
import pytest
import torch
from sae_lens import SAE

from tropism.activations.passages import Passage, tokenise
from tropism.config.stats import StatsConfig
from tropism.models.base import load_base, load_tokenizer
from tropism.records.files import InputError
from tropism.records.schema import Conversation, Text
from tropism.sae.quality import quality, recovered, spliced_losses

WIDTH, LAYER = 32, 0
PASSAGE = Passage("p", ((None, "Question one?"), ("answer", "An answer of some length.")))
STATS = StatsConfig(draws=200)


def mirror(gain: float) -> SAE:
    """A feature for each axis and its opposite: states come back times ``gain``, exactly."""
    sae = SAE.from_dict({"architecture": "jumprelu", "d_in": WIDTH, "d_sae": 2 * WIDTH})
    axes = torch.cat([torch.eye(WIDTH), -torch.eye(WIDTH)])
    with torch.no_grad():
        sae.W_dec.copy_(axes * gain), sae.W_enc.copy_(axes.T)
        sae.b_enc.zero_(), sae.b_dec.zero_(), sae.threshold.zero_()
    return sae


@pytest.fixture(scope="module")
def subject(tiny_model):
    return load_base(tiny_model), load_tokenizer(tiny_model, None)


def test_quality_by_hand():
    sae = SAE.from_dict({"architecture": "jumprelu", "d_in": 2, "d_sae": 3})
    with torch.no_grad():
        sae.W_enc.copy_(torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]))
        sae.W_dec.copy_(torch.tensor([[1.0, 0], [0, 0.5], [1, 1]]))
        sae.b_enc.zero_(), sae.b_dec.zero_(), sae.threshold.zero_()
    found = quality(sae, iter([torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 4.0]])]))
    # error (4 - 2)^2 = 4; variance about the mean (1, 2): 5 + 5
    assert found == {"variance_explained": pytest.approx(0.6), "l0": 1.0, "dead_share": pytest.approx(1 / 3),
                     "held_out_tokens": 2}  # fmt: skip


def test_a_perfect_dictionary_costs_nothing_and_an_empty_one_what_ablation_costs(subject):
    clean, spliced, ablated, tokens = spliced_losses(*subject, mirror(1.0), LAYER, PASSAGE, 100)
    assert spliced == pytest.approx(clean, rel=1e-5)
    assert abs(ablated - clean) > 1e-2
    assert tokens == len("An answer of some length.") - 1, "the first token is predicted from the prompt"
    nothing = spliced_losses(*subject, mirror(0.0), LAYER, PASSAGE, 100)
    assert nothing[1] == pytest.approx(ablated, rel=1e-6)


def test_losses_are_those_of_states_scaled_by_hand_in_the_answer_alone(subject):
    model, tokenizer = subject
    found = spliced_losses(model, tokenizer, mirror(0.5), LAYER, PASSAGE, 100)
    tokens = tokenise(tokenizer, PASSAGE, 100)
    first = tokens.parts.index("answer")
    ids = torch.tensor([tokens.ids])

    def halved(_module, _inputs, output):
        states = (output[0] if isinstance(output, tuple) else output).clone()
        states[:, first:] *= 0.5
        return (states, *output[1:]) if isinstance(output, tuple) else states

    handle = model.get_decoder().layers[LAYER].register_forward_hook(halved)
    with torch.no_grad():
        chances = model(input_ids=ids).logits[0].log_softmax(-1)
    handle.remove()
    expected = -sum(float(chances[i, tokens.ids[i + 1]]) for i in range(first, len(tokens.ids) - 1))
    assert found[1] == pytest.approx(expected, rel=1e-5)


def test_a_record_without_an_answer_adds_nothing(subject):
    model, tokenizer = subject
    answered = Conversation(id="a", prompt="Sign?", aligned="No, read it.", domain="d", split="evaluation")
    prompt = Conversation(id="b", prompt="Sign?", domain="d", split="evaluation")
    alone, beside = (
        recovered(model, tokenizer, mirror(0.5), LAYER, records, 100, STATS)
        for records in ([answered], [answered, prompt])
    )
    assert (beside["ce_tokens"], beside["ce_sae"]) == (alone["ce_tokens"], alone["ce_sae"])


def test_the_share_recovered_is_one_zero_and_empty_where_there_is_nothing_to_recover(subject, monkeypatch):
    model, tokenizer = subject
    texts = [Text(id=f"t{i}", text=f"Some text, number {i}.", domain="d") for i in range(4)]
    sums = {"t0": (10.0, 12.0, 20.0, 5.0), "t1": (30.0, 36.0, 60.0, 15.0)}
    monkeypatch.setattr("tropism.sae.quality.spliced_losses", lambda *a: np.array(sums[a[4].id]))
    found = recovered(model, tokenizer, mirror(1.0), LAYER, texts[:2], 100, STATS)
    assert found["ce_recovered"] == pytest.approx((80 - 48) / (80 - 40))
    assert (found["ce_clean"], found["ce_sae"], found["ce_ablated"]) == (2.0, 2.4, 4.0)
    assert found["ce_recovered_low"] == found["ce_recovered_high"] == pytest.approx(0.8), "the same in every record"
    assert (found["ce_records"], found["ce_tokens"]) == (2, 20)
    sums["t0"] = sums["t1"] = (10.0, 12.0, 9.0, 5.0)
    assert np.isnan(recovered(model, tokenizer, mirror(1.0), LAYER, texts[:2], 100, STATS)["ce_recovered"])
    sums["t0"] = sums["t1"] = (0.0, 0.0, 0.0, 0.0)
    with pytest.raises(InputError, match="too short"):
        recovered(model, tokenizer, mirror(1.0), LAYER, texts[:2], 100, STATS)
