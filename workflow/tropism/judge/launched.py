"""The server that a judge's `serve` starts: when the first question comes, for as long as the stage lasts."""

import contextlib
import json
import logging
from pathlib import Path

from tropism.config.judges import JudgeConfig
from tropism.endpoint.launch import launched
from tropism.judge.bases import base_digest

log = logging.getLogger(__name__)


class LaunchedServer(contextlib.ExitStack):
    """One server for all that a stage asks of a judge. Leaving the block ends it, as does the end of this process.

    ``identity`` says in the keys of kept answers who was asked: the command and the base's content, not the address,
    which is another each time. Without ``log``, where its output would go, it is never started.
    """

    def __init__(self, config: JudgeConfig, base: Path | None, log: Path | None) -> None:
        """Nothing is started yet; ``base`` is the folder of the settings' ``model``."""
        super().__init__()
        self.config, self.base, self.log = config, base, log
        self.name = config.served or str(base)
        content = base_digest(base) if base else None
        self.identity = json.dumps({"serve": config.serve, "served": config.served, "model": content}, sort_keys=True)
        self._url: str | None = None

    def url(self) -> str:
        """The address of the running server.

        Raises:
            tropism.endpoint.EndpointError: it could not be started, or was not ready in ``ready_s``.
        """
        if self._url is None:
            assert self.log is not None
            assert self.config.serve is not None
            values = {"model": self.base} if self.base else {}
            started = launched(self.config.serve, values, log=self.log, ready_s=self.config.ready_s)
            self._url = self.enter_context(started)
            log.info("%s is ready; its log is %s", self.config.serve.split()[0], self.log)
        return self._url
