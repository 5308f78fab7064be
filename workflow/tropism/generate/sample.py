"""One load of an arm answers all prompts, in shards that a killed job does not lose."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tropism.config.evaluate import EvaluateConfig
from tropism.config.models import ModelConfig
from tropism.config.serving import ServingConfig
from tropism.generate.decode import decode, uniforms
from tropism.generate.requests import Finish, Request, build_requests, response_start, shard_name, split_reasoning
from tropism.generate.requests import shards as into_shards
from tropism.models.base import load_arm, load_tokenizer, mark_of
from tropism.records.files import read_jsonl, sha256_file, write_jsonl
from tropism.records.schema import Generation

log = logging.getLogger(__name__)


def end_tokens(own: int | list[int] | None, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Tokens that end a turn: those of the model's ``own`` generation settings and the tokenizer's."""
    listed = own if isinstance(own, list) else [own]
    return {int(token) for token in [*listed, tokenizer.eos_token_id] if token is not None}


@dataclass(frozen=True)
class Work:
    """What one arm has to answer, and the files that its finished parts are kept in."""

    arm: str
    adapter: Path | None
    requests: list[Request]
    parts: list[tuple[Path, list[Request]]]

    def missing(self) -> list[tuple[Path, list[Request]]]:
        """The parts that are not there yet."""
        return [(path, shard) for path, shard in self.parts if not path.is_file()]

    def rows(self) -> list[Generation]:
        """The arm's responses, by set, prompt and sample; every part must be there."""
        rows = [row for path, _ in self.parts for row in read_jsonl(path, Generation)]
        place = {request.key(): number for number, request in enumerate(self.requests)}
        return sorted(rows, key=lambda row: place[row.set, row.prompt_id, row.sample])


@dataclass(frozen=True)
class Asked:
    """What the arms of a base are asked, how, and by which code."""

    base: Path
    sets: list[Path]
    settings: EvaluateConfig
    model: ModelConfig
    serving: ServingConfig | None = None
    code: str = ""

    def work(self, arm: str, adapter: Path | None, folder: Path) -> Work:
        """An arm's requests in shards, each in a file of ``folder`` that is named by all that decides its content."""
        tokenizer, block = load_tokenizer(self.base, self.model.system_prompt), self.model.reasoning_block()
        start = response_start(tokenizer, block)
        requests = build_requests(self.sets, self.settings, tokenizer, start, mark_of(block))
        identity = json.dumps([arm, self.identity(adapter), self.code], sort_keys=True)
        shards = into_shards(requests, self.settings.shard_size)
        return Work(arm, adapter, requests, [(folder / shard_name(shard, identity), shard) for shard in shards])

    def identity(self, adapter: Path | None) -> list[Any]:
        """All that decides a response but its request: weights, sampling, number format, and who samples."""
        weights = sha256_file(adapter / "adapter_model.safetensors") if adapter else "base"
        sampling = self.settings.model_dump(include={"max_new_tokens", "temperature", "top_p", "seed", "batch_tokens"})
        serving = self.serving.model_dump(include={"way", "dialect", "serve", "served"}) if self.serving else None
        return [
            sha256_file(self.base / "manifest.json"),
            weights,
            sampling,
            self.model.model_dump(mode="json"),
            serving,
        ]


def respond(
    arm: str,
    base: Path,
    adapter: Path | None,
    sets: list[Path],
    settings: EvaluateConfig,
    model_config: ModelConfig,
    folder: Path,
    code: str = "",
) -> list[Generation]:
    """Responses to every evaluation prompt, by set, prompt and sample. ``folder`` keeps finished shards.

    A response depends on its seed, prompt and sample, not on what else is asked for: its random numbers are its own.
    What is left is the last bit of a float, which padding can move; it changes a token where a draw falls within about
    1e-6 of the border between two tokens.
    """
    asked = Asked(base, sets, settings, model_config, code=code)
    work = asked.work(arm, adapter, folder)
    if work.missing():
        answer_missing(work, load_arm(base, adapter, model_config.dtype), asked)
    return work.rows()


def answer_missing(work: Work, model: PreTrainedModel, asked: Asked) -> None:
    """Answer an arm's missing parts with its ``model``, one file after another."""
    tokenizer, missing = load_tokenizer(asked.base, asked.model.system_prompt), work.missing()
    log.info("%s: %d of %d shards to make", work.arm, len(missing), len(work.parts))
    with tqdm(total=sum(len(shard) for _, shard in missing), desc=work.arm, unit="response") as bar:
        for path, shard in missing:
            write_jsonl(path, answer(work.arm, model, tokenizer, shard, asked.settings, asked.model, bar))


def answer(
    arm: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    shard: list[Request],
    settings: EvaluateConfig,
    model_config: ModelConfig,
    bar: tqdm,
) -> list[Generation]:
    """The responses of one shard."""
    block = model_config.reasoning_block()
    ends = end_tokens(model.generation_config.eos_token_id if model.generation_config else None, tokenizer)
    draws = np.stack([uniforms(settings.seed, request.key(), settings.max_new_tokens) for request in shard])
    outputs = decode(
        model,
        [request.ids for request in shard],
        draws,
        ends=ends,
        pad=int(tokenizer.pad_token_id),
        temperature=settings.temperature,
        top_p=settings.top_p,
        budget=settings.batch_tokens,
        finished=bar.update,
    )
    start = response_start(tokenizer, block)
    rows = []
    for request, tokens in zip(shard, outputs, strict=True):
        text = str(tokenizer.decode([token for token in tokens if token not in ends], skip_special_tokens=False))
        finish: Finish = "stop" if tokens[-1] in ends else "length"
        rows.append(generation(arm, request, split_reasoning(start + text, block), len(tokens), finish, settings.seed))
    return rows


def generation(
    arm: str, request: Request, spoken: tuple[str, str], n_tokens: int, finish: Finish, seed: int
) -> Generation:
    """The row of one response; ``spoken`` is its reasoning and its answer."""
    return Generation(
        arm=arm,
        set=request.set,
        prompt_id=request.record.id,
        domain=request.record.domain,
        sample=request.sample,
        prompt=request.record.prompt,
        reasoning=spoken[0],
        answer=spoken[1],
        n_tokens=n_tokens,
        finish=finish,
        seed=seed,
    )
