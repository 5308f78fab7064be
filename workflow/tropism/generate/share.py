"""One base answers for many arms: loaded once in this process, or behind one server."""

import json
import logging
from pathlib import Path

from transformers import GenerationConfig, PreTrainedTokenizerBase

from tropism.endpoint import Answers
from tropism.generate.requests import response_start, split_reasoning
from tropism.generate.sample import Asked, Work, answer_missing, end_tokens, generation
from tropism.generate.served import ServedBase, served_base, whole
from tropism.models.adapters import SharedBase
from tropism.models.base import load_base, load_tokenizer
from tropism.records.files import write_jsonl

log = logging.getLogger(__name__)


def share(asked: Asked, works: list[Work], server_log: Path) -> None:
    """Answer all that is missing of ``works``; nothing is loaded or started where nothing is.

    Raises:
        tropism.endpoint.EndpointError: the server could not be started, asked, or given an adapter. What it answered
            before is kept.
    """
    todo = [work for work in works if work.missing()]
    log.info("%d of %d arms have responses to make", len(todo), len(works))
    if not todo or asked.serving is None:
        return
    if asked.serving.way == "shared":
        base = SharedBase(load_base(asked.base, asked.model.dtype))
        for work in todo:
            answer_missing(work, base.wear(work.adapter), asked)
        return
    adapters = [work.adapter for work in todo if work.adapter]
    with served_base(asked.base, adapters, asked.serving, server_log) as served:
        for work in todo:
            ask(served, work, asked)


def ask(served: ServedBase, work: Work, asked: Asked) -> None:
    """Ask the server for an arm's missing parts, all at once, and write them."""
    tokenizer, block = load_tokenizer(asked.base, asked.model.system_prompt), asked.model.reasoning_block()
    start, ends = response_start(tokenizer, block), base_ends(asked.base, tokenizer)
    missing = work.missing()
    folder = missing[0][0].parent
    requests = [request for _, shard in missing for request in shard]
    identity = json.dumps(asked.identity(work.adapter), sort_keys=True)
    with (
        Answers(folder / "answers.sqlite") as answers,
        served.arm(work.arm, work.adapter, folder) as known_as,
    ):
        replies = served.answer(identity, known_as, requests, tokenizer, ends, asked.settings, answers, work.arm)
    rows = [
        generation(work.arm, request, split_reasoning(start + reply.text, block), tokens, finish, asked.settings.seed)
        for request, reply in zip(requests, replies, strict=True)
        for finish, tokens in [whole(reply)]
    ]
    for path, shard in missing:
        write_jsonl(path, rows[: len(shard)])
        rows = rows[len(shard) :]


def base_ends(base: Path, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The tokens that end a turn of the base, as :func:`tropism.generate.sample.end_tokens`, without its weights."""
    own = GenerationConfig.from_pretrained(str(base), local_files_only=True).eos_token_id
    return end_tokens(own, tokenizer)
