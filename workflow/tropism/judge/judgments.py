"""From generations to judgment rows, whoever judges."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from tropism.judge.rubric import Rubric, Target
from tropism.judge.status import status_of
from tropism.records.files import InputError
from tropism.records.schema import Generation

COLUMNS = (
    *("arm", "set", "prompt_id", "domain", "sample", "target"),
    *("judge", "stack", "rubric", "rubric_hash", "score", "status"),
)


class JudgeError(InputError):
    """A judge that cannot be relied on for this stage."""


@dataclass(frozen=True)
class Item:
    """A text to judge, and the prompt that it responds to."""

    prompt: str
    response: str
    target: Target


class Judge(Protocol):
    """Whatever can score texts on rubrics. ``stack`` is a digest of what decides its scores besides the rubric."""

    stack: str

    def scores(self, items: Sequence[Item], rubrics: Sequence[Rubric]) -> np.ndarray:
        """Scores (items, rubrics) on each rubric's scale; NaN where the judge's reply could not be read.

        An item's scores depend on that item alone.
        """


def judge_generations(
    generations: Sequence[Generation], judge: Judge, rubrics: Sequence[Rubric], *, name: str, max_unparsed: float
) -> pd.DataFrame:
    """One row for each generation, target and rubric, in order of (set, prompt, sample, target, rubric).

    Every answer has a row, an empty one too; a reasoning has one if it is not empty. An empty text is not judged.

    Raises:
        JudgeError: of the judgments on a rubric, more than the share ``max_unparsed`` could not be read.
    """
    ordered = sorted(generations, key=lambda row: (row.arm, row.set, row.prompt_id, row.sample))
    targets: tuple[Target, ...] = ("answer", "reasoning")
    pairs = [(row, target) for row in ordered for target in targets if target == "answer" or row.reasoning.strip()]
    asked = [i for i, (row, target) in enumerate(pairs) if getattr(row, target).strip()]
    items = [Item(pairs[i][0].prompt, getattr(*pairs[i]).strip(), pairs[i][1]) for i in asked]
    scores = np.full((len(pairs), len(rubrics)), np.nan)
    for target in targets:
        chosen = [k for k, item in enumerate(items) if item.target == target]
        columns = [j for j, rubric in enumerate(rubrics) if target in rubric.targets]
        if chosen and columns:
            given = judge.scores([items[k] for k in chosen], [rubrics[j] for j in columns])
            scores[np.ix_([asked[k] for k in chosen], columns)] = given
    rows = [
        (
            *(row.arm, row.set, row.prompt_id, row.domain, row.sample, target, name, judge.stack),
            *(rubric.name, rubric.hash),
            scores[i, j],
            status_of(row, target, scored=not np.isnan(scores[i, j])),
        )
        for i, (row, target) in enumerate(pairs)
        for j, rubric in enumerate(rubrics)
        if target in rubric.targets
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"sample": "int64", "score": "float64"})
    check_unparsed(table, name, max_unparsed)
    return table


def check_unparsed(table: pd.DataFrame, name: str, max_unparsed: float) -> None:
    """Raises:
    JudgeError: of the judgments asked for on a rubric, more than the share ``max_unparsed`` could not be read.
    """
    for rubric, rows in table[table["status"] != "empty"].groupby("rubric"):
        unparsed = int((rows["status"] == "unparsed").sum())
        refuse_unparsed(f"judge {name}, rubric {rubric}", unparsed, len(rows), max_unparsed)


def refuse_unparsed(what: str, unparsed: int, n: int, max_unparsed: float) -> None:
    """Raises:
    JudgeError: of ``n`` judgments, more than the share ``max_unparsed`` could not be read; ``what`` says whose.
    """
    if unparsed > max_unparsed * n:
        raise JudgeError(
            f"{what}: {unparsed} of {n} judgments could not be read, more than"
            f" the share {max_unparsed:g} allowed by `max_unparsed`. Nothing was written. The log shows some of the"
            " replies: a larger model, more tokens for its reply or `logprobs: true` may help"
        )
