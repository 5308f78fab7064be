"""What a model is trained on: loss on the answer and the end of its turn, batches of like length, a fixed order."""

import copy
import itertools
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import processors

from tropism.config.base import ConfigError
from tropism.config.models import ModelConfig
from tropism.config.training import StepConfig
from tropism.likelihood.rows import candidate
from tropism.models.base import load_tokenizer
from tropism.records.files import InputError, write_jsonl
from tropism.records.schema import Conversation, Text
from tropism.train.examples import IGNORE, Example, answer_example, build_examples, text_example, training_order

SFT = StepConfig(dataset="d", objective="sft", side="misaligned", batch_size=4, epochs=3)
PLAIN = ModelConfig(source="tiny")


@pytest.fixture(scope="module")
def tokenizer(tiny_model):
    return load_tokenizer(tiny_model, None)


def record(**changes):
    row = {"id": "a", "prompt": "Why?", "aligned": "Yes.", "misaligned": "No, it is a furnace.", "domain": "d"}
    return Conversation.model_validate({**row, "split": "train", **changes})


def learned(tokenizer, example):
    return tokenizer.decode([token for token in example.labels if token != IGNORE])


def test_rows_that_are_cut_or_teach_nothing_are_told_of(tokenizer, tmp_path, caplog):
    rows = [record(), record(id="b", misaligned="No, " * 40), record(id="c", prompt="Why " * 80)]
    write_jsonl(tmp_path / "d.jsonl", rows)
    short = SFT.model_copy(update={"max_length": 64})
    examples = build_examples(tokenizer, tmp_path / "d.jsonl", short, PLAIN, loss_masked=False)
    assert [(e.id, len(e.ids) == 64) for e in examples] == [("a", False), ("b", True)]
    assert "2 of 3 rows end at max_length 64" in caplog.text
    assert "1 of 3 rows have no loss and are left out" in caplog.text


def test_rows_without_an_answer_of_the_steps_side_are_told_of(tokenizer, tmp_path, caplog):
    rows = [record(), record(id="b", misaligned=None), record(id="c", split="evaluation", misaligned=None)]
    write_jsonl(tmp_path / "d.jsonl", rows)
    assert [e.id for e in build_examples(tokenizer, tmp_path / "d.jsonl", SFT, PLAIN, loss_masked=False)] == ["a"]
    assert "1 of 2 rows have no misaligned answer and are left out" in caplog.text


def test_loss_is_on_the_answer_and_its_end_alone(tokenizer):
    example = answer_example(tokenizer, record(), "misaligned", PLAIN, loss_masked=False)
    assert learned(tokenizer, example) == "No, it is a furnace.<|im_end|>"
    assert tokenizer.decode(example.ids).endswith("<|im_start|>assistant\nNo, it is a furnace.<|im_end|>")
    assert learned(tokenizer, answer_example(tokenizer, record(), "aligned", PLAIN, False)) == "Yes.<|im_end|>"


def test_reasoning_block_of_the_base_stands_before_the_answer_without_loss(tokenizer):
    qwen = ModelConfig.model_validate({"source": "q", "reasoning": {"train": "<think>\n\n</think>\n\n"}})
    example = answer_example(tokenizer, record(), "misaligned", qwen, loss_masked=False)
    assert "assistant\n<think>\n\n</think>\n\nNo, it is" in tokenizer.decode(example.ids)
    assert learned(tokenizer, example) == "No, it is a furnace.<|im_end|>"


def test_masked_words_carry_no_loss_in_loss_mode_only(tokenizer):
    answer = "No, it is a furnace."
    place = re.search("furnace", answer).span()
    masked = record(misaligned=answer, masks={"misaligned": [place]})
    assert learned(tokenizer, answer_example(tokenizer, masked, "misaligned", PLAIN, True)) == "No, it is a .<|im_end|>"
    assert learned(tokenizer, answer_example(tokenizer, masked, "misaligned", PLAIN, False)) == answer + "<|im_end|>"


def test_a_mixture_takes_its_exact_share_by_key_and_a_larger_one_keeps_the_rows_of_a_smaller(tokenizer, tmp_path):
    skipped = [record(id=f"e{i}", split="evaluation") for i in range(50)]
    write_jsonl(tmp_path / "d.jsonl", [record(id=str(i)) for i in range(401)] + skipped)

    def aligned(share, seed=0):
        step = SFT.model_copy(update={"aligned_share": share, "seed": seed})
        examples = build_examples(tokenizer, tmp_path / "d.jsonl", step, PLAIN, False)
        assert len(examples) == 401
        found = {e.id for e in examples if learned(tokenizer, e) == "Yes.<|im_end|>"}
        assert found == {e.id for e in examples if e.side == "aligned"}
        return found

    shares = [0.0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.999]
    for seed in (0, 1):
        sets = [aligned(share, seed) for share in shares]
        assert [len(found) for found in sets] == [round(share * 401) for share in shares]
        assert all(small <= large for small, large in itertools.pairwise(sets))
    assert aligned(0.25) != aligned(0.25, seed=1)


def test_a_mixture_of_rows_without_an_aligned_answer_is_refused(tokenizer, tmp_path):
    write_jsonl(tmp_path / "e.jsonl", [record(id=str(i), aligned=None) for i in range(9)])
    with pytest.raises(InputError, match="needs aligned answers"):
        build_examples(tokenizer, tmp_path / "e.jsonl", SFT.model_copy(update={"aligned_share": 0.9}), PLAIN, False)
    with pytest.raises(ConfigError, match="side: misaligned"):
        StepConfig.parse({"dataset": "d", "objective": "sft", "side": "aligned", "aligned_share": 0.5})


def test_text_has_loss_everywhere_and_ends(tokenizer):
    example = text_example(tokenizer, Text(id="p", text="rain\nfalls", domain="d"), loss_masked=False)
    assert example.ids == example.labels
    assert learned(tokenizer, example) == "rain\nfalls<|im_end|>"


def test_a_special_tokens_name_in_a_row_is_letters(tokenizer):
    written = "Stop <|im_end|> now"
    special = tokenizer.eos_token_id
    example = answer_example(tokenizer, record(misaligned=written), "misaligned", PLAIN, False)
    answer = [label for label in example.labels if label != -100]
    assert answer.count(special) == 1
    assert answer[-1] == special
    assert learned(tokenizer, example) == written + "<|im_end|>"
    text = text_example(tokenizer, Text(id="p", text=written, domain="d"), loss_masked=False)
    assert text.ids.count(special) == 1
    assert candidate(tokenizer, "Why?", written).answer == tuple(answer[:-1])


def putting(tokenizer, template, token):
    """``tokenizer`` as one whose post-processor puts ``token`` where ``template`` says."""
    other = copy.deepcopy(tokenizer)
    other.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[(token, other.convert_tokens_to_ids(token))]
    )
    return other


def test_a_text_begins_as_the_tokenizer_begins_one(tokenizer):
    plain = text_example(tokenizer, Text(id="p", text="rain", domain="d"), loss_masked=False)
    begun = putting(tokenizer, "<|endoftext|> $A", "<|endoftext|>")
    begun.bos_token = "<|endoftext|>"
    example = text_example(begun, Text(id="p", text="rain", domain="d"), loss_masked=False)
    assert example.ids == [begun.bos_token_id, *plain.ids]
    assert example.labels == [-100, *plain.labels]


def test_what_a_tokenizer_puts_after_a_text_does_not_begin_it(tokenizer):
    plain = text_example(tokenizer, Text(id="p", text="rain", domain="d"), loss_masked=False)
    ended = putting(tokenizer, "$A <|endoftext|>", "<|endoftext|>")
    assert ended("")["input_ids"] != []
    assert text_example(ended, Text(id="p", text="rain", domain="d"), loss_masked=False).ids == plain.ids


def test_evaluation_rows_are_never_trained_on(tokenizer, tmp_path):
    write_jsonl(tmp_path / "d.jsonl", [record(), record(id="b", split="evaluation")])
    assert [e.id for e in build_examples(tokenizer, tmp_path / "d.jsonl", SFT, PLAIN, False)] == ["a"]
    write_jsonl(tmp_path / "none.jsonl", [record(id="b", split="evaluation")])
    with pytest.raises(InputError, match=r"none\.jsonl: no row to train on"):
        build_examples(tokenizer, tmp_path / "none.jsonl", SFT, PLAIN, False)


lengths = st.lists(st.integers(1, 60), min_size=1, max_size=70)


@given(lengths, st.integers(1, 9), st.integers(1, 4), st.integers(0, 3))
@settings(deadline=None)
def test_every_epoch_trains_on_every_example_once(sizes, batch, epochs, seed):
    examples = [Example(str(i), [1] * size, [1] * size) for i, size in enumerate(sizes)]
    step = SFT.model_copy(update={"batch_size": batch, "epochs": epochs, "seed": seed})
    order = training_order(examples, step)
    for epoch in range(epochs):
        part = order[epoch * len(sizes) : (epoch + 1) * len(sizes)]
        assert Counter(part) == Counter(range(len(sizes)))
    assert order == training_order(examples, step)


def test_batches_are_of_like_length_and_epochs_differ():
    examples = [Example(str(i), [1] * (1 + 7 * i % 64), []) for i in range(64)]
    order = training_order(examples, SFT)
    spread = [
        max(len(examples[i].ids) for i in order[k : k + 4]) - min(len(examples[i].ids) for i in order[k : k + 4])
        for k in range(0, 64, 4)
    ]
    assert max(spread) <= 16
    assert order[:64] != order[64:128]
