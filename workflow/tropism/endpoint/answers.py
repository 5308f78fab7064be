"""What a server answered, written as it comes, so that a killed job asks nothing twice.

One SQLite file belongs to one job at a time: it is locked as a whole, which also lets the write-ahead log work on
network file systems, where SQLite's shared memory does not. A commit outlives the process, not a power failure.
"""

import contextlib
import hashlib
import json
import sqlite3
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from tropism.endpoint.errors import EndpointError
from tropism.endpoint.replies import Reply

FORMAT = 1


def answer_key(identity: str, kind: str, body: dict[str, Any], repeat: int) -> str:
    """The sha256 of all that determines an answer: who is asked, over which interface, what, and for which time."""
    content = json.dumps([FORMAT, identity, kind, body, repeat], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


class Answers(contextlib.AbstractContextManager["Answers"]):
    """Answers by key, in a file."""

    def __init__(self, path: Path | str) -> None:
        """Open the file, or make it.

        Raises:
            EndpointError: another job has it open, or it is no such file.
        """
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = sqlite3.connect(self.path, isolation_level=None, timeout=2)
        try:
            self.file.execute("PRAGMA locking_mode=EXCLUSIVE")
            self.file.execute("PRAGMA journal_mode=WAL")
            self.file.execute("PRAGMA synchronous=NORMAL")
            for table in ("answers (key TEXT PRIMARY KEY, reply TEXT NOT NULL)", "facts (fact TEXT PRIMARY KEY)"):
                self.file.execute(f"CREATE TABLE IF NOT EXISTS {table} WITHOUT ROWID")
            self.file.execute("BEGIN IMMEDIATE")  # takes the lock now, not at the first answer
            self.file.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self.file.close()
            if "locked" in str(error):
                raise EndpointError(f"{self.path}: another job is using these answers; let it end first") from None
            raise EndpointError(
                f"{self.path}: not a file of answers ({error}); move it away to ask everything again"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def get(self, key: str) -> Reply | None:
        """The reply kept under ``key``, or None."""
        row = self.file.execute("SELECT reply FROM answers WHERE key = ?", (key,)).fetchone()
        return Reply.from_json(json.loads(row[0])) if row else None

    def put(self, key: str, reply: Reply) -> None:
        """Keep ``reply``; the first one under a key stays.

        Raises:
            EndpointError: the file cannot be written, as on a full disk.
        """
        try:
            self.file.execute("INSERT OR IGNORE INTO answers VALUES (?, ?)", (key, json.dumps(asdict(reply))))
        except sqlite3.Error as error:
            raise EndpointError(f"{self.path}: an answer could not be kept ({error})") from None

    def drop(self, key: str) -> None:
        """Keep the reply under ``key`` no longer, if there is one."""
        self.file.execute("DELETE FROM answers WHERE key = ?", (key,))

    def knows(self, fact: str) -> bool:
        """Whether ``fact`` was noted."""
        return self.file.execute("SELECT 1 FROM facts WHERE fact = ?", (fact,)).fetchone() is not None

    def note(self, fact: str) -> None:
        """Note something found out about a server."""
        self.file.execute("INSERT OR IGNORE INTO facts VALUES (?)", (fact,))
