"""A chat model to ask, and one behind an OpenAI-compatible endpoint; what it answered is kept."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol, TypedDict

from tropism.config.annotator import ChatConfig
from tropism.endpoint import Answers, EndpointError, Reply, Server, chat, chat_bodies, known_replies
from tropism.records.files import InputError

DEADLINE_S = 600.0
"""Of one answer, its retries included."""
IN_MEMORY = ":memory:"
"""The file of answers that end with the process."""


class Message(TypedDict):
    """One turn of a conversation."""

    role: str
    content: str


class Chat(Protocol):
    """Answers a conversation; ``model`` is its name, ``answers`` keeps what it said."""

    model: str
    answers: Answers | None

    def prepare(self, conversations: Sequence[list[Message]]) -> None:
        """Ask ahead, where that is quicker, what :meth:`answer` is going to be asked."""

    def answer(self, messages: list[Message]) -> str:
        """The next turn, as text."""


class Endpoint:
    """A model served at ``base_url``; the key is ``OPENAI_API_KEY``, which a local server does not ask for."""

    def __init__(self, config: ChatConfig, answers: Answers | None = None, form: dict[str, Any] | None = None) -> None:
        """Name the endpoint; nothing is sent yet.

        ``answers`` keeps what it says; ``form`` is the JSON schema of an answer, left out where the server refuses it.

        Raises:
            InputError: the settings name no endpoint or no model.
        """
        if not config.base_url or not config.model:
            raise InputError("annotator: an endpoint needs `llm.base_url` and `llm.model`")
        self.model = config.model
        self.config = config
        self.answers = answers
        self.form = form if config.structured else None

    def prepare(self, conversations: Sequence[list[Message]]) -> None:
        """Ask all of these, ``concurrency`` at a time, and keep the answers.

        Raises:
            InputError: the endpoint cannot be reached or refuses. The message holds no key.
        """
        if self.answers is not None:
            self._replies(conversations, "asking")

    def answer(self, messages: list[Message]) -> str:
        """The endpoint's answer; what may pass is tried again.

        Raises:
            InputError: the endpoint cannot be reached or refuses. The message holds no key.
        """
        [reply] = self._replies([messages])
        return reply.text

    def _replies(self, conversations: Sequence[list[Message]], label: str = "") -> list[Reply]:
        turns = [plain_turns(messages) for messages in conversations]
        settings: dict[str, Any] = {"temperature": self.config.temperature, "max_tokens": self.config.max_tokens}
        settings["formats"] = [self.form] * len(turns) if self.form else None
        limits: dict[str, Any] = {"concurrency": self.config.concurrency, "timeout_s": DEADLINE_S, "retries": 2}
        try:
            server = Server.from_environment(self.config.base_url, self.model, **limits)
            replies = known_replies(server, chat_bodies(server, turns, **settings), self.answers)
            if any(reply.finish == "failed" for reply in replies):  # not known
                told: dict[str, Any] = {"label": label, "progress": bool(label)}
                replies = asyncio.run(chat(server, turns, **settings, answers=self.answers, **told))
        except EndpointError as error:
            raise InputError(
                f"{self.config.base_url}: no answer from `{self.model}` ({error}); is it served there, and is"
                " OPENAI_API_KEY set if it needs a key?"
            ) from None
        return replies


def plain_turns(messages: list[Message]) -> list[dict[str, str]]:
    """``messages`` as the dictionaries that servers and templates take."""
    return [{"role": turn["role"], "content": turn["content"]} for turn in messages]
