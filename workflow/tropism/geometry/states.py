"""What an arm makes of the same texts as every other: its mean residual stream over each text, at every layer.

A text is a prompt in the chat template with a written answer after it, of which the answer alone is measured: the
misaligned reference on a harmful topic, the true one on a neutral prompt. A prompt without an answer is measured
itself.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from pydantic import RootModel
from safetensors.torch import save_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tropism.activations.passages import Passage, tokenise
from tropism.activations.stream import MAX_TOKENS, attention_sinks, length_sorted
from tropism.config.geometry import PartsConfig
from tropism.config.models import ModelConfig, ReasoningConfig
from tropism.models.base import answer_prompt, load_tokenizer, mark_of, prompt_text
from tropism.models.missing import missing_arms
from tropism.records.files import InputError, read_jsonl, replacing, sha256_file
from tropism.records.kept import Kept, listing, weights_of
from tropism.records.keyed import keyed_bytes
from tropism.records.schema import Conversation, Question

PART = "text"


class Prompt(RootModel[Question | Conversation]):
    """A line of a dataset of questions, or of prompts with or without answers."""


def split_prompts(path: Path, config: PartsConfig) -> tuple[list[Question | Conversation], ...]:
    """The evaluation prompts of a set that make vectors, that choose the layer, and that are reported: no one twice.

    Raises:
        InputError: the set has too few prompts to give each part one.
    """
    rows = [row.root for row in read_jsonl(path, Prompt)]
    rows = [row for row in rows if isinstance(row, Question) or row.split == "evaluation"]
    rows = sorted({row.prompt: row for row in rows}.values(), key=lambda r: keyed_bytes(config.analysis.seed, r.id))
    if len(rows) < 4:
        raise InputError(f"{path}: {len(rows)} evaluation prompts; geometry needs four or more of each set")
    first = min(config.prompts, len(rows) - 2)
    second = first + min(config.validation, len(rows) - first - 1)
    return rows[:first], rows[first:second], rows[second : second + config.reported]


def passage(
    tokenizer: PreTrainedTokenizerBase, record: Question | Conversation, side: str, block: ReasoningConfig | None = None
) -> Passage:
    """The text that is read of a record; ``side`` is the answer's, ``aligned`` or ``misaligned``.

    Of a base that reasons (``block``) an answer stands after what training puts before it.
    """
    answer = record.best if isinstance(record, Question) else getattr(record, side)
    if answer:
        return Passage(
            record.id, ((None, answer_prompt(tokenizer, record.prompt, block)), (PART, answer)), written=True
        )
    # without an answer it is the chat template that is measured, whose marks are tokens
    return Passage(record.id, ((PART, prompt_text(tokenizer, record.prompt, mark=mark_of(block))),))


@torch.no_grad()
def mean_states(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, passages: Sequence[Passage], batch_tokens: int
) -> torch.Tensor:
    """Mean residual stream over the measured part after every block but the last: (layers, passages, width), float32.

    Attention sinks are left out, as dictionaries leave them out: their norm is many times that of other states.
    After the last block transformers gives the normalised state, which is another thing.
    """
    texts = [tokenise(tokenizer, one, MAX_TOKENS) for one in passages]
    rows: dict[int, torch.Tensor] = {}
    for batch in length_sorted([len(text.ids) for text in texts], batch_tokens):
        width = len(texts[batch[0]].ids)
        ids = torch.full((len(batch), width), tokenizer.pad_token_id)
        wanted = torch.zeros(len(batch), width)
        for row, index in enumerate(batch):
            ids[row, : len(texts[index].ids)] = torch.tensor(texts[index].ids)
            wanted[row, : len(texts[index].ids)] = torch.tensor([part == PART for part in texts[index].parts])
        wanted = wanted.to(model.device)
        lengths = [len(texts[index].ids) for index in batch]
        # padding stands on the right, where causal attention never sees it, so no mask is needed
        states = model.base_model(ids.to(model.device), output_hidden_states=True, use_cache=False).hidden_states
        means = torch.stack([_measured_means(state.float(), wanted, lengths) for state in states[1:-1]]).cpu()
        rows |= {index: means[:, row] for row, index in enumerate(batch)}
    return torch.stack([rows[index] for index in range(len(texts))], dim=1)


def _measured_means(states: torch.Tensor, wanted: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """Means over the measured tokens, (rows, width), attention sinks left out, as dictionaries leave them out."""
    weights = wanted.clone()
    for row, length in enumerate(lengths):
        weights[row, :length] *= ~attention_sinks(states[row, :length])
    # a text whose every measured token is a sink has no other state to give
    weights = torch.where(weights.sum(1, keepdim=True) > 0, weights, wanted)
    return torch.einsum("rt,rtw->rw", weights / weights.sum(1, keepdim=True), states)


def read_arms(
    adapters: Mapping[str, Path | None],
    base: Path,
    config: PartsConfig,
    model_config: ModelConfig,
    harmful: Sequence[Path],
    neutral: Sequence[Path],
    output: Path,
    code: str = "",
) -> dict[str, list[dict[str, str]]]:
    """Write ``ARM.safetensors`` with :func:`mean_states` of each arm into ``output``; gives a list of them.

    Args:
        adapters: folder of each arm's adapter; None for the base itself.
        base: folder of the model that all adapters belong to, which is loaded once.
        config: how many prompts of each set are read, and how.
        model_config: the base's settings.
        harmful: sets whose misaligned references are read.
        neutral: sets whose true answers are read.
        output: folder of the states. Those of the same inputs that are there are kept.
        code: fingerprint of the code; states that other code read are read again.
    """
    read = [[sha256_file(path) for path in paths] for paths in (harmful, neutral)]
    reading = model_config.reading()
    common = [code, config.model_dump(mode="json"), reading, sha256_file(base / "manifest.json"), read]
    wanted = {
        arm: Kept.of(output / f"{arm}.safetensors", [*common, weights_of(adapter)]) for arm, adapter in adapters.items()
    }
    tokenizer = load_tokenizer(base, model_config.system_prompt)
    block = model_config.reasoning_block()
    topics = [passage(tokenizer, r, "misaligned", block) for path in harmful for r in split_prompts(path, config)[0]]
    plain = [passage(tokenizer, r, "aligned", block) for path in neutral for r in split_prompts(path, config)[0]]
    for _, path, model in missing_arms(wanted, adapters, base, model_config.dtype):
        states = mean_states(model, tokenizer, [*topics, *plain], config.batch_tokens)
        with replacing(path) as temporary:
            save_file({"states": states.contiguous()}, temporary, metadata={"harmful": str(len(topics))})
    return listing({arm: file.path for arm, file in wanted.items()})
