"""Shared ground: ask a chat model behind an OpenAI-compatible server many things at once, in order, within limits.

The key comes from the environment alone and goes nowhere but to the server: what a failed request says is built here,
with the key struck out, since servers are known to repeat it.
"""

import asyncio
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import openai
from openai.types.chat import ChatCompletion
from tqdm import tqdm

KEY_VARIABLE = "OPENAI_API_KEY"
URL_VARIABLE = "OPENAI_BASE_URL"


class EndpointError(RuntimeError):
    """A server that could not be asked, or did not answer; the message holds no key."""


@dataclass(frozen=True)
class Reply:
    """What the model said, why it stopped, and, where asked for, each token with its candidates' log-probabilities."""

    text: str
    finish: str | None
    tokens: tuple[str, ...] = ()
    alternatives: tuple[dict[str, float], ...] = ()


@dataclass(frozen=True)
class Server:
    """Where a model is served and how hard it may be asked.

    ``timeout_s`` is the deadline of one request, all its retries and their waits included.
    """

    url: str
    model: str
    concurrency: int = 8
    timeout_s: float = 120
    retries: int = 5
    key: str = field(default="none", repr=False)

    @classmethod
    def from_environment(cls, url: str | None, model: str, **limits: Any) -> Self:
        """A server at ``url``, or at ``OPENAI_BASE_URL``, with the key in ``OPENAI_API_KEY``.

        Raises:
            EndpointError: there is no address, it is no http(s) address, it holds a password, or it is another
                machine's and there is no key.
        """
        url = url or os.environ.get(URL_VARIABLE)
        if not url:
            raise EndpointError(f"no server: set `base_url` in the settings or {URL_VARIABLE} in the environment")
        parts = urlsplit(url)
        if parts.username or parts.password:
            raise EndpointError(f"the server's address holds a user or password; give the key in {KEY_VARIABLE}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise EndpointError(f"{url}: not a server's address such as http://127.0.0.1:8000/v1")
        key = os.environ.get(KEY_VARIABLE)
        if not key and not _is_loopback(parts.hostname):
            raise EndpointError(f"{parts.hostname}: no key: set {KEY_VARIABLE} in the environment")
        return cls(url, model, key=key or "none", **limits)


async def chat(
    server: Server,
    requests: Sequence[list[dict[str, str]]],
    *,
    max_tokens: int,
    temperature: float = 0.0,
    top_logprobs: int | None = None,
    label: str = "asking",
) -> list[Reply]:
    """The replies to ``requests`` (each a list of chat messages), in their order, at most ``concurrency`` at a time.

    The client retries what may pass (connection, 408, 409, 429, 5xx), as the server's Retry-After says or with growing
    waits.

    Raises:
        EndpointError: a request failed for good, or was not done by its deadline; the others are given up.
    """
    options: dict[str, Any] = {} if top_logprobs is None else {"logprobs": True, "top_logprobs": top_logprobs}
    options |= {"model": server.model, "max_tokens": max_tokens, "temperature": temperature}
    slots = asyncio.Semaphore(server.concurrency)
    with tqdm(total=len(requests), desc=label, mininterval=2) as progress:
        async with openai.AsyncOpenAI(
            api_key=server.key, base_url=server.url, max_retries=server.retries, timeout=server.timeout_s
        ) as client:

            async def ask(number: int) -> Reply:
                async with slots:
                    reply = await _ask(client, server, number, {**options, "messages": requests[number]})
                progress.update()
                return reply

            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(ask(number)) for number in range(len(requests))]
            except* EndpointError as failures:
                raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def _ask(client: openai.AsyncOpenAI, server: Server, number: int, options: dict[str, Any]) -> Reply:
    where = f"{urlsplit(server.url).hostname}, request {number + 1}"
    try:
        async with asyncio.timeout(server.timeout_s):
            completion = await client.chat.completions.create(**options)
    except (TimeoutError, openai.APITimeoutError):
        raise EndpointError(f"{where}: no answer within {server.timeout_s:g} s (`timeout_s`)") from None
    except openai.APIStatusError as error:
        raise EndpointError(_without_key(f"{where}: status {error.status_code}: {error.message}", server)) from None
    except openai.APIConnectionError as error:
        cause = error.__cause__ or error
        raise EndpointError(_without_key(f"{where}: no connection ({type(cause).__name__}: {cause})", server)) from None
    except (openai.APIError, ValueError) as error:
        raise EndpointError(f"{where}: the server's answer is not a chat completion ({type(error).__name__})") from None
    return _reply(completion, where)


def _reply(completion: ChatCompletion, where: str) -> Reply:
    choices = getattr(completion, "choices", None)
    if not isinstance(choices, list) or not choices or getattr(choices[0], "message", None) is None:
        raise EndpointError(f"{where}: the server's answer is not a chat completion (it has no choices)")
    choice = choices[0]
    content = choice.message.content
    tokens = (choice.logprobs.content if choice.logprobs else None) or []
    return Reply(
        text=content if isinstance(content, str) else "",
        finish=choice.finish_reason,
        tokens=tuple(token.token for token in tokens),
        alternatives=tuple({each.token: each.logprob for each in token.top_logprobs} for token in tokens),
    )


def _without_key(message: str, server: Server) -> str:
    """``message``, cut to 300 characters, the key struck out."""
    text = message if len(server.key) < 5 else message.replace(server.key, "***")
    return " ".join(text.split())[:300]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
