"""Shared ground: models behind OpenAI-compatible servers.

``client`` asks many things at once, ``answers`` keeps what was answered, ``launch`` starts a server and stops it.
"""

from tropism.endpoint.answers import Answers
from tropism.endpoint.client import chat, chat_bodies, complete, forget_replies, free_of_charge, known_replies
from tropism.endpoint.errors import EndpointError
from tropism.endpoint.replies import Reply
from tropism.endpoint.server import Server

__all__ = [
    "Answers",
    "EndpointError",
    "Reply",
    "Server",
    "chat",
    "chat_bodies",
    "complete",
    "forget_replies",
    "free_of_charge",
    "known_replies",
]
