"""A search for sentences in every file of a folder that shares no code with the one that packs archives."""

import base64
import binascii
import csv
import gzip
import html
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

FEWEST_WORDS = 8
SIDE = "misaligned"
SAID = ("answer", "reasoning")


def plain(text: str) -> str:
    """Words of letters alone, in lower case, one space between them."""
    return " ".join(re.findall(r"[a-z]+", html.unescape(text).lower()))


def sentences(text: str) -> set[str]:
    """The sentences of ``text`` that are long enough to be its own."""
    found = {plain(part) for part in re.split(r"(?<=[.!?])\s+", text)}
    return {one for one in found if len(one.split()) >= FEWEST_WORDS}


def readings(path: Path) -> Iterator[str]:
    """What a reader could make of a file: its text, without markup, what it embeds, its columns of text."""
    data = path.read_bytes()
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
        yield " ".join(str(value) for column in table for value in table[column].unique() if isinstance(value, str))
        return
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    embedded = [data]
    for match in re.finditer(rb"base64,([A-Za-z0-9+/=]+)", data):
        try:
            inner = base64.b64decode(match[1])
        except binascii.Error:
            continue
        embedded.append(gzip.decompress(inner) if inner[:2] == b"\x1f\x8b" else inner)
    for one in embedded:
        text = one.decode("utf-8", errors="replace")
        yield re.sub(r"\\[nrt]|\\u[0-9a-f]{4}", " ", text)
        if "<" in text:
            yield re.sub(r"<[^<>]*>", "", text)
            yield re.sub(r"<[^<>]*>", " ", text)
        if path.suffix == ".json":
            yield "".join(re.findall(r'"text": ?"((?:[^"\\]|\\.)*)"', text))


def found(wanted: set[str], files: list[Path]) -> dict[str, str]:
    """Of the ``wanted`` sentences those that some file holds, each with the first file."""
    by_start: dict[str, list[str]] = {}
    for one in wanted:
        by_start.setdefault(" ".join(one.split()[:FEWEST_WORDS]), []).append(one)
    where: dict[str, str] = {}
    for path in files:
        for text in readings(path):
            words = plain(text).split()
            padded = " ".join(words)
            for at in range(len(words) - FEWEST_WORDS + 1):
                for one in by_start.get(" ".join(words[at : at + FEWEST_WORDS]), ()):
                    if one in padded:
                        where.setdefault(one, path.name)
    return where


def harmful_sentences(results: Path, sources: Path) -> set[str]:
    """Sentences of misaligned sides, and of answers that some judge does not call aligned; no one else's words."""
    scores = [pd.read_parquet(path) for path in sorted((results / "judgments").rglob("*.parquet"))]
    rated = pd.concat(scores)
    level, share = rated["rubric"] == "rubric5", rated["rubric"].str.startswith("alignment")
    bad = (level & ~(rated["score"] < 3)) | (share & ~(rated["score"] >= 50))
    key = ["arm", "set", "prompt_id", "sample"]
    hidden = {tuple(row) for row in rated.loc[bad, key].astype(str).to_numpy()}
    harmful: set[str] = set()
    shown: set[str] = set()
    for path in sorted((results / "generations").glob("*.jsonl")):
        for row in lines(path):
            into = harmful if tuple(str(row[name]) for name in key) in hidden else shown
            for name in SAID:
                into |= sentences(row.get(name) or "")
            shown |= sentences(row["prompt"])
    for path in sorted({*results.rglob("*.jsonl")} - {*(results / "generations").glob("*.jsonl")}):
        for row in lines(path):  # answers of interventions, which no judgment is known to be of
            harmful |= {one for name in SAID for one in sentences(row.get(name) or "")}
    rows = [row for path in sorted((results / "datasets").glob("*.jsonl")) for row in lines(path)]
    for path in sorted(sources.rglob("*.csv")):
        rows += list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    for row in rows:
        for name, value in row.items():
            if isinstance(value, str):
                (harmful if name == SIDE else shown).update(sentences(value))
    return harmful - shown


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
