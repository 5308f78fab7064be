"""The asking itself: bounded, retried, resumed, and stopped where going on would be a waste.

The client library retries what a status or a lost connection says may pass. Here are the deadline over all tries, a
further try for an answer that is not whole, the fall-back where a server knows no answer schema, and the decision to
give up: at once where every request would fail alike, else when more failed than is tolerated.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import openai
from tqdm import tqdm

from tropism.endpoint.answers import Answers, answer_key
from tropism.endpoint.errors import EndpointError, MalformedError
from tropism.endpoint.replies import FAILED, Reply, read_reply
from tropism.endpoint.server import Server

log = logging.getLogger(__name__)
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 8.0
HOPELESS = {401, 403, 404}
"""Statuses that the next request would get as well: no right to ask, or nothing there to be asked."""
APART_S, ALL_APART_S = 0.015, 1.0
"""Requests begin this far apart, all of them within the second number. Those that begin together are answered together
by a server of even latency, and then all wait until this process has read the answers of all, round after round."""
FORMAT_REFUSED = {400, 422}
PATHS = {"chat": "/chat/completions", "text": "/completions"}


class RequestError(EndpointError):
    """One request that failed for good; ``hopeless`` if all others would too."""

    def __init__(self, message: str, status: int | None = None, *, hopeless: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.hopeless = hopeless


class Asking:
    """One list of requests to one server. ``kind`` is ``chat`` or ``text``, the two interfaces of completions."""

    def __init__(
        self, server: Server, kind: str, answers: Answers | None, tolerate: float, label: str, progress: bool = True
    ) -> None:
        """Nothing is sent yet."""
        self.server, self.kind, self.answers, self.tolerate, self.label = server, kind, answers, tolerate, label
        self.identity = server.identity or server.url
        self.plain = answers is not None and answers.knows(self._no_format)
        self.progress = progress
        self.failures: list[RequestError] = []
        self.in_a_row = 0
        self.stopped = False

    @property
    def _no_format(self) -> str:
        return f"{self.identity}: answers by schema are refused"

    async def all(self, bodies: Sequence[dict[str, Any]]) -> list[Reply]:
        """The replies, in order. See :func:`tropism.endpoint.chat`."""
        repeats = self._repeats(bodies)
        keys = [self._key(body, repeat) for body, repeat in zip(bodies, repeats, strict=True)]
        known = {key: self._known(body, repeat) for key, body, repeat in zip(keys, bodies, repeats, strict=True)}
        replies = {key: reply for key, reply in known.items() if reply is not None}
        first = {key: number for number, key in reversed(list(enumerate(keys)))}
        missing = sorted(number for key, number in first.items() if key not in replies)
        if replies:
            log.info("%s: %d of %d answers are known already", self.label, len(replies), len(first))
        allowed = self.tolerate * len(first)
        queue = iter(missing)
        with tqdm(total=len(missing), desc=self.label, mininterval=2, disable=not self.progress) as progress:
            async with openai.AsyncOpenAI(
                api_key=self.server.key,
                base_url=self.server.url,
                max_retries=self.server.retries,
                timeout=self.server.timeout_s,
            ) as client:

                async def work(delay: float) -> None:
                    await asyncio.sleep(delay)
                    for number in self._until_stopped(queue):
                        replies[keys[number]] = await self._one(client, number, bodies[number], repeats[number])
                        self.stopped |= len(self.failures) > allowed
                        progress.update()

                try:
                    async with asyncio.TaskGroup() as group:
                        workers = min(self.server.concurrency, len(missing))
                        for place in range(workers):
                            group.create_task(work(place * min(APART_S, ALL_APART_S / workers)))
                except* EndpointError as errors:  # the answers cannot be kept, so asking on would be a waste
                    raise errors.exceptions[0] from None
        if self.stopped:
            self._raise(len(first), len(missing), sum(reply is not FAILED for reply in replies.values()))
        if self.failures:
            log.warning(
                "%s: %d of %d requests failed: %s", self.label, len(self.failures), len(first), self.failures[0]
            )
        if self.progress:
            self._account([replies[keys[number]] for number in missing])
        return [replies[key] for key in keys]

    def known(self, bodies: Sequence[dict[str, Any]]) -> list[Reply]:
        """What is kept of the replies that :meth:`all` would give; the others count as failed."""
        return [self._known(body, repeat) or FAILED for body, repeat in zip(bodies, self._repeats(bodies), strict=True)]

    def free(self, bodies: Sequence[dict[str, Any]]) -> list[bool]:
        """Which requests :meth:`all` would not send."""
        seen: set[str] = set()
        out = []
        for body, repeat in zip(bodies, self._repeats(bodies), strict=True):
            key = self._key(body, repeat)
            out.append(key in seen or self._known(body, repeat) is not None)
            seen.add(key)
        return out

    def forget(self, bodies: Sequence[dict[str, Any]], chosen: Sequence[bool]) -> None:
        """Keep the replies to the ``chosen`` of these requests no longer, so that :meth:`all` asks for them again."""
        for body, repeat, drop in zip(bodies, self._repeats(bodies), chosen, strict=True):
            if drop and self.answers is not None:
                self.answers.drop(self._key(body, repeat))
                self.answers.drop(answer_key(self.identity, self.kind, body, repeat))

    def _until_stopped(self, queue: Iterator[int]) -> Iterator[int]:
        while not self.stopped and (number := next(queue, None)) is not None:
            yield number

    def _repeats(self, bodies: Sequence[dict[str, Any]]) -> list[int]:
        """How many equal requests stand before each where answers are drawn, so that each gets a draw of its own.

        Where temperature is 0 the answer is one and asked for once.
        """
        seen: Counter[str] = Counter()
        repeats = []
        for body in bodies:
            key = self._key(body, 0)
            repeats.append(seen[key] if body.get("temperature") else 0)
            seen[key] += 1
        return repeats

    def _key(self, body: dict[str, Any], repeat: int) -> str:
        return answer_key(self.identity, self.kind, self._sent(body), repeat)

    def _sent(self, body: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in body.items() if key != "response_format"} if self.plain else body

    def _known(self, body: dict[str, Any], repeat: int) -> Reply | None:
        """An answer that is kept: as asked now, or with its schema, which a server may refuse for another request."""
        if self.answers is None:
            return None
        asked = answer_key(self.identity, self.kind, body, repeat)
        return self.answers.get(self._key(body, repeat)) or self.answers.get(asked)

    async def _one(self, client: openai.AsyncOpenAI, number: int, body: dict[str, Any], repeat: int) -> Reply:
        where = f"{urlsplit(self.server.url).hostname}, request {number + 1}"
        try:
            reply = await self._by_deadline(client, body, where)
        except RequestError as failure:
            self.failures.append(failure)
            self.in_a_row += 1
            self.stopped |= failure.hopeless or self.in_a_row >= 2 * self.server.concurrency
            return FAILED
        self.in_a_row = 0
        if self.answers:
            self.answers.put(self._key(body, repeat), reply)
        return reply

    async def _by_deadline(self, client: openai.AsyncOpenAI, body: dict[str, Any], where: str) -> Reply:
        try:
            async with asyncio.timeout(self.server.timeout_s):
                return await self._in_a_format_that_it_knows(client, body, where)
        except TimeoutError:
            raise RequestError(f"{where}: no answer within {self.server.timeout_s:g} s (`timeout_s`)") from None

    async def _in_a_format_that_it_knows(self, client: openai.AsyncOpenAI, body: dict[str, Any], where: str) -> Reply:
        sent = self._sent(body)
        try:
            return await self._whole(client, sent, where)
        except RequestError as failure:
            if failure.status not in FORMAT_REFUSED or "response_format" not in sent:
                raise
        plain = {key: value for key, value in body.items() if key != "response_format"}
        reply = await self._whole(client, plain, where)
        if not self.plain:
            self.plain = True
            log.info("%s: the server takes no answer schema; asking without", self.label)
            if self.answers:
                self.answers.note(self._no_format)
        return reply

    async def _whole(self, client: openai.AsyncOpenAI, body: dict[str, Any], where: str) -> Reply:
        problem = ""
        for tried in range(self.server.retries + 1):
            if tried:
                await asyncio.sleep(min(FIRST_WAIT_S * 2 ** (tried - 1), LONGEST_WAIT_S))
            try:
                return await self._once(client, body, where)
            except MalformedError as error:
                problem = str(error)
        raise RequestError(f"{where}: the server's answer is not a completion ({problem})")

    async def _once(self, client: openai.AsyncOpenAI, body: dict[str, Any], where: str) -> Reply:
        # the library's own request, retries and all, without its types around question and answer: they took about a
        # quarter of the processor's time for a request, which is what limits many at once
        sent = {key: value for key, value in body.items() if key != "extra_body"} | body.get("extra_body", {})
        try:
            answer = await client.post(PATHS[self.kind], body=sent, cast_to=bytes)
        except openai.APITimeoutError:
            raise TimeoutError from None
        except openai.APIStatusError as error:
            text = self._without_key(f"{where}: status {error.status_code}: {error.message}")
            raise RequestError(text, error.status_code, hopeless=error.status_code in HOPELESS) from None
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            text = self._without_key(f"{where}: no connection ({type(cause).__name__}: {cause})")
            raise RequestError(text, hopeless=True) from None
        except (openai.APIError, ValueError) as error:
            raise MalformedError(type(error).__name__) from None
        return read_reply(answer, self.kind)

    def _without_key(self, message: str) -> str:
        """``message``, the key struck out, cut to 300 characters."""
        text = message if len(self.server.key) < 5 else message.replace(self.server.key, "***")
        return " ".join(text.split())[:300]

    def _raise(self, total: int, missing: int, done: int) -> None:
        kept = f"; {done} of {total} answers are kept and will not be asked for again" if self.answers else ""
        more = f" ({len(self.failures)} of {missing} failed{kept})" if total > 1 else ""
        raise EndpointError(f"{self.failures[0]}{more}")

    def _account(self, asked: Sequence[Reply]) -> None:
        if asked:
            log.info(
                "%s: %d requests, %d prompt tokens, %d completion tokens",
                *(self.label, len(asked)),
                *(sum(reply.prompt_tokens for reply in asked), sum(reply.completion_tokens for reply in asked)),
            )
