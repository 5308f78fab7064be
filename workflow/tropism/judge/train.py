"""Training the probe judge on reference answers, and measuring it on those that it did not learn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tropism.config.judges import JudgeConfig
from tropism.judge.corrupt import corrupt
from tropism.judge.features import Reader
from tropism.judge.fit import fit_head, word_baseline
from tropism.judge.probe import HEADS, SEVERITY_CUTS, Floats, Head, Probe, base_digest
from tropism.judge.reliability import Predictions, calibration_bins, reliability_rows
from tropism.records.files import InputError
from tropism.records.keyed import keyed_bytes
from tropism.records.schema import Conversation


@dataclass(frozen=True)
class References:
    """Labelled responses, as parallel arrays (n,); ``kind`` is ``reference`` or how one was broken."""

    prompts: np.ndarray
    responses: np.ndarray
    domains: np.ndarray
    aligned: np.ndarray
    kind: np.ndarray
    train: np.ndarray

    def of(self, head: str) -> tuple[np.ndarray, np.ndarray]:
        """``(rows, positive)`` for a head: which rows it learns from or is tried on, and the class of all rows."""
        whole = self.kind == "reference"
        return (whole, self.aligned) if head == "alignment" else (np.ones(len(whole), dtype=bool), whole)


def build_references(conversations: Sequence[Conversation], seed: int) -> References:
    """Both sides of every conversation, and one of them broken, chosen by ``(seed, id)``; in order of id.

    Raises:
        InputError: a prompt occurs in both splits, so that what is held out was learned from.
    """
    ordered = sorted(conversations, key=lambda row: (row.domain, row.id))
    split = dict[str, str]()
    for row in ordered:
        if split.setdefault(row.prompt, row.split) != row.split:
            raise InputError(f"references: {row.id}: its prompt is in both splits; keep it in one")
    rows = []
    for row in ordered:
        sides = [(text, side == "aligned") for side, text in sorted(row.fields().items())]
        rows += [(row.prompt, text, row.domain, aligned, "reference", row.split == "train") for text, aligned in sides]
        key = f"{row.domain}/{row.id}"
        text, aligned = sides[keyed_bytes(seed, "side", key)[0] % len(sides)]
        others = [text for other in ordered if other.prompt != row.prompt for text in other.fields().values()]
        if len(text.split()) >= 3 and others:
            kind, broken = corrupt(text, others, seed=seed, key=key)
            rows.append((row.prompt, broken, row.domain, aligned, kind, row.split == "train"))
    if not rows:
        raise InputError("references: no conversation to learn from")
    return References(*(np.array(column) for column in zip(*rows, strict=True)))


def train_probe(
    conversations: Sequence[Conversation], base: Path, config: JudgeConfig
) -> tuple[Probe, dict[str, Any], pd.DataFrame]:
    """``(probe, card, calibration bins)``.

    Raises:
        InputError: the references do not suffice, or the base has too few layers.
    """
    references = build_references(conversations, config.seed)
    reader = Reader(base, config.layer, config.dtype)
    states = reader.read(list(zip(references.prompts.tolist(), references.responses.tolist(), strict=True)))
    heads: dict[str, Head] = {}
    rows: list[dict[str, Any]] = []
    bins = []
    for name in HEADS:
        heads[name], evidence = fit_and_try(name, states, references, config)
        for predictions in evidence:
            rows += reliability_rows(predictions, config.seed)
            table = calibration_bins(predictions.probability, predictions.positive)
            bins.append(table.assign(head=name, evidence=predictions.evidence))
    whole, aligned = references.of("alignment")
    texts, prompts, train = references.responses[whole], references.prompts[whole], references.train[whole]
    kinds, counts = np.unique(references.kind[references.train], return_counts=True)
    card = {
        "kind": "probe",
        "config": config.model_dump(mode="json", exclude={"rubrics", "max_unparsed"}),
        "positive_classes": HEADS,
        "severity_cuts": SEVERITY_CUTS,
        "training_responses": dict(zip(kinds.tolist(), counts.tolist(), strict=True)),
        "accuracy_of_words_alone": word_baseline(texts, aligned[whole], prompts, train, config),
        "reliability": rows,
    }
    probe = Probe(heads, config.layer, config.dtype, base_digest(base))
    return probe, card, pd.concat(bins, ignore_index=True)


def fit_and_try(
    name: str, states: Floats, references: References, config: JudgeConfig
) -> tuple[Head, list[Predictions]]:
    """A head trained on the train split, and its predictions where it was held out.

    The evaluation split is predicted by the head itself; each domain by a head trained on the others' train split.
    """
    rows, positive = references.of(name)
    train = rows & references.train

    def predicted(evidence: str, chosen: np.ndarray, probability: Floats) -> Predictions:
        kept = (positive[chosen], references.prompts[chosen], references.domains[chosen])
        return Predictions(name, evidence, probability, *kept)

    head, crossed = fit_head(states[train], positive[train], references.prompts[train], config)
    found = [predicted("cross-validation", train, crossed)]
    held_out = rows & ~references.train
    if held_out.any():
        found.append(predicted("evaluation split", held_out, head.probability(states[held_out])))
    domains = np.unique(references.domains[rows])
    if len(domains) > 1:
        probability = np.full(len(rows), np.nan)
        for domain in domains:
            within = references.domains == domain
            known = train & ~within
            other, _ = fit_head(states[known], positive[known], references.prompts[known], config)
            probability[within] = other.probability(states[within])
        found.append(predicted("leave-one-domain-out", rows, probability[rows]))
    return head, found
