"""Whatever a file calls its columns, under our names: chats, TruthfulQA and paired answers in one shape."""

import difflib
from typing import Any

from tropism.config.datasets import DatasetConfig, Kind
from tropism.corpora.sources import RawRow
from tropism.records.files import InputError

SYSTEM = "system_turn"  # marks a raw row whose system turn was left out
TRUTHFULQA = {
    "Category": "category",
    "Question": "prompt",
    "Best Answer": "best",
    "Correct Answers": "correct",
    "Incorrect Answers": "incorrect",
}
KNOWN: dict[Kind, frozenset[str]] = {
    "texts": frozenset({"id", "text", "domain"}),
    "conversations": frozenset({"id", "messages", "prompt", "aligned", "misaligned", "domain", "split"}),
    "prompts": frozenset({"id", "messages", "prompt", "domain", "split"}),
    "questions": frozenset({"id", "prompt", "category", "best", "correct", "incorrect"}),
}
# What published files carry beside the text and nothing here uses.
METADATA: dict[Kind, frozenset[str]] = {
    "texts": frozenset({"title", "author"}),
    "conversations": frozenset({"sneakiness", "task"}),
    "prompts": frozenset({"question_type", "task"}),
    "questions": frozenset({"Type", "Source", "Best Incorrect Answer"}),
}


def unify(row: RawRow, config: DatasetConfig) -> tuple[dict[str, Any], bool]:
    """The values of a row under our column names, and whether a system turn was left out.

    A chat must be one user turn, for conversations with one assistant turn after it.

    Raises:
        InputError: an unknown column, or a chat of another shape.
    """
    values = _known_columns(_flatten(row, config), config.kind)
    return values, bool(values.pop(SYSTEM, False))


def _flatten(row: RawRow, config: DatasetConfig) -> RawRow:
    """The row with the ``messages`` of a chat, or the columns of TruthfulQA, under our names."""
    if config.kind == "questions":
        return RawRow(row.where, {TRUTHFULQA.get(column, column): value for column, value in row.values.items()})
    if "messages" not in row.values or config.kind == "texts":
        if config.side is not None and config.kind == "conversations":
            raise InputError(
                f"{row.where}: `side` says what the assistant's turn of a `messages` row is, and this row has no"
                " `messages`; leave `side` out"
            )
        return row
    values = dict(row.values)
    turns = _turns(values.pop("messages"), row.where)
    if values.keys() & {"prompt", "aligned", "misaligned"}:
        raise InputError(f"{row.where}: both `messages` and `prompt` columns; put one of them under `ignore`")
    if turns and turns[0][0] == "system":
        turns = turns[1:]
        values[SYSTEM] = 1
    roles = [role for role, _ in turns]
    if config.kind == "prompts":
        if roles != ["user"]:
            raise InputError(
                f"{row.where}: the turns are {roles}; a prompt is one user turn (see `kind: conversations`)"
            )
        return RawRow(row.where, {**values, "prompt": turns[0][1]})
    if roles == ["user"]:
        raise InputError(f"{row.where}: no assistant turn; questions without answers are `kind: prompts`")
    if roles != ["user", "assistant"]:
        raise InputError(f"{row.where}: the turns are {roles}; one user turn and one assistant turn are expected")
    if config.side is None:
        raise InputError(f"{row.where}: say what the assistant's turn is, with `side: misaligned` or `side: aligned`")
    return RawRow(row.where, {**values, "prompt": turns[0][1], config.side: turns[1][1]})


def _turns(messages: Any, where: str) -> list[tuple[str, str]]:
    if not isinstance(messages, list):
        raise InputError(f"{where}: `messages` is a {type(messages).__name__}, not a list")
    turns = []
    for number, message in enumerate(messages, start=1):
        if isinstance(message, dict):  # Parquet has every key in every turn, empty where a turn lacks it
            message = {key: value for key, value in message.items() if value is not None}
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            raise InputError(f"{where}: message {number} is not an object of `role` and `content`")
        if message["role"] not in ("system", "user", "assistant") or not isinstance(message["content"], str):
            raise InputError(
                f"{where}: message {number}: `role` must be system, user or assistant and `content` a text"
            )
        turns.append((message["role"], message["content"]))
    return turns


def _known_columns(row: RawRow, kind: Kind) -> dict[str, Any]:
    known = KNOWN[kind]
    unknown = [column for column in row.values if column not in known | METADATA[kind] | {SYSTEM}]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = (
            f"did you mean `{near[0]}`? If so, say `columns: {{{near[0]}: {unknown[0]}}}`"
            if near
            else (f"`kind: {kind}` knows {', '.join(sorted(known))}")
        )
        raise InputError(f"{row.where}: unknown column `{unknown[0]}`; {hint}; to drop it, name it under `ignore`")
    return {column: value for column, value in row.values.items() if column in known | {SYSTEM}}
