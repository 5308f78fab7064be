"""Where a model is served. The key comes from the environment alone and goes nowhere but to the server."""

import ipaddress
import os
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from tropism.endpoint.errors import EndpointError

KEY_VARIABLE = "OPENAI_API_KEY"
URL_VARIABLE = "OPENAI_BASE_URL"


@dataclass(frozen=True)
class Server:
    """Where a model is served and how hard it may be asked.

    ``timeout_s`` is the deadline of one request, all its retries and their waits included. ``identity`` stands for the
    server in the keys of kept answers: what it is where its address changes, by default its address. An address of the
    environment is none: the same model is asked again elsewhere, as a job's server on another node.
    """

    url: str
    model: str
    concurrency: int = 8
    timeout_s: float = 120
    retries: int = 5
    key: str = field(default="none", repr=False)
    identity: str | None = None

    @classmethod
    def from_environment(cls, url: str | None, model: str, **limits: Any) -> Self:
        """A server at ``url``, or at ``OPENAI_BASE_URL``, with the key in ``OPENAI_API_KEY``.

        Raises:
            EndpointError: there is no address, it is no http(s) address, it holds a password, or it is another
                machine's and there is no key.
        """
        identity = None if url else URL_VARIABLE
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
        return cls(url, model, key=key or "none", identity=identity, **limits)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
