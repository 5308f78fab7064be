"""What a server said, read strictly: a reply is what the model wrote or it is none."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tropism.endpoint.errors import MalformedError


@dataclass(frozen=True)
class Reply:
    """What the model said, why it stopped, and, where asked for, each token with its candidates' log-probabilities.

    ``finish`` is ``failed`` for a request that was given up within the tolerated share; its text is empty. The token
    counts are the server's own, 0 where it gives none.
    """

    text: str
    finish: str | None
    tokens: tuple[str, ...] = ()
    alternatives: tuple[dict[str, float], ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The reply that ``dataclasses.asdict`` and JSON made ``value`` from."""
        lists = {"tokens": tuple(value["tokens"]), "alternatives": tuple(value["alternatives"])}
        return cls(**{**value, **lists})


FAILED = Reply("", "failed")


def read_reply(content: bytes, kind: str) -> Reply:
    """The first choice of a (chat) completion, from the JSON that a server sent.

    Raises:
        MalformedError: it is none.
    """
    try:
        answer = json.loads(content)
    except ValueError:
        raise MalformedError("it is not JSON") from None
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise MalformedError("it has no choices")
    choice = choices[0]
    if kind == "chat":
        message = choice.get("message")
        if not isinstance(message, dict):
            raise MalformedError("its choice has no message")
        text = message.get("content") or ""  # none beside a refusal or an empty answer
    else:
        text = choice.get("text")
    finish = choice.get("finish_reason")
    if not isinstance(text, str) or not isinstance(finish, str | None):
        raise MalformedError("its text is not text")
    try:
        usage = answer.get("usage") or {}
        tokens = ((choice.get("logprobs") or {}).get("content") or []) if kind == "chat" else []
        return Reply(
            text=text,
            finish=finish,
            tokens=tuple(str(token["token"]) for token in tokens),
            alternatives=tuple(
                {str(e["token"]): float(e["logprob"]) for e in token["top_logprobs"]} for token in tokens
            ),
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MalformedError(f"its probabilities or counts cannot be read: {type(error).__name__}") from None
