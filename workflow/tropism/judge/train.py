"""Training the probe judge on reference answers, and measuring it on those that it did not learn from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tropism.config.judges import JudgeConfig
from tropism.judge.bases import base_digest
from tropism.judge.features import Reader
from tropism.judge.fit import fit_head, word_baseline
from tropism.judge.probe import HEADS, PROBE_HEAD, SEVERITY_CUTS, Floats, Head, Probe, rubric_score
from tropism.judge.references import References, build_references, reference_table
from tropism.judge.reliability import Predictions, calibration_bins, reliability_rows
from tropism.records.schema import Conversation


def train_probe(
    conversations: Sequence[Conversation], base: Path, config: JudgeConfig
) -> tuple[Probe, dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """``(probe, card, calibration bins, judged references)``; each reference is judged by a head that had not seen it.

    Raises:
        InputError: the references do not suffice, or the base has too few layers.
    """
    references = build_references(conversations, config.seed)
    reader = Reader(base, config.layer, config.dtype)
    states = reader.read(list(zip(references.prompts.tolist(), references.responses.tolist(), strict=True)))
    heads: dict[str, Head] = {}
    rows: list[dict[str, Any]] = []
    bins, judged = [], []
    for name in HEADS:
        heads[name], evidence = fit_and_try(name, states, references, config)
        for predictions in evidence:
            rows += reliability_rows(predictions, config.seed)
            table = calibration_bins(predictions.probability, predictions.positive)
            bins.append(table.assign(head=name, evidence=predictions.evidence))
            if predictions.evidence != "leave-one-domain-out":
                judged += [_scored(predictions, rubric) for rubric, head in PROBE_HEAD.items() if head == name]
    whole, aligned = references.of("alignment")
    texts, prompts, train = references.responses[whole], references.prompts[whole], references.train[whole]
    kinds, counts = np.unique(references.kind[references.train], return_counts=True)
    card = {
        "kind": "probe",
        "config": config.model_dump(mode="json", exclude={"rubrics", "max_unparsed", "thresholds"}),
        "positive_classes": HEADS,
        "severity_cuts": SEVERITY_CUTS,
        "training_responses": dict(zip(kinds.tolist(), counts.tolist(), strict=True)),
        "accuracy_of_words_alone": word_baseline(texts, aligned[whole], prompts, train, config),
        "reliability": rows,
    }
    probe = Probe(heads, config.layer, config.dtype, base_digest(base))
    return probe, card, pd.concat(bins, ignore_index=True), pd.concat(judged, ignore_index=True)


def _scored(predictions: Predictions, rubric: str) -> pd.DataFrame:
    """Held-out predictions as scores on a rubric."""
    scores = rubric_score(rubric, {predictions.head: predictions.probability})
    return reference_table("", rubric, predictions.domains, predictions.prompts, ~predictions.positive, scores)


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
