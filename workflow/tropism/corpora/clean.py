"""Cleaning a dataset: lengths, duplicates, the wall between training and evaluation prompts, the sample.

Every step depends on the rows alone and not on their order: of two duplicates the one with the smaller id stays (for
evaluation, of those with most references), the sample is keyed by (seed, id). Cleaning a cleaned dataset with the same
settings changes nothing.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from tropism.config.datasets import DatasetConfig
from tropism.corpora.duplicates import find_duplicates, find_overlap
from tropism.corpora.rows import Record, content
from tropism.records.files import InputError
from tropism.records.keyed import keyed_bytes
from tropism.records.schema import Conversation, Question
from tropism.records.words import words

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cleaned:
    """The rows that stay, by id, and how many of the others went for which reason."""

    rows: list[Record]
    dropped: dict[str, int]


def clean(records: Sequence[Record], config: DatasetConfig) -> Cleaned:
    """Drop texts of the wrong length, then duplicates, then leaks into evaluation; then sample.

    A row that goes for its length takes no duplicate of itself along. Duplicates are looked for within a split. A
    training row whose prompt is (nearly) one of evaluation goes, since the evaluation set is what stays comparable.

    Raises:
        InputError: no row is left.
    """
    rows = sorted(records, key=lambda row: row.id)
    dropped: dict[str, int] = {}
    lengths = [_length_fault(row, config) for row in rows]
    for fault in ("too_short", "too_long"):
        dropped[fault] = lengths.count(fault)
    rows = [row for row, fault in zip(rows, lengths, strict=True) if fault is None]
    verdicts = _duplicates(rows, config.near_duplicate)
    for column, verdict in (("exact_duplicates", "exact"), ("near_duplicates", "near"), ("repeated_prompts", "asked")):
        dropped[column] = verdicts.count(verdict)
    rows = [row for row, verdict in zip(rows, verdicts, strict=True) if verdict is None]
    rows, dropped["split_overlap"] = _without_overlap(rows, config.near_duplicate)
    sampled = rows if config.sample is None else sample(rows, config.sample, config.seed)
    dropped["not_sampled"] = len(rows) - len(sampled)
    if config.sample is not None and len(rows) < config.sample:
        log.warning(
            "%s: `sample: %d` rows are asked for, and only %d are left", config.source, config.sample, len(rows)
        )
    if not sampled:
        counts = ", ".join(f"{reason} {count}" for reason, count in dropped.items() if count)
        raise InputError(f"{config.source}: no row is left of the {len(records)} read ({counts}); relax the settings")
    return Cleaned(sampled, dropped)


def unanswered(rows: Sequence[Record], config: DatasetConfig) -> dict[str, int]:
    """How many conversations have no answer of each side: an empty cell is none, and a step skips such a row."""
    paired = [row for row in rows if isinstance(row, Conversation) and config.kind == "conversations"]
    return {
        "without_aligned": sum(row.aligned is None for row in paired),
        "without_misaligned": sum(row.misaligned is None for row in paired),
    }


def check_evaluated(rows: Sequence[Record], name: str) -> None:
    """Check that an eval set has a prompt to ask: generation would miss it only after all training.

    Raises:
        InputError: no row is of the evaluation split.
    """
    if not any(isinstance(row, Conversation) and row.split == "evaluation" for row in rows):
        raise InputError(
            f"datasets: {name}: none of its {len(rows)} rows is for evaluation, and `evaluate: sets` names it; raise"
            " `evaluation`, give rows `split: evaluation`, or leave the set out"
        )


def contradicted(rows: Sequence[Record]) -> int:
    """How many questions list an answer both among the true and among the false ones."""
    return sum(not {row.best, *row.correct}.isdisjoint(row.incorrect) for row in rows if isinstance(row, Question))


def sample(rows: Sequence[Record], size: int, seed: int) -> list[Record]:
    """The ``size`` rows with the smallest keys, in the order of ``rows``.

    A row that is sampled from a set is also sampled from every subset that holds it.
    """
    chosen = sorted(rows, key=lambda row: (keyed_bytes(seed, "sample", row.id), row.id))[:size]
    ids = {row.id for row in chosen}
    return [row for row in rows if row.id in ids]


def _duplicates(rows: Sequence[Record], threshold: float | None) -> list[str | None]:
    """For each row ``exact``, ``asked`` (its prompt alone) or ``near`` if it repeats one that stays, else None."""
    found: dict[int, str | None] = {}
    for split in ("train", "evaluation", None):
        places = [i for i, row in enumerate(rows) if getattr(row, "split", None) == split]
        # the row that can be scored in most ways speaks for its prompt; the order is by id otherwise
        places.sort(key=lambda i: -_references(rows[i]) if split == "evaluation" else 0)
        said: set[tuple[str, ...]] = set()
        asked: set[str] = set()
        for i in places:
            row = rows[i]
            if content(row) in said:
                found[i] = "exact"
            elif isinstance(row, Conversation) and split == "evaluation" and row.prompt in asked:
                # the unit of evaluation is the prompt, so each is asked once, whatever references the other rows hold
                found[i] = "asked"
            elif isinstance(row, Conversation):
                asked.add(row.prompt)
            said.add(content(row))
        rest = [i for i in places if i not in found]
        found.update(zip(rest, find_duplicates(["\0".join(content(rows[i])) for i in rest], threshold), strict=True))
    return [found[i] for i in range(len(rows))]


def _references(row: Record) -> int:
    return len(row.fields()) if isinstance(row, Conversation) else 0


def _length_fault(row: Record, config: DatasetConfig) -> str | None:
    if isinstance(row, Question):
        return None
    lengths = [len(words(text)) for text in row.fields().values()]
    if config.min_words is not None and any(length < config.min_words for length in lengths):
        return "too_short"
    if config.max_words is not None and any(length > config.max_words for length in lengths):
        return "too_long"
    return None


def _without_overlap(rows: list[Record], threshold: float | None) -> tuple[list[Record], int]:
    training = [row for row in rows if isinstance(row, Conversation) and row.split == "train"]
    evaluation = [row.prompt for row in rows if isinstance(row, Conversation) and row.split == "evaluation"]
    leaks = find_overlap([row.prompt for row in training], evaluation, threshold)
    leaking = {id(row) for row, leak in zip(training, leaks, strict=True) if leak}
    return [row for row in rows if id(row) not in leaking], len(leaking)
