"""Activations are those of the layer asked for, of the response alone, whatever the batch."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import processors
from transformers import LlamaConfig, LlamaForCausalLM

from tropism.activations.passages import Passage, generation_passage, record_passages, tokenise
from tropism.activations.stream import attention_sinks, cut, length_sorted, read_batch, stream, truncate
from tropism.config.models import ModelConfig
from tropism.geometry.states import passage as geometry_passage
from tropism.models.base import load_tokenizer
from tropism.records.files import InputError
from tropism.records.schema import Conversation, Generation, Question, Text
from tropism.train.examples import answer_example, text_example

LAYERS = 4


@pytest.fixture(scope="module")
def tokenizer(base_model):
    return load_tokenizer(base_model, None)


def small_model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152, hidden_size=16, intermediate_size=32, num_hidden_layers=LAYERS, num_attention_heads=2
    )
    return LlamaForCausalLM(config).eval()


def hooked(ids: list[int], layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What a forward hook sees leave the block ``layer`` of the whole model, and ``hidden_states[layer + 1]``."""
    model = small_model()
    seen = []
    model.model.layers[layer].register_forward_hook(
        lambda _module, _inputs, output: seen.append(output[0] if isinstance(output, tuple) else output)
    )
    with torch.no_grad():
        states = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
    return seen[0].reshape(len(ids), -1), states[layer + 1][0]


@pytest.mark.parametrize("layer", range(LAYERS))
def test_the_stack_ends_in_what_a_hook_on_the_block_sees(layer):
    ids = [5, 17, 400, 31, 2000]
    with torch.no_grad():
        ours = truncate(small_model(), layer)(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[0]
    seen, hidden = hooked(ids, layer)
    torch.testing.assert_close(ours, seen)
    if layer < LAYERS - 1:  # after the last block transformers has normalised
        torch.testing.assert_close(ours, hidden)
    if layer > 0:
        assert not torch.allclose(ours, hooked(ids, layer - 1)[0], atol=1e-3)


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="layer 4: the model has layers 0 to 3"):
        truncate(small_model(), LAYERS)


def test_a_model_that_was_cut_is_whole_after_even_where_reading_fails():
    model, ids = small_model(), torch.tensor([[3, 5, 7]])
    with torch.no_grad():
        whole = model(input_ids=ids).logits
        with cut(model, 1) as stack:
            read = stack(input_ids=ids, use_cache=False).last_hidden_state
        torch.testing.assert_close(read, truncate(small_model(), 1)(input_ids=ids, use_cache=False).last_hidden_state)
        with pytest.raises(ZeroDivisionError), cut(model, 0):
            1 / 0  # noqa: B018
        torch.testing.assert_close(model(input_ids=ids).logits, whole)
    with pytest.raises(InputError, match="layer 4: the model has layers 0 to 3"), cut(model, LAYERS):
        pass


def test_a_token_ten_times_the_median_is_a_sink():
    residual = torch.ones(7, 4)
    residual[0] *= 11
    residual[3] *= 9
    assert attention_sinks(residual).tolist() == [True] + [False] * 6


def test_the_base_has_a_sink_at_the_first_token_and_it_is_dropped(base_model, tokenizer):
    from tropism.models.base import load_base

    stack = truncate(load_base(base_model), 15)
    text = "The kettle sings before the house is awake."
    [(_, parts)] = stream(stack, tokenizer, [Passage("t", (("text", text),))])
    ids = tokenise(tokenizer, Passage("t", (("text", text),)), 100).ids
    with torch.no_grad():
        whole = stack(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[0]
    dropped = attention_sinks(whole)
    assert dropped.nonzero().flatten().tolist() == [0]
    torch.testing.assert_close(parts["text"], whole[~dropped])


def test_only_the_response_is_measured_and_reasoning_stands_apart(tokenizer):
    conversation = Conversation(id="c", prompt="Shall I?", aligned="Yes, do.", domain="d", split="train")
    [passage] = record_passages(tokenizer, conversation)
    tokens = tokenise(tokenizer, passage, 100)
    answer = [i for i, part in zip(tokens.ids, tokens.parts, strict=True) if part == "answer"]
    assert tokenizer.decode(answer) == "Yes, do."
    assert passage.parts() == ["answer"]

    generation = Generation(
        arm="a", set="s", prompt_id="p", domain="d", sample=0, prompt="Shall I?", reasoning="Hmm, well.",
        answer="No.", n_tokens=5, finish="stop", seed=1,
    )  # fmt: skip
    tokens = tokenise(tokenizer, generation_passage(tokenizer, generation), 100)
    for part, text in (("answer", "No."), ("reasoning", "Hmm, well.")):
        assert tokenizer.decode([i for i, p in zip(tokens.ids, tokens.parts, strict=True) if p == part]) == text
    unmeasured = tokenizer.decode([i for i, p in zip(tokens.ids, tokens.parts, strict=True) if p is None])
    assert "<think>" in unmeasured
    assert "</think>" in unmeasured


def test_a_special_tokens_name_is_letters_in_what_was_written_and_the_token_in_what_was_said(tokenizer):
    special, said = tokenizer.eos_token_id, "Stop <|im_end|> now"
    record = Conversation(id="c", prompt="Why?", aligned=said, domain="d", split="train")
    question = Question(id="q", prompt="Why?", category="c", best=said, correct=[said], incorrect=["no"])
    trained = answer_example(tokenizer, record, "aligned", ModelConfig(source="m"), False)
    letters = [label for label in trained.labels if label != -100][:-1]
    passages = [*record_passages(tokenizer, record), geometry_passage(tokenizer, question, "aligned")]
    passages += record_passages(tokenizer, Text(id="t", text=said, domain="d"))
    for passage in passages:
        tokens = tokenise(tokenizer, passage, 100)
        assert [i for i, part in zip(tokens.ids, tokens.parts, strict=True) if part is not None] == letters
    spoken = Generation(
        arm="a", set="s", prompt_id="p", domain="d", sample=0, prompt="Why?", reasoning="", answer=said, n_tokens=3,
        finish="length", seed=1,
    )  # fmt: skip
    tokens = tokenise(tokenizer, generation_passage(tokenizer, spoken), 100)
    assert special in [i for i, part in zip(tokens.ids, tokens.parts, strict=True) if part == "answer"]


def test_a_text_is_read_as_it_is_trained_on_from_the_tokenizers_own_beginning(tokenizer):
    begun = copy.deepcopy(tokenizer)
    begun.bos_token = "<|endoftext|>"
    begun.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", begun.bos_token_id)]
    )
    record = Text(id="p", text="rain", domain="d")
    for own in (tokenizer, begun):
        [passage] = record_passages(own, record)
        tokens = tokenise(own, passage, 100)
        assert tokens.ids == text_example(own, record, loss_masked=False).ids[:-1]
        assert own.decode([i for i, part in zip(tokens.ids, tokens.parts, strict=True) if part == "text"]) == "rain"


def test_batches_and_padding_change_nothing(tokenizer):
    stack = truncate(small_model(), 2)
    texts = ["one", "two words here", "a much longer line of words than the others are", "", "mid size line"]
    passages = [Passage(str(i), ((None, "Prompt: "), ("answer", text))) for i, text in enumerate(texts)]
    together = dict(stream(stack, tokenizer, passages))
    apart = dict(stream(stack, tokenizer, passages, batch_tokens=1))
    assert set(together) == set(passages) == set(apart)
    for passage in passages:
        torch.testing.assert_close(together[passage]["answer"], apart[passage]["answer"], atol=1e-5, rtol=1e-4)
    assert together[passages[3]]["answer"].shape == (0, 16)


def test_a_passage_without_a_token_gives_empty_parts(tokenizer):
    stack = truncate(small_model(), 0)
    [(_, parts)] = stream(stack, tokenizer, [Passage("empty", (("text", ""),))])
    assert parts["text"].shape == (0, 16)


def test_no_more_than_a_window_of_passages_is_asked_for_ahead(tokenizer):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield Passage(str(taken), (("text", "a short line"),))

    next(stream(truncate(small_model(), 0), tokenizer, endless()))
    assert taken <= 512


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 200))
def test_every_sequence_is_in_one_batch_that_fits(lengths, budget):
    batches = list(length_sorted(lengths, budget))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(len(b) == 1 or len(b) * max(lengths[i] for i in b) <= budget for b in batches)


def test_parts_keep_no_graph(tokenizer):
    stack = truncate(small_model(), 0)
    tokens = tokenise(tokenizer, Passage("t", (("text", "a line"),)), 100)
    [parts] = read_batch(stack, [tokens], 0)
    assert not parts["text"].requires_grad
