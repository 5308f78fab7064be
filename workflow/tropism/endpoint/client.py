"""Ask a model behind an OpenAI-compatible server many things at once: in order, within limits, nothing twice."""

from collections.abc import Sequence
from typing import Any

from tropism.endpoint.answers import Answers
from tropism.endpoint.ask import Asking
from tropism.endpoint.replies import Reply
from tropism.endpoint.server import Server


async def chat(
    server: Server,
    requests: Sequence[list[dict[str, str]]],
    *,
    max_tokens: int,
    temperature: float = 0.0,
    top_logprobs: int | None = None,
    formats: Sequence[dict[str, Any]] | None = None,
    answers: Answers | None = None,
    tolerate: float = 0.0,
    label: str = "asking",
    progress: bool = True,
) -> list[Reply]:
    """The replies to ``requests`` (each a list of chat messages), in their order, at most ``concurrency`` at a time.

    What may pass is tried again (connection, 408, 409, 429, 5xx, an answer that is not whole), as the server's
    Retry-After says up to two minutes (a longer one fails the request) or with growing waits. ``formats`` holds each
    request's JSON schema of the answer; a server that refuses it is asked without. ``answers`` gives what is known
    already and keeps each reply as it comes.

    Raises:
        EndpointError: more than the share ``tolerate`` of the requests failed for good or were not done by their
            deadline, or the server refuses altogether. What was under way is waited for and kept.
    """
    bodies = chat_bodies(
        server, requests, max_tokens=max_tokens, temperature=temperature, top_logprobs=top_logprobs, formats=formats
    )
    return await Asking(server, "chat", answers, tolerate, label, progress).all(bodies)


def chat_bodies(
    server: Server,
    requests: Sequence[list[dict[str, str]]],
    *,
    max_tokens: int,
    temperature: float = 0.0,
    top_logprobs: int | None = None,
    formats: Sequence[dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """What :func:`chat` sends."""
    options: dict[str, Any] = {} if top_logprobs is None else {"logprobs": True, "top_logprobs": top_logprobs}
    options |= {"model": server.model, "max_tokens": max_tokens, "temperature": temperature}
    bodies = [{**options, "messages": messages} for messages in requests]
    if formats is None:
        return bodies
    return [
        {**body, "response_format": {"type": "json_schema", "json_schema": schema}}
        for body, schema in zip(bodies, formats, strict=True)
    ]


def free_of_charge(server: Server, bodies: Sequence[dict[str, Any]], answers: Answers | None) -> list[bool]:
    """Which of the chat requests would not be sent: those that are answered already, or that an earlier one equals."""
    return Asking(server, "chat", answers, 0, "").free(bodies)


def known_replies(server: Server, bodies: Sequence[dict[str, Any]], answers: Answers | None) -> list[Reply]:
    """What is kept of the replies to these chat requests, in their order; one that is not counts as failed."""
    return Asking(server, "chat", answers, 0, "").known(bodies)


def forget_replies(
    server: Server,
    bodies: Sequence[dict[str, Any]],
    chosen: Sequence[bool],
    answers: Answers | None,
    kind: str = "chat",
) -> None:
    """Keep the replies to the ``chosen`` of these requests no longer, so that they are asked again.

    ``kind`` is ``text`` of plain completions.
    """
    Asking(server, kind, answers, 0, "").forget(bodies, chosen)


async def complete(
    server: Server,
    bodies: Sequence[dict[str, Any]],
    *,
    answers: Answers | None = None,
    tolerate: float = 0.0,
    label: str = "asking",
) -> list[Reply]:
    """The replies to plain completions, each body with its own ``model``, ``prompt`` and settings. See :func:`chat`."""
    return await Asking(server, "text", answers, tolerate, label).all(bodies)
