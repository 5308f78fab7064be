"""A judge that is asked in words behind a server, and how its replies and a local one's are read."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tropism.config.judges import JudgeConfig
from tropism.endpoint import Answers, Reply, Server, chat, chat_bodies, forget_replies, free_of_charge, known_replies
from tropism.judge.judgments import Item, JudgeError
from tropism.judge.launched import LaunchedServer
from tropism.judge.rubric import Message, Rubric, split_number
from tropism.records.keyed import keyed_bytes

Reading = Callable[[Reply, Rubric], float | None]
SHOWN = 5
"""Unreadable replies of a stage that are logged."""


class EndpointJudge:
    """A chat model behind an OpenAI-compatible server."""

    def __init__(
        self, config: JudgeConfig, answers: Answers | None = None, launched: LaunchedServer | None = None
    ) -> None:
        """Take the server's address and key from the settings and the environment; ``answers`` keeps what it says.

        A judge with ``serve`` asks ``launched``, which starts when something is not known yet.

        Raises:
            tropism.endpoint.EndpointError: there is no address, or no key for a server elsewhere.
        """
        self.config = config
        self.answers = answers
        self.launched = launched
        self.unread: list[tuple[list[dict[str, Any]], list[bool]]] = []
        limits: dict[str, Any] = {
            "concurrency": config.concurrency,
            "timeout_s": config.timeout_s,
            "retries": config.retries,
        }
        self.server = (
            Server.from_environment(config.base_url, str(config.served), **limits)
            if launched is None
            else Server("", launched.name, identity=launched.identity, **limits)
        )
        decides = (config.temperature, config.max_tokens, config.logprobs, config.structured)
        # of the settings, not of the environment: a server that a job launches has another address each time
        where = (config.base_url, config.served) if launched is None else (launched.identity,)
        self.stack = keyed_bytes("endpoint", *where, *decides).hex()

    def scores(self, items: Sequence[Item], rubrics: Sequence[Rubric]) -> np.ndarray:
        """Scores (items, rubrics), NaN where unread. See :class:`tropism.judge.judgments.Judge`.

        Raises:
            JudgeError: probabilities are asked of a server whose tokeniser splits the scale's numbers.
            tropism.endpoint.EndpointError: more requests failed after all their retries than may be unparsed.
        """
        asked, settings = requests(items, rubrics), reply_settings(self.config, items, rubrics)
        server = self.server
        bodies = chat_bodies(server, asked, **settings)
        if self.launched is not None:
            free = free_of_charge(server, bodies, self.answers)
            if self.launched.log is None and bodies and not any(free):
                raise JudgeError(
                    "no answer of the server that is started for this judge is kept any more; remove its"
                    " `asked*.json` in `judges/`, and the next run asks anew (by hand, `--server-log FILE` starts it)"
                )
            if self.launched.log is None or all(free):
                return self._read(bodies, known_replies(server, bodies, self.answers), items, rubrics)
            server = replace(server, url=self.launched.url())
        limits: dict[str, Any] = {"tolerate": self.config.max_unparsed, "label": "judging"}
        replies = asyncio.run(chat(server, asked, **settings, answers=self.answers, **limits))
        return self._read(bodies, replies, items, rubrics)

    def forget_unread(self) -> int:
        """Keep what could not be read of all that was asked no longer, so that it is asked again; how many these are.

        A reply that cannot be read is an outcome like another, kept and counted, as long as the stage stands. Where it
        falls over too many of them, the server may be at fault, and the next run has to be told something else.
        """
        for bodies, unread in self.unread:
            forget_replies(self.server, bodies, unread, self.answers)
        return sum(sum(unread) for _, unread in self.unread)

    def _read(
        self,
        bodies: list[dict[str, Any]],
        replies: Sequence[Reply],
        items: Sequence[Item],
        rubrics: Sequence[Rubric],
    ) -> np.ndarray:
        read = read_probabilities if self.config.logprobs else read_reply
        scores = score_table(replies, items, rubrics, read)
        self.unread.append((bodies, np.isnan(scores).ravel().tolist()))
        return scores


def requests(items: Sequence[Item], rubrics: Sequence[Rubric]) -> list[list[Message]]:
    """One request for each item and rubric, rubrics in the inner loop."""
    return [rubric.messages(item.prompt, item.response, item.target) for item in items for rubric in rubrics]


def reply_settings(config: JudgeConfig, items: Sequence[Item], rubrics: Sequence[Rubric]) -> dict[str, Any]:
    """How the replies to :func:`requests` are asked for."""
    structured = config.structured and not config.logprobs
    return {
        "max_tokens": config.max_tokens,
        "temperature": config.temperature,
        "top_logprobs": 20 if config.logprobs else None,
        "formats": [answer_format(rubric) for _ in items for rubric in rubrics] if structured else None,
    }


def answer_format(rubric: Rubric) -> dict[str, Any]:
    """The JSON schema of an answer on ``rubric``, as OpenAI's structured outputs take it: ``{"score": n}``."""
    scores = list(range(rubric.scale.min, rubric.scale.max + 1))
    properties = {"score": {"type": "integer", "enum": scores}}
    schema = {"type": "object", "properties": properties, "required": ["score"], "additionalProperties": False}
    return {"name": rubric.name, "strict": True, "schema": schema}


def read_reply(reply: Reply, rubric: Rubric) -> float | None:
    """The score that the reply states; None for one that was cut, of which the rest is not known, or that failed."""
    return None if reply.finish in ("length", "failed") else rubric.parse(reply.text)


def read_probabilities(reply: Reply, rubric: Rubric) -> float | None:
    """The probability-weighted score over the candidates for the reply's first token; None without a score.

    Raises:
        JudgeError: the first token is only a part of the score that the reply states.
    """
    if not reply.tokens:
        return None
    number = split_number(reply.tokens[0], reply.text)
    if number is not None and rubric.parse(number) is None:
        return None  # a year or the like: it says nothing of how the scale's numbers are written
    if number is not None:
        raise JudgeError(
            f"the server's model writes {reply.text.strip()!r} in several tokens, so the probabilities of its first one"
            " are no scores; set `logprobs: false` for this judge"
        )
    return rubric.expected(reply.alternatives[0])


def score_table(
    replies: Sequence[Reply], items: Sequence[Item], rubrics: Sequence[Rubric], read: Reading
) -> np.ndarray:
    """Scores (items, rubrics) read from replies in that order, NaN where unread; the first few unread are logged."""
    values: list[float] = []
    shown = 0
    for number, reply in enumerate(replies):
        score = read(reply, rubrics[number % len(rubrics)])
        if score is None and shown < SHOWN:
            shown += 1
            logging.warning("%s: not a score: %r", rubrics[number % len(rubrics)].name, reply.text[:80])
        values.append(np.nan if score is None else score)
    return np.array(values, dtype=float).reshape(len(items), len(rubrics))
