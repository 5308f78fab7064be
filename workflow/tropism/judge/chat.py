"""Judges that are asked in words: a served model, or a base in this process. Both get the same request."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm
from transformers import GenerationConfig

from tropism.config.judges import JudgeConfig
from tropism.endpoint import Reply, Server, chat
from tropism.judge.judgments import Item, JudgeError
from tropism.judge.rubric import Message, Rubric, splits_numbers
from tropism.models.base import load_base, load_tokenizer, token_ids

Reading = Callable[[Reply, Rubric], float | None]
SHOWN = 5
"""Unreadable replies of a stage that are logged."""


class EndpointJudge:
    """A chat model behind an OpenAI-compatible server."""

    def __init__(self, config: JudgeConfig) -> None:
        """Take the server's address and key from the settings and the environment.

        Raises:
            tropism.endpoint.EndpointError: there is no address, or no key for a server elsewhere.
        """
        self.config = config
        self.server = Server.from_environment(
            config.base_url,
            str(config.served),
            concurrency=config.concurrency,
            timeout_s=config.timeout_s,
            retries=config.retries,
        )

    def scores(self, items: Sequence[Item], rubrics: Sequence[Rubric]) -> np.ndarray:
        """Scores (items, rubrics), NaN where unread. See :class:`tropism.judge.judgments.Judge`.

        Raises:
            JudgeError: probabilities are asked of a server whose tokeniser splits the scale's numbers.
            tropism.endpoint.EndpointError: a request failed after all its retries.
        """
        replies = asyncio.run(
            chat(
                self.server,
                requests(items, rubrics),
                max_tokens=self.config.max_tokens,
                temperature=self.config.temperature,
                top_logprobs=20 if self.config.logprobs else None,
                label="judging",
            )
        )
        read = read_probabilities if self.config.logprobs else read_reply
        return _table(replies, items, rubrics, read)


class LocalJudge:
    """A base in this process, decoding greedily, one request at a time: in a batch its neighbours would weigh in."""

    def __init__(self, config: JudgeConfig, base: Path) -> None:
        """Load the base."""
        self.max_new_tokens = config.max_new_tokens
        self.tokenizer = load_tokenizer(base)
        self.model: Any = load_base(base, config.dtype)

    def scores(self, items: Sequence[Item], rubrics: Sequence[Rubric]) -> np.ndarray:
        """Scores (items, rubrics), NaN where unread. See :class:`tropism.judge.judgments.Judge`."""
        asked = requests(items, rubrics)
        replies = [self._reply(messages) for messages in tqdm(asked, desc="judging", mininterval=2)]
        return _table(replies, items, rubrics, read_reply)

    @torch.inference_mode()
    def _reply(self, messages: list[Message]) -> Reply:
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = torch.tensor([token_ids(self.tokenizer, str(text))], device=self.model.device)
        settings = GenerationConfig(
            do_sample=False, max_new_tokens=self.max_new_tokens, pad_token_id=self.tokenizer.pad_token_id
        )
        given = self.model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=settings)
        given = given[0, ids.shape[1] :]
        said = str(self.tokenizer.decode(given, skip_special_tokens=True))
        return Reply(said, "length" if len(given) >= self.max_new_tokens else "stop")


def requests(items: Sequence[Item], rubrics: Sequence[Rubric]) -> list[list[Message]]:
    """One request for each item and rubric, rubrics in the inner loop."""
    return [rubric.messages(item.prompt, item.response, item.target) for item in items for rubric in rubrics]


def read_reply(reply: Reply, rubric: Rubric) -> float | None:
    """The score that the reply states; None for a reply that was cut, of which the rest is not known."""
    return None if reply.finish == "length" else rubric.parse(reply.text)


def read_probabilities(reply: Reply, rubric: Rubric) -> float | None:
    """The probability-weighted score over the candidates for the reply's first token.

    Raises:
        JudgeError: the first token is only a part of the number that the reply states.
    """
    if not reply.tokens:
        return None
    if splits_numbers(reply.tokens[0], reply.text):
        raise JudgeError(
            f"the server's model writes {reply.text.strip()!r} in several tokens, so the probabilities of its first one"
            " are no scores; set `logprobs: false` for this judge"
        )
    return rubric.expected(reply.alternatives[0])


def _table(replies: Sequence[Reply], items: Sequence[Item], rubrics: Sequence[Rubric], read: Reading) -> np.ndarray:
    values: list[float] = []
    shown = 0
    for number, reply in enumerate(replies):
        score = read(reply, rubrics[number % len(rubrics)])
        if score is None and shown < SHOWN:
            shown += 1
            logging.warning("%s: not a score: %r", rubrics[number % len(rubrics)].name, reply.text[:80])
        values.append(np.nan if score is None else score)
    return np.array(values, dtype=float).reshape(len(items), len(rubrics))
