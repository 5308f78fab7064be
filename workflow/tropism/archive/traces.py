"""Traces: whole phrases of texts that stay behind, looked for in every file that would be packed.

A log that prints an answer, a table that quotes one, a report that embeds it: no rule of names finds these, so contents
are compared. A phrase is a run of ``WORDS`` words, whatever stands between them (escapes, markup, line ends) or, as in
the cards of features, between the tokens of one word.
"""

import base64
import binascii
import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

WORDS = 8
MOST_PHRASES = 60
"""Of one text, evenly spaced; a text of up to 67 words is covered whole."""
BINARY = {".safetensors", ".png", ".pdf", ".gguf", ".ttf", ".woff2"}
_WORD = re.compile(rb"[a-z]+")
_ESCAPE = re.compile(rb"\\(?:u[0-9a-f]{4}|[nrt])|&(?:#x?[0-9a-f]+|[a-z]+);")
_TAG = re.compile(rb"<[^<>]*>")
_TOKEN = re.compile(rb'"text"\s*:\s*"((?:[^"\\]|\\.)*)"')
_EMBEDDED = re.compile(rb"base64,([A-Za-z0-9+/=]{40,})")


def phrases(data: bytes) -> Iterator[bytes]:
    """Every run of ``WORDS`` words of ASCII letters in ``data``, in lower case, one space between words."""
    words = _WORD.findall(_ESCAPE.sub(b" ", data.lower()))
    return (b" ".join(words[at : at + WORDS]) for at in range(len(words) - WORDS + 1))


class Traces:
    """Phrases of the ``harmful`` texts that no ``shown`` text has."""

    def __init__(self, harmful: Iterable[str], shown: Iterable[str]) -> None:
        self._phrases: set[bytes] = set()
        for text in harmful:
            found = list(phrases(text.encode()))
            self._phrases.update(found[:: max(1, -(-len(found) // MOST_PHRASES))])
        for text in shown:
            self._phrases.difference_update(phrases(text.encode()))

    def __len__(self) -> int:
        return len(self._phrases)

    def found_in(self, path: Path) -> bool:
        """Whether the file shows such a phrase, in its text, its columns of text, or what it embeds (base64, gzip)."""
        if path.suffix in BINARY or not self._phrases:
            return False
        return any(phrase in self._phrases for part in _texts(path) for phrase in phrases(part))


def _texts(path: Path) -> Iterator[bytes]:
    if path.suffix == ".parquet":
        for column in pq.read_table(path).columns:
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                yield "\n".join(value for value in column.unique().to_pylist() if value).encode()
        return
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    yield data
    if path.suffix == ".json":
        yield b"".join(_TOKEN.findall(data))
    if path.suffix in {".html", ".svg"}:
        yield from _without_markup(data)
    if path.suffix in {".html", ".js"}:
        for match in _EMBEDDED.finditer(data):
            try:
                inner = base64.b64decode(match[1])
                inner = gzip.decompress(inner) if inner.startswith(b"\x1f\x8b") else inner
                yield inner
                yield from _without_markup(inner)
            except (binascii.Error, OSError, EOFError, zlib.error):
                continue  # not what it looked like: it was searched as text already


def _without_markup(data: bytes) -> Iterator[bytes]:
    """Tags may stand between words, or, where each token is marked by itself, inside of them."""
    if b"<" in data:
        yield _TAG.sub(b" ", data)
        yield _TAG.sub(b"", data)
