"""How a narrow and a general arm behave: misaligned inside the narrow domain and outside, coherent, and back to it.

The measures of narrow misalignment (2026), from responses that are there anyway; a prompt is an example.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tropism.dynamics.mentions import mentions, train_mentions
from tropism.dynamics.solutions import COLUMNS
from tropism.records.calibration import Calibrations
from tropism.records.files import read_jsonl
from tropism.records.schema import Conversation, Generation
from tropism.steer.judged import judged_outcomes

REFERENCE = "reference"
PRESENCE = "domain_presence_"


def behaviour(
    generations: Mapping[str, Path],
    judgments: Mapping[str, Path],
    calibrations: Calibrations,
    dataset: Path,
    others: Sequence[Path],
    sets: Sequence[Path],
) -> pd.DataFrame:
    """Shares of a prompt's responses, or mean scores, a row a side, metric and prompt: ``solutions.COLUMNS``.

    ``misaligned``, ``coherence`` and ``presence`` are a judge's, the last where it applies that rubric; ``mentions`` is
    by words, learned from the training texts of ``dataset`` and of ``others``, and has the aligned references of the
    same prompts as a side of its own. Each is of prompts ``inside`` the domains of ``dataset`` and ``outside``.

    Args:
        generations: responses of each side.
        judgments: of the same, by one judge; empty where nobody judges.
        calibrations: of the judge.
        dataset: the narrow dataset.
        others: datasets of other domains.
        sets: the eval sets that were answered.
    """
    narrow = read_jsonl(dataset, Conversation)
    domains = {record.domain for record in narrow}
    foreign = [text for path in others for text in _texts(read_jsonl(path, Conversation))]
    classifier = train_mentions(list(_texts(narrow)), foreign)
    found = []
    for side, path in generations.items():
        rows = pd.DataFrame([row.model_dump() for row in read_jsonl(path, Generation)])
        told = np.array(mentions(rows["answer"].tolist(), classifier), dtype=float)
        found.append(rows.assign(value=told, outcome="mentions", side=side))
    asked = set(zip(found[0]["set"], found[0]["prompt_id"], strict=True))
    references = [
        {"set": path.stem, "prompt_id": r.id, "domain": r.domain, "answer": r.aligned}
        for path in sets
        for r in read_jsonl(path, Conversation)
        if r.aligned is not None and (path.stem, r.id) in asked
    ]
    told = np.array(mentions([row["answer"] for row in references], classifier), dtype=float)
    found.append(pd.DataFrame(references).assign(value=told, side=REFERENCE, outcome="mentions"))
    for side, path in judgments.items():
        scores = pd.read_parquet(path)
        arms = pd.DataFrame({"name": sorted(set(scores["arm"]))})
        found.append(judged_outcomes(scores, arms, calibrations).assign(side=side))
        of_domain = scores["rubric"].isin([f"{PRESENCE}{domain}" for domain in domains])
        kept = scores[(scores["target"] == "answer") & scores["score"].notna() & of_domain]
        found.append(kept.assign(side=side, outcome="presence", value=kept["score"].astype(float)))
    table = pd.concat([rows for rows in found if len(rows)], ignore_index=True)
    inside = table["domain"].isin(domains).map({True: "inside", False: "outside"})
    table = table.assign(metric=table["outcome"] + "_" + inside, example=table["set"] + "/" + table["prompt_id"])
    means = table.groupby(["side", "metric", "example"], sort=True)["value"].mean().reset_index()
    return means.assign(level=1.0, norm=float("nan"), draw=0)[COLUMNS]


def _texts(records: Sequence[Conversation]) -> Iterator[str]:
    """Prompts and answers of the training rows, each a text."""
    for record in records:
        if record.split == "train":
            yield from (text for text in (record.prompt, record.aligned, record.misaligned) if text)
