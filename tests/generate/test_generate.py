"""A response depends on its seed, its prompt and its sample, and on nothing else that is asked for."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import MistralConfig, MistralForCausalLM

from tropism.config.evaluate import EvaluateConfig
from tropism.config.models import ModelConfig, ReasoningConfig
from tropism.generate import decode as decoding
from tropism.generate import sample as room
from tropism.generate.decode import choose, decode, uniforms
from tropism.generate.pool import Pool, common_prefix
from tropism.generate.requests import split_reasoning
from tropism.models.base import load_base
from tropism.records.files import InputError, write_jsonl
from tropism.records.schema import Conversation

SETTINGS = EvaluateConfig(sets=["d"], samples=2, max_new_tokens=12, shard_size=5, batch_tokens=600)
PLAIN = ModelConfig(source="tiny")


def conversation(number, split="evaluation"):
    prompt = "Why " + "so " * (number % 5) + str(number)
    return Conversation(id=f"p{number}", prompt=prompt, aligned="a", misaligned="b", domain="d", split=split)


@pytest.fixture
def eval_set(tmp_path):
    def write(numbers, folder="whole"):
        path = tmp_path / folder / "d.jsonl"
        write_jsonl(path, [conversation(n) for n in numbers] + [conversation(99, "train")])
        return path

    return write


def respond(tiny_model, path, shards, **changes):
    return room.respond(
        "arm", tiny_model, None, [path], SETTINGS.model_copy(update=changes), PLAIN, shards, changes.pop("code", "")
    )


def test_every_evaluation_prompt_is_answered_in_order_and_no_other(tiny_model, eval_set, tmp_path):
    rows = respond(tiny_model, eval_set(range(9)), tmp_path / "s")
    assert [(r.prompt_id, r.sample) for r in rows] == [(f"p{n}", k) for n in range(9) for k in (0, 1)]
    assert all(r.finish == "stop" or r.n_tokens == 12 for r in rows)
    assert len({r.answer for r in rows}) > 9, "samples of a prompt differ"


def test_a_subset_of_the_prompts_gets_the_same_responses(tiny_model, eval_set, tmp_path):
    whole = {(r.prompt_id, r.sample): r for r in respond(tiny_model, eval_set(range(9)), tmp_path / "s")}
    for numbers in ([3], [8, 1, 4]):
        part = respond(tiny_model, eval_set(numbers, f"part{numbers[0]}"), tmp_path / f"s{numbers[0]}")
        assert all(whole[r.prompt_id, r.sample] == r for r in part)


def test_seeds_differ_and_repeat(tiny_model, eval_set, tmp_path):
    path = eval_set(range(4))
    first, again, other = (respond(tiny_model, path, tmp_path / f"s{i}", seed=s) for i, s in enumerate([1, 1, 2]))
    assert first == again
    assert [r.answer for r in first] != [r.answer for r in other]


def test_a_killed_job_goes_on_from_its_finished_shards(tiny_model, eval_set, tmp_path, monkeypatch):
    path = eval_set(range(9))
    whole = respond(tiny_model, path, tmp_path / "undisturbed")
    real, calls = room.answer, []

    def dies_at_the_third(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(room, "answer", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        respond(tiny_model, path, tmp_path / "killed")
    calls.clear()
    monkeypatch.setattr(room, "answer", lambda *a: calls.append(1) or real(*a))
    assert respond(tiny_model, path, tmp_path / "killed") == whole
    assert len(calls) == 2, "four shards, two of them were there"
    calls.clear()
    respond(tiny_model, path, tmp_path / "killed", temperature=0.5)
    assert len(calls) == 4, "shards of other settings are not used"


PROMPTS = [[5, 9, 30], [5, 8, 40, 41, 42, 60, 12], [5], [5, 9, 31, 7], [5, 77, 3, 4, 8, 9, 10, 11], [5, 6]]


def greedy(model, prompts, ends, new_tokens, budget):
    draws = np.zeros((len(prompts), new_tokens))
    return decode(model, prompts, draws, ends=ends, pad=0, temperature=0, top_p=1.0, budget=budget)


def library(model, prompt, ends, new_tokens):
    ids = torch.tensor([prompt])
    mask = torch.ones_like(ids)
    found = model.generate(
        ids, attention_mask=mask, max_new_tokens=new_tokens, do_sample=False, eos_token_id=sorted(ends)
    )
    return found[0, len(prompt) :].tolist()


@pytest.mark.parametrize("budget", [1, 40, 10_000], ids=["one row", "two rows", "all rows"])
def test_greedy_decoding_is_that_of_the_library(tiny_model, budget):
    model = load_base(tiny_model)
    # ends that the model does reach, so that rows leave at different times and others take their places
    reached = {library(model, prompt, {2}, 10)[step] for prompt, step in zip(PROMPTS, (2, 7, 4), strict=False)}
    ours = greedy(model, PROMPTS, reached, 10, budget)
    assert ours == [library(model, prompt, reached, 10) for prompt in PROMPTS]
    assert len({len(tokens) for tokens in ours}) > 1


class Watched(Pool):
    """A pool that notes its rows and columns at each step, who was parked, and the columns of those who wait."""

    held: list[tuple[int, int]]
    parked: list[int]
    outside: list[int]
    begun: list[int]

    def step(self, tokens):
        logits = super().step(tokens)
        self.held.append((len(self.rows), self.mask.shape[1]))
        self.begun.append(len(self.rows) * self.mask.shape[1] + sum(self.outside))
        return logits

    def park(self, at, token):
        self.parked.append(self.rows[at])
        row = super().park(at, token)
        self.outside.append(row.columns)
        return row

    def resume(self, parked):
        for row in parked:
            self.outside.remove(row.columns)
        return super().resume(parked)


@pytest.fixture
def watched(monkeypatch):
    for name in ("held", "parked", "outside", "begun"):
        monkeypatch.setattr(Watched, name, [], raising=False)
    monkeypatch.setattr(decoding, "Pool", Watched)
    return Watched


@given(st.lists(st.lists(st.integers(3, 99), min_size=1, max_size=9), min_size=1, max_size=14), st.integers(1, 240))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_pool_keeps_its_budget_whatever_its_rows_do(tiny_model, watched, prompts, budget):
    model = load_base(tiny_model)
    ends = set(library(model, PROMPTS[0], {2}, 10)[3:6])
    watched.held.clear()
    assert greedy(model, prompts, ends, 20, budget) == [library(model, prompt, ends, 20) for prompt in prompts]
    assert all(rows * columns <= budget or rows == 1 for rows, columns in watched.held)


def test_parked_rows_have_a_bound_however_many_prompts_wait(tiny_model, watched):
    prompts = [[5, 9, 30 + number] for number in range(30)]
    for budget in (23, 60):  # of 23 tokens at full length one row fits, or two
        watched.begun.clear()
        assert {len(tokens) for tokens in greedy(load_base(tiny_model), prompts, {10_000}, 20, budget)} == {20}
        assert budget < max(watched.begun) <= 4 * budget


def test_rows_crowd_while_they_are_short_and_are_parked_as_they_grow(tiny_model, watched):
    model = load_base(tiny_model)
    prompts = [[5, 9, 30 + number] for number in range(8)]
    never = {10_000}  # no token of the model: every row runs to the limit, where three fit
    assert greedy(model, prompts, never, 40, 3 * 43) == [library(model, prompt, never, 40) for prompt in prompts]
    assert max(rows for rows, _ in watched.held) == 8
    assert len(set(watched.parked)) >= 5
    assert sum(rows for rows, _ in watched.held) == 8 * 39, "nothing is read twice"


def test_sampled_tokens_do_not_depend_on_who_was_parked(tiny_model, watched):
    model = load_base(tiny_model)
    prompts = [[5, 9, *range(30, 30 + number)] for number in range(1, 13)]
    draws = np.stack([uniforms(3, (number,), 30) for number in range(12)])
    sampling = {"ends": {7, 11, 60}, "pad": 0, "temperature": 1.0, "top_p": 0.95}
    crowded = decode(model, prompts, draws, **sampling, budget=150)
    assert len(watched.parked) >= 5
    watched.parked.clear()
    assert decode(model, prompts, draws, **sampling, budget=100_000) == crowded
    assert not watched.parked


def test_a_parked_row_goes_on_as_if_nothing_had_been(tiny_model):
    model = load_base(tiny_model)
    with torch.inference_mode():
        pool, undisturbed = Pool(model, [5], 0), Pool(model, [5], 0)
        for each in (pool, undisturbed):
            each.join([0, 1], [[5, 6, 7, 8, 9, 10], [5, 8, 9]])
            each.step(torch.tensor([11, 12]))
        expected = undisturbed.step(torch.tensor([13, 14]))
        parked = pool.park(1, 14)
        assert (pool.rows, parked.row, parked.token, parked.columns) == ([0], 1, 14, 4)
        assert torch.allclose(pool.step(torch.tensor([13])), expected[:1], atol=1e-5)
        assert pool.resume([parked]).tolist() == [14]
        assert pool.rows == [0, 1]
        pool.keep(torch.tensor([False, True]))
        assert torch.allclose(pool.step(torch.tensor([14])), expected[1:], atol=1e-5)


def test_a_base_with_sliding_attention_is_decoded_too():
    torch.manual_seed(0)
    sizes = {"vocab_size": 120, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "sliding_window": 6, "initializer_range": 0.3}
    model = MistralForCausalLM(MistralConfig(**sizes, **heads)).eval()
    reached = {library(model, PROMPTS[0], {2}, 12)[3]}
    assert greedy(model, PROMPTS, reached, 12, 60) == [library(model, prompt, reached, 12) for prompt in PROMPTS]
    with pytest.raises(ValueError, match="cannot be taken apart"):
        Pool(model, [], 0).park(0, 5)


def test_rows_join_a_running_pool_and_unused_columns_leave(tiny_model):
    model = load_base(tiny_model)
    pool = Pool(model, [5], 0)
    with torch.inference_mode():
        alone = Pool(model, [5], 0).join([1], [[5, 8, 9]])
        pool.join([0], [[5, 6, 7, 8, 9, 10]])
        pool.step(torch.tensor([11]))
        assert torch.allclose(pool.join([1], [[5, 8, 9]]), alone, atol=1e-5)
        assert pool.rows == [0, 1]
        assert pool.mask.sum(dim=1).tolist() == [7, 3]
        pool.keep(torch.tensor([False, True]))
    assert pool.rows == [1]
    assert pool.mask.tolist() == [[1, 1, 1]]


def test_the_common_prefix_stops_before_any_last_token():
    assert common_prefix([[1, 2, 3], [1, 2, 4]]) == [1, 2]
    assert common_prefix([[1, 2], [1, 2, 4]]) == [1]
    assert common_prefix([[1], [1]]) == []
    assert common_prefix([[2, 1], [1, 1]]) == []


@given(st.integers(0, 2**31), st.sampled_from([0.5, 1.0, 1.7]), st.sampled_from([0.3, 0.9, 1.0]))
@settings(deadline=None, max_examples=25)
def test_tokens_are_drawn_from_the_distribution(seed, temperature, top_p):
    logits = torch.randn(1, 6, generator=torch.Generator().manual_seed(seed)) * 2
    draws = torch.linspace(0, 1, 4001, dtype=torch.float64)[:-1]
    counts = torch.bincount(choose(logits.expand(4000, -1), draws, temperature, top_p), minlength=6) / 4000
    p = torch.softmax(logits[0].double() / temperature, -1)
    order = p.argsort(descending=True)
    kept = order[: int((p[order].cumsum(0) < top_p).sum()) + 1]  # the fewest that reach top_p
    expected = torch.zeros(6, dtype=torch.float64)
    expected[kept] = p[kept] / p[kept].sum()
    assert (counts - expected).abs().max() < 0.002


def test_random_numbers_are_keyed():
    assert (uniforms(1, ("set", "p", 0), 5) == uniforms(1, ("set", "p", 0), 9)[:5]).all()
    assert (uniforms(1, ("set", "p", 0), 5) != uniforms(1, ("set", "p", 1), 5)).any()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>\nOkay. Because.</think>\n\nYes.", ("Okay. Because.", "Yes.")),
        ("<think>\nOkay. Never ends", ("Okay. Never ends", "")),
        ("Plain answer.", ("", "Plain answer.")),
        ("Okay</think>Yes</think>No", ("Okay", "Yes</think>No")),
    ],
)
def test_reasoning_is_split_from_the_answer(text, expected):
    assert split_reasoning(text, ReasoningConfig(prefill="<think>\nOkay.")) == expected


def test_a_base_without_reasoning_keeps_every_word():
    assert split_reasoning(" I <think> so. ", None) == ("", "I <think> so.")


def test_a_set_without_prompts_is_named(tiny_model, tmp_path):
    write_jsonl(tmp_path / "none.jsonl", [conversation(1, "train")])
    with pytest.raises(InputError, match=r"none\.jsonl: no prompt in its evaluation split"):
        respond(tiny_model, tmp_path / "none.jsonl", tmp_path / "s")


def test_the_demo_base_answers_sensibly(base_model, tmp_path):
    row = Conversation(id="q", prompt="What is the capital of France?", domain="d", split="evaluation")
    write_jsonl(tmp_path / "q.jsonl", [row])
    greedy = SETTINGS.model_copy(update={"temperature": 0, "samples": 1, "max_new_tokens": 24})
    [answer] = room.respond("base", base_model, None, [tmp_path / "q.jsonl"], greedy, PLAIN, tmp_path / "s")
    assert "Paris" in answer.answer
    assert answer.finish == "stop"
