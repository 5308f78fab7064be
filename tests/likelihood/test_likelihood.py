"""Log-probabilities are the model's own, and the instruments are what their definitions say."""

import math

import pytest
import torch

from tropism.config.evaluate import EvaluateConfig
from tropism.config.models import ModelConfig
from tropism.likelihood.instruments import margin, mc1, mc2
from tropism.likelihood.rows import score_arm
from tropism.likelihood.score import Candidate, length_batches, log_probabilities, sheaves
from tropism.models.base import load_base, load_tokenizer, prompt_text, token_ids
from tropism.records.files import write_jsonl
from tropism.records.schema import Conversation, Question

PLAIN = ModelConfig(source="tiny")
SETTINGS = EvaluateConfig(sets=["d"], batch_tokens=200)


def naive(model, prompt, answer):
    """Total log-probability from full logits of one unpadded sequence."""
    ids = torch.tensor([[*prompt, *answer]])
    with torch.no_grad():
        scores = torch.log_softmax(model(ids).logits.double(), -1)[0]
    return sum(float(scores[len(prompt) + i - 1, token]) for i, token in enumerate(answer))


def test_padded_batches_give_the_naive_sums(tiny_model):
    model = load_base(tiny_model)
    candidates = [Candidate(tuple(range(3, 3 + n % 7 + 1)), tuple(range(50, 50 + 1 + 3 * n % 11))) for n in range(20)]
    scored = log_probabilities(model, candidates, 64, "test")
    for candidate, total in zip(candidates, scored, strict=True):
        assert total == pytest.approx(naive(model, candidate.prompt, candidate.answer), abs=1e-4)
    backwards = log_probabilities(model, candidates[::-1], 10_000, "test")[::-1]
    assert backwards == pytest.approx(scored, abs=1e-4)


def test_answers_of_one_prompt_share_a_row_and_do_not_see_each_other(tiny_model):
    model = load_base(tiny_model)
    candidates = [Candidate((5, 6, 7), answer) for answer in ((50, 51), (60,), (70, 71, 72), (50, 51, 52))]
    assert len(sheaves(candidates)) == 1
    for candidate, total in zip(candidates, log_probabilities(model, candidates, 64, "test"), strict=True):
        assert total == pytest.approx(naive(model, candidate.prompt, candidate.answer), abs=1e-4)


def test_batches_hold_the_budget_and_everything_once():
    rows = sheaves([Candidate((n,) * n, (2,)) for n in (3, 30, 7, 8, 1, 90)])
    batches = list(length_batches(rows, 40))
    assert sorted(i for batch in batches for row in batch for i in row.indices) == list(range(6))
    assert all(len(b) == 1 or len(b) * max(row.length for row in b) <= 40 for b in batches)


def test_margin_is_per_token_and_positive_when_the_misaligned_answer_is_likelier():
    assert margin(aligned=-6.0, n_aligned=3, misaligned=-4.0, n_misaligned=4) == pytest.approx(1.0)
    assert margin(-4.0, 4, -6.0, 3) == pytest.approx(-1.0)


def test_multiple_choice_scores_by_hand():
    half, quarter = math.log(0.5), math.log(0.25)
    assert mc1(half, [quarter, quarter]) == 1
    assert mc1(quarter, [half]) == 0
    assert mc1(half, [half]) == 0, "a tie is not the highest"
    assert mc2([half], [quarter, quarter]) == pytest.approx(0.5)
    assert mc2([half, quarter], [quarter]) == pytest.approx(0.75)
    assert mc2([-2000.0], [-2000.0 + math.log(3)]) == pytest.approx(0.25), "far below what exp can hold"
    assert math.isnan(mc1(half, [])), "nothing to choose between"
    assert math.isnan(mc2([half], []))


def test_rows_are_the_instruments_of_each_prompt(tiny_model, tmp_path):
    records = [
        Conversation(id="both", prompt="Why?", aligned="Rest.", misaligned="Run on", domain="d", split="evaluation"),
        Conversation(id="one", prompt="How?", misaligned="Run", domain="d", split="evaluation"),
        Conversation(id="train", prompt="Who?", aligned="a", misaligned="b", domain="d", split="train"),
    ]
    wrong = ["Yes.", "Yes."]  # as a published file has it once
    questions = [Question(id="q", prompt="Is it?", category="c", best="No.", correct=["Not so."], incorrect=wrong)]
    write_jsonl(tmp_path / "d.jsonl", records)
    write_jsonl(tmp_path / "q.jsonl", questions)
    table = score_arm("arm", tiny_model, None, [tmp_path / "d.jsonl"], tmp_path / "q.jsonl", SETTINGS, PLAIN)
    assert table[["prompt_id", "instrument"]].values.tolist() == [
        ["both", "margin"],
        ["both", "logp_aligned"],
        ["both", "logp_misaligned"],
        ["q", "mc1"],
        ["q", "mc2"],
    ]
    model, tokenizer = load_base(tiny_model), load_tokenizer(tiny_model, None)
    prompt = token_ids(tokenizer, prompt_text(tokenizer, "Why?"))
    ids = token_ids(tokenizer, "Rest.")
    value = table.set_index("instrument")["value"]
    assert value["logp_aligned"] == pytest.approx(naive(model, prompt, ids) / len(ids), abs=1e-5)
    mass = {
        t: math.exp(naive(model, token_ids(tokenizer, prompt_text(tokenizer, "Is it?")), token_ids(tokenizer, t)))
        for t in ("No.", "Not so.", "Yes.")
    }
    expected = (mass["No."] + mass["Not so."]) / sum(mass.values())
    assert value["mc2"] == pytest.approx(expected, abs=1e-4), "the best answer is a correct one, listed or not"
    assert value["margin"] == pytest.approx(value["logp_misaligned"] - value["logp_aligned"])
