"""Responses of a model as it is now, changed or not."""

from collections.abc import Sequence

from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tropism.config.evaluate import EvaluateConfig
from tropism.config.models import ModelConfig
from tropism.config.sampled import SampledConfig
from tropism.generate.requests import Request, response_start, shards
from tropism.generate.sample import answer
from tropism.models.base import mark_of, prompt_text, token_ids
from tropism.records.schema import Conversation, Generation

Prompts = Sequence[tuple[str, Conversation]]
"""Pairs of an eval set's name and one of its evaluation prompts."""


def respond(
    name: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Prompts,
    config: SampledConfig,
    model_config: ModelConfig,
    *,
    batch_tokens: int,
    seed: int,
) -> list[Generation]:
    """``config.samples`` responses to every prompt; ``name`` is what ``arm`` of each says: the condition.

    Random numbers are those of the prompt and sample, the same in every condition.
    """
    sampling = EvaluateConfig(
        sets=sorted({name for name, _ in prompts}),
        batch_tokens=batch_tokens,
        seed=seed,
        **config.model_dump(include={"samples", "max_new_tokens", "temperature", "top_p"}),
    )
    block = model_config.reasoning_block()
    start, mark = response_start(tokenizer, block), mark_of(block)
    requests = []
    for of, record in prompts:
        ids = tuple(token_ids(tokenizer, prompt_text(tokenizer, record.prompt, start, mark)))
        requests += [Request(of, record, sample, ids) for sample in range(config.samples)]
    [ordered] = shards(requests, len(requests))
    with tqdm(disable=True) as bar:
        rows = answer(name, model, tokenizer, ordered, sampling, model_config, bar)
    return sorted(rows, key=lambda row: (row.set, row.prompt_id, row.sample))
