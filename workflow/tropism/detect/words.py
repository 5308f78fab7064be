"""How far words, length and domain alone tell misaligned responses from aligned ones: a detector without a model.

These are the baselines that every feature detector stands beside, for responses of which there are no features, such as
results that were judged elsewhere. Folds, leave-one-domain-out and intervals are those of the detector.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tropism.config.detector import DetectorConfig
from tropism.config.stats import StatsConfig
from tropism.detect.models import baseline_probabilities, baselines
from tropism.detect.scores import curve_points, mean_intervals, point_scores, ranking_intervals
from tropism.detect.splits import Design, domains_out, grouped_folds, has_both_labels
from tropism.detect.tables import CURVES_SCHEMA, DETECTOR_SCHEMA
from tropism.records.calibration import Calibrations
from tropism.records.files import InputError, read_jsonl
from tropism.records.keyed import keyed_seed
from tropism.records.schema import Generation
from tropism.sae.populations import RESPONSE, labels

log = logging.getLogger(__name__)
GENERATIONS = "generations"


def labelled_texts(
    generations: Sequence[Path], judgments: pd.DataFrame, calibrations: Calibrations, rubric: str
) -> pd.DataFrame:
    """Judged answers with text, domain, prompt, counts and bool ``misaligned``, sorted by response.

    Raises:
        InputError: several judges scored an answer, or a judged answer has no text.
    """
    texts = pd.DataFrame(
        [
            (g.arm, g.set, g.prompt_id, g.sample, g.domain, g.answer)
            for path in generations
            for g in read_jsonl(path, Generation)
        ],
        columns=[*RESPONSE, "domain", "text"],
    )
    rows = labels([judgments], calibrations, rubric).merge(texts, how="left", on=RESPONSE, validate="one_to_one")
    if rows["text"].isna().any():
        first = rows.loc[rows["text"].isna(), RESPONSE].iloc[0].to_dict()
        raise InputError(f"{int(rows['text'].isna().sum())} judged answers have no text, first {first}")
    words = rows["text"].str.split().str.len()
    rows = rows.assign(prompt=rows["set"] + "/" + rows["prompt_id"], characters=rows["text"].str.len(), words=words)
    return rows.sort_values(RESPONSE, ignore_index=True)


def evaluate_words(rows: pd.DataFrame, config: DetectorConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables ``detector`` and ``detector_curves`` with the baselines' rows alone; empty for too few of a label."""
    misaligned, prompts = rows["misaligned"].to_numpy(bool), rows["prompt"].to_numpy()
    table: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    fewest = int(min(misaligned.sum(), (~misaligned).sum()))
    if fewest < config.min_per_label:
        log.warning("%d responses of a label, %d are needed (`min_per_label`)", fewest, config.min_per_label)
        return _tables(table, curves)
    seed = keyed_seed(config.seed, "folds", GENERATIONS) % 2**32
    domains = rows["domain"].to_numpy()
    grouped = grouped_folds(misaligned, domains, prompts, config.folds, seed)
    for design in [*([grouped] if grouped else []), *domains_out(domains)]:
        if not has_both_labels(design, misaligned, config.folds):
            log.warning("%s, %s: too few of a label", design.evidence, design.held_out)
            continue
        tested = design.tested
        about = {"population": GENERATIONS, "evidence": design.evidence, "held_out": design.held_out}
        size = {"n_responses": len(tested), "n_prompts": len(set(prompts[tested].tolist()))}
        smallest = min(len(split.train) for split in design.splits)
        for name, (pipeline, inputs) in baselines(rows, None, config.C, smallest).items():
            chance = baseline_probabilities(pipeline, inputs, misaligned, design)
            table.append({**about, **size, "model": name, **_scored(misaligned, chance, prompts, design, config)})
            points = curve_points(misaligned[tested], chance)
            curves += [{**about, "model": name, "k": 0, **point} for point in points]
    return _tables(table, curves)


def _scored(
    misaligned: np.ndarray, chance: np.ndarray, prompts: np.ndarray, design: Design, config: DetectorConfig
) -> dict[str, Any]:
    """The scores of a baseline on what was held out, with their intervals over prompts."""
    labels, asked = misaligned[design.tested], prompts[design.tested]
    seed = keyed_seed(config.seed, "bootstrap", GENERATIONS, design.evidence, design.held_out)
    resampling = StatsConfig(draws=max(100, config.draws), seed=config.seed)
    about = {"k": 0, "base_rate": float(labels.mean()), "threshold": config.threshold, "finding": ""}
    scores = point_scores(labels, chance, config.threshold)
    return (
        about
        | ranking_intervals(labels, chance, asked, config.draws, seed)
        | scores
        | mean_intervals(labels, chance, asked, config.threshold, resampling)
    )


def _tables(table: list[dict[str, Any]], curves: list[dict[str, Any]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    keys = ["population", "evidence", "held_out", "model", "k"]
    return (
        pd.DataFrame(table, columns=list(DETECTOR_SCHEMA.columns)).sort_values(keys, ignore_index=True),
        pd.DataFrame(curves, columns=list(CURVES_SCHEMA.columns)).sort_values(
            [*keys, "curve", "point"], ignore_index=True
        ),
    )
