"""Results that were judged elsewhere, as this pipeline's own judgments and generations."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tropism.config.stats import StatsConfig
from tropism.judge.agreement import agreement_table
from tropism.judge.foreign import SCALES, SCORES, Foreign, read_foreign, read_score, slug
from tropism.judge.judgments import COLUMNS
from tropism.judge.rubric import Target
from tropism.judge.status import is_refusal
from tropism.judge.tables import JUDGE_AGREEMENT_SCHEMA
from tropism.records.calibration import PUBLISHED, Calibration, Calibrations, Reading
from tropism.records.files import InputError, replacing, sha256_file, write_json, write_jsonl, write_table
from tropism.records.keyed import keyed_bytes
from tropism.records.schema import Generation
from tropism.stats.blocks import build_blocks
from tropism.stats.rates import rates_table
from tropism.stats.read import POOLED, read_responses
from tropism.stats.tables import MISALIGNMENT_SCHEMA

IMPORTED = "imported"
"""Eval set, domain and judge of what names none."""
Key = tuple[str, str, int]


@dataclass(frozen=True)
class Brought:
    """Everything that was read: the judgments table, the responses, and how each judge's scores are read."""

    judgments: pd.DataFrame
    generations: list[Generation]
    calibrations: dict[str, Calibration]


def bring(paths: Sequence[Path], judge: str = IMPORTED, scales: dict[str, Reading] | None = None) -> Brought:
    """Read judged files of the field; several files are several arms, or several judges of the same arms.

    A prompt's id is the file's own, or a digest of the question; one that several domains use for different questions
    is told apart by the domain. Responses to one prompt are numbered in their order.

    Raises:
        InputError: a file cannot be read or is given twice, two files of one judge give one arm by their name, or two
            files hold different responses under one arm, prompt and number.
    """
    known = {**SCALES, **(scales or {})}
    rows: list[tuple[object, ...]] = []
    responses: dict[tuple[str, Key], Generation] = {}
    taken: Counter[tuple[str, str, str]] = Counter()
    judges: dict[str, dict[str, Reading]] = {}
    named: dict[tuple[str, str], int] = {}
    files = [(path, list(read_foreign(path, known))) for path in paths]
    contents: dict[str, int] = {}
    for number, (path, records) in enumerate(files):
        earlier = contents.setdefault(sha256_file(path), number)
        if earlier != number and not all(record.by_name for record in records):
            raise InputError(f"{path}: holds what {paths[earlier]} holds, and names its arms itself; give it once")
    domains: dict[str | None, set[str | None]] = defaultdict(set)
    questions: dict[str | None, set[str]] = defaultdict(set)
    for _, records in files:
        for record in records:
            domains[record.prompt_id].add(record.domain)
            questions[record.prompt_id].add(record.prompt)
    for number, (path, records) in enumerate(files):
        for record in records:
            name = slug(record.judge) if record.judge else judge
            arm, prompt_id = record.arm, record.prompt_id or keyed_bytes("prompt", record.prompt).hex()
            if record.prompt_id and min(len(domains[record.prompt_id]), len(questions[record.prompt_id])) > 1:
                prompt_id = f"{record.domain or IMPORTED}/{prompt_id}"
            first = named.setdefault((name, arm), number) if record.by_name else number
            if first != number:
                raise InputError(
                    f"{path}: its name gives arm {arm}, as that of {paths[first]} does, and both are judged by {name};"
                    " rename one of the files, or name their judges (a column `judge`)"
                )
            sample = taken[name, arm, prompt_id]
            taken[name, arm, prompt_id] += 1
            generation = _generation(record, arm, prompt_id, sample)
            same = responses.setdefault((arm, (IMPORTED, prompt_id, sample)), generation)
            if (same.answer, same.reasoning, same.prompt) != (generation.answer, generation.reasoning, record.prompt):
                raise InputError(
                    f"{record.where}: arm {arm}, prompt {prompt_id}, response {sample} differs from one read before;"
                    " name the judges (--judge, or a column `judge`) or rename one of the files"
                )
            about = (arm, IMPORTED, prompt_id, same.domain, sample)
            read = judges.setdefault(name, {})
            rows += [(*about, *row) for row in _judged(record, name, known, read)]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"sample": "int64", "score": "float64"})
    twice = table.duplicated(["arm", "judge", "rubric", "target", "prompt_id", "sample"])
    if twice.any():
        raise InputError(f"two columns give one score: {table[twice].iloc[0][['arm', 'rubric', 'target']].to_dict()}")
    calibrations = {name: Calibration(judge=name, rubrics=own) for name, own in sorted(judges.items())}
    table = table.sort_values(["judge", "arm", "prompt_id", "sample", "target", "rubric"], ignore_index=True)
    return Brought(table, [responses[key] for key in sorted(responses)], calibrations)


def _generation(record: Foreign, arm: str, prompt_id: str, sample: int) -> Generation:
    domain = record.domain or IMPORTED
    if domain == POOLED:
        raise InputError(f"{record.where}: a domain is called {POOLED!r}, which means all of them; rename it")
    return Generation(
        arm=arm,
        set=IMPORTED,
        prompt_id=prompt_id,
        domain=domain,
        sample=sample,
        prompt=record.prompt,
        reasoning=record.reasoning,
        answer=record.response,
        finish="unknown",
    )


def _judged(
    record: Foreign, judge: str, scales: dict[str, Reading], read: dict[str, Reading]
) -> Iterable[tuple[object, ...]]:
    """(target, judge, stack, rubric, rubric_hash, score, status) of each score of a response."""
    for column, cell in record.scores.items():
        rubric, target = SCORES.get(column, (column, "answer"))
        reading = scales.get(column) or PUBLISHED[rubric]
        if column in scales:
            read[rubric] = reading
        score, status = read_score(cell, reading.min, reading.max)
        yield target, judge, "", rubric, "", score, _status(record, target, status)


def _status(record: Foreign, target: Target, status: str) -> str:
    """As in :func:`tropism.judge.status.status_of`, with what the cell said where it said something."""
    text = record.response if target == "answer" else record.reasoning
    if status in ("refused", "code"):
        return status
    if target == "answer" and is_refusal(text):
        return "refused"
    return "empty" if not text.strip() and status != "ok" else status


def write_brought(brought: Brought, output: Path) -> None:
    """Write ``judgments.parquet``, ``generations.jsonl`` and ``judges/`` into ``output``, and what follows at once:
    ``misalignment.csv`` and, of several judges, ``judge_agreement.csv``."""
    with replacing(output / "judgments.parquet") as temporary:
        brought.judgments.to_parquet(temporary, index=False)
    if brought.generations:
        write_jsonl(output / "generations.jsonl", brought.generations)
    for name, calibration in brought.calibrations.items():
        write_json(output / "judges" / name / "calibration.json", calibration.model_dump(mode="json"))
    write_rates(output, brought.calibrations)
    if brought.judgments["judge"].nunique() > 1:
        write_table(output / "judge_agreement.csv", agreement_table(brought.judgments), JUDGE_AGREEMENT_SCHEMA)
    status = brought.judgments.groupby("judge")["status"].value_counts()
    for judge, counts in status.groupby(level=0):
        logging.info("%s: %s", judge, counts.droplevel(0).to_dict())


def write_rates(output: Path, calibrations: Calibrations) -> None:
    """Write ``misalignment.csv`` from the ``judgments.parquet`` beside it, at the default settings of ``stats``."""
    rows = read_responses([output / "judgments.parquet"], [])
    table = rates_table(build_blocks(rows, calibrations), StatsConfig())
    write_table(output / "misalignment.csv", table, MISALIGNMENT_SCHEMA)
