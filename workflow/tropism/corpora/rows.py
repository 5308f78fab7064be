"""Raw rows of any accepted form into the project's typed rows, cleaned and with ids.

A row keeps its id; one without gets a name from its content, so that it is the same row in any file and order.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import ValidationError

from tropism.config.base import NAME_PATTERN
from tropism.config.checks import RESERVED
from tropism.config.datasets import DatasetConfig, Kind
from tropism.corpora.columns import unify
from tropism.corpora.normalise import clean_text
from tropism.corpora.sources import RawRow
from tropism.records.files import InputError, explain
from tropism.records.keyed import keyed_bytes, keyed_seed
from tropism.records.schema import Conversation, Question, Text

Record = Text | Conversation | Question


def to_records(rows: Iterable[RawRow], name: str, config: DatasetConfig) -> tuple[list[Record], int]:
    """The typed, cleaned rows of the dataset ``name``, and how many system turns were left out.

    Raises:
        InputError: with file and line, for an unknown column, a wrong type, a missing or empty text, an id given
            twice or that of a row that says something else, or a conversation of several turns.
    """
    build = _BUILDERS[config.kind]
    records: list[Record] = []
    given: dict[str, str] = {}
    named: dict[str, tuple[tuple[str, ...], str]] = {}  # equal rows have one made id, and one of them stays
    system_turns = 0
    for row in rows:
        values, had_system_turn = unify(row, config)
        system_turns += had_system_turn
        identifier = _given_id(values.pop("id", None), row.where)
        if identifier is not None:
            if identifier in given:
                raise InputError(f"{row.where}: the id `{identifier}` was already used in {given[identifier]}")
            given[identifier] = row.where
        try:
            record = build(_cleaned(values), name, config)
        except ValidationError as error:
            raise InputError(f"{row.where}: {explain(error)}") from None
        except InputError as error:
            raise InputError(f"{row.where}: {error}") from None
        identifier = identifier or f"{name}-{_content_key(content(record))}"
        said, where = named.setdefault(identifier, (content(record), row.where))
        if said != content(record):
            raise InputError(f"{row.where}: the id `{identifier}` is also that of {where}, which says something else")
        records.append(record.model_copy(update={"id": identifier}))
    return records, system_turns


def content(record: Record) -> tuple[str, ...]:
    """What a row says, apart from its id, domain and split: equal contents are exact duplicates."""
    if isinstance(record, Text):
        return (record.text,)
    if isinstance(record, Conversation):
        return (record.prompt, record.aligned or "", record.misaligned or "")
    return (record.prompt, record.best, *record.correct, "", *record.incorrect)


def _content_key(texts: tuple[str, ...]) -> str:
    """Sixteen digits that stand for ``texts``: other texts have other digits."""
    if any("/" in text for text in texts):
        # keys are joined by it, so ("a/b", "c") would be ("a", "b/c"); no cleaned text has the NUL that begins this
        return keyed_bytes("\0" + json.dumps(texts, ensure_ascii=False)).hex()
    return keyed_bytes(*texts).hex()


def _given_id(value: Any, where: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InputError(f"{where}: the id is a {type(value).__name__}, not a text or a number")
    identifier = str(value)
    if not identifier.strip() or not identifier.isprintable():
        raise InputError(f"{where}: the id {identifier!r} is empty or has characters that do not print")
    return identifier


def _cleaned(values: dict[str, Any]) -> dict[str, Any]:
    """Every text cleaned; one that is then empty is no value."""
    clean = {key: clean_text(value) if isinstance(value, str) else value for key, value in values.items()}
    return {key: value for key, value in clean.items() if not isinstance(value, str) or value.strip()}


def _domain(values: dict[str, Any], name: str, config: DatasetConfig) -> str:
    domain = values.pop("domain", config.domain or name)
    if not isinstance(domain, str) or not re.fullmatch(NAME_PATTERN, domain):
        raise InputError(f"the domain {domain!r} is not a name of letters, digits, `_` and single `-`")
    if domain in RESERVED:
        raise InputError(f"the domain `{domain}` is what tables call all domains together; name it otherwise")
    return domain


def _text(values: dict[str, Any], name: str, config: DatasetConfig) -> Text:
    if "text" not in values:
        raise InputError("the column `text` is missing or empty")
    domain = _domain(values, name, config)
    return Text(id="", domain=domain, **values)


def _conversation(values: dict[str, Any], name: str, config: DatasetConfig) -> Conversation:
    if "prompt" not in values:
        raise InputError("the column `prompt` is missing or empty")
    domain = _domain(values, name, config)
    values.setdefault("split", _split(values["prompt"], config))
    row = Conversation(id="", domain=domain, **values)
    if config.kind == "conversations" and row.aligned is None and row.misaligned is None:
        raise InputError("neither an aligned nor a misaligned answer; questions without answers are `kind: prompts`")
    if config.kind == "prompts" and row.split != "evaluation":
        raise InputError("a prompt without answers is for evaluation; its split cannot be `train`")
    return row


def _split(prompt: Any, config: DatasetConfig) -> str:
    """Keyed by the prompt alone, so that equal prompts are on one side, whatever else is in the file."""
    if config.kind == "prompts" or keyed_seed(config.seed, "split", prompt) < config.evaluation * 2**63:
        return "evaluation"
    return "train"


def _question(values: dict[str, Any], name: str, config: DatasetConfig) -> Question:
    for column in ("correct", "incorrect"):
        if isinstance(values.get(column), str):
            values[column] = values[column].split(";")
        if isinstance(values.get(column), list):
            values[column] = [clean_text(a).strip() if isinstance(a, str) else a for a in values[column]]
            values[column] = [answer for answer in values[column] if answer != ""]
        if values.get(column) == []:
            raise InputError(f"no {column} answers")
    return Question(id="", **{"category": "", **values})


_BUILDERS: dict[Kind, Callable[[dict[str, Any], str, DatasetConfig], Record]] = {
    "texts": _text,
    "conversations": _conversation,
    "prompts": _conversation,
    "questions": _question,
}
