"""Evaluate the detector as a sceptic would: unseen prompts, unseen domains, baselines, and a null that selects too.

The null permutes labels and repeats everything, choice of features included: within a prompt for reference answers,
which come in pairs, and of whole prompts within a domain and fold for generations, so that what domain alone gives is
not counted as found and answers to one prompt stay as alike as they are. Arms keep their labels' shares in it: in
grouped folds a feature that tells a misaligned arm from the base has a high AUROC and so do the permuted runs
(``null_mean``), so that it is called chance; leave-one-arm-out asks what is left in an arm that was not seen.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csc_matrix
from tqdm import tqdm

from tropism.config.detector import DetectorConfig
from tropism.config.stats import StatsConfig
from tropism.detect.models import (
    baseline_probabilities,
    baselines,
    detector_probabilities,
    permute_labels,
    permute_prompts,
)
from tropism.detect.scores import (
    bootstrap_aurocs,
    curve_points,
    gain_interval,
    mean_intervals,
    point_scores,
    ranking_intervals,
    retraining_stretch,
)
from tropism.detect.splits import Design, arms_out, domains_out, grouped_folds, has_both_labels
from tropism.detect.tables import CURVES_SCHEMA, DETECTOR_SCHEMA
from tropism.records.keyed import keyed_seed
from tropism.sae.populations import Population, enough

log = logging.getLogger(__name__)

NO_FEATURES = 0
CHANCE, ALPHA = 0.5, 0.05
NULL_DRAWS = 100


def designs(population: Population, config: DetectorConfig) -> list[Design]:
    """The designs that a population can bear; the log names those that it cannot."""
    domains = population.rows["domain"].to_numpy()
    seed = keyed_seed(config.seed, "folds", population.name) % 2**32
    grouped = grouped_folds(population.misaligned, domains, population.rows["prompt"].to_numpy(), config.folds, seed)
    if grouped is None:
        log.warning("%s: fewer prompts of a label than %d folds; no cross-validation", population.name, config.folds)
    kept = []
    arms = population.rows["arm"].to_numpy() if "arm" in population.rows else np.empty(0, str)
    by_arm = arms_out(arms, population.rows["prompt"].to_numpy(), population.misaligned, seed)
    for design in [*([grouped] if grouped else []), *domains_out(domains), *by_arm]:
        if has_both_labels(design, population.misaligned, config.folds):
            kept.append(design)
        else:
            log.warning("%s: %s, %s: too few of a label", population.name, design.evidence, design.held_out)
    return kept


def null_labellings(population: Population, config: DetectorConfig, design: Design) -> np.ndarray:
    """Permuted labels, (permutations, responses).

    References trade labels within a prompt. Of generations whole prompts trade theirs, arm by arm and sample by sample,
    within a domain and a fold: answers to one prompt resemble one another, and labels that traded answer by answer
    would spread less than real ones do. Folds stay alike, since where a permuted one has more of a label in training it
    has less to test, which puts its AUROC below 1/2.
    """
    rows = population.rows
    randoms = [
        np.random.default_rng(keyed_seed(config.seed, "permutation", population.name, i))
        for i in range(config.permutations)
    ]
    if population.name == "references":
        blocks = rows["prompt"].to_numpy()
        return np.stack([permute_labels(population.misaligned, blocks, random) for random in randoms])
    fold = {p: str(i) for i, split in enumerate(design.splits) for p in rows["prompt"].iloc[split.test]}
    blocks = (rows["domain"] + "/" + rows["prompt"].map(fold).fillna("")).to_numpy()
    # a prompt that is alone in its fold would keep its labels: it trades with the others of its domain that are alone
    alone = rows["prompt"].groupby(blocks).transform("nunique").to_numpy() < 2
    blocks = np.where(alone, rows["domain"].to_numpy(str), blocks)
    arms = rows["arm"] if "arm" in rows else pd.Series("", rows.index)
    answers = list(zip(arms, rows.groupby([rows["prompt"], arms]).cumcount(), strict=True))
    prompts = rows["prompt"].to_numpy()
    return np.stack([permute_prompts(population.misaligned, blocks, prompts, answers, random) for random in randoms])


def _null_row(scores: pd.DataFrame) -> dict[str, float]:
    """Means of the ``scores`` of permuted runs, a row a run, and the central 95 % of their AUROCs and AUPRCs."""
    low, high = np.percentile(scores["auroc"], [2.5, 97.5])
    least, most = np.percentile(scores["auprc"], [2.5, 97.5])
    ends = {"low": float(low), "high": float(high), "auprc_low": float(least), "auprc_high": float(most)}
    return {**scores.mean().to_dict(), **ends}


def evaluate_design(
    population: Population, values: csc_matrix, nulls: np.ndarray, design: Design, config: DetectorConfig
) -> Iterator[tuple[dict[str, Any], np.ndarray | None]]:
    """Each model's row of the table, and its probabilities where it has a curve.

    p = (b + 1) / (m + 1), b of the m permuted runs with an AUROC at least as high as the real one.
    """
    rows = population.rows
    tested = design.tested
    labels = population.misaligned
    prompts = rows["prompt"].to_numpy()[tested]
    seed = keyed_seed(config.seed, "bootstrap", population.name, design.evidence, design.held_out)
    resampling = StatsConfig(draws=max(100, config.draws), seed=config.seed)

    drawn: dict[tuple[str, int], np.ndarray] = {}

    def row(model: str, k: int, probabilities: np.ndarray, stretch: float = 1.0) -> dict[str, Any]:
        sampling = (labels[tested], probabilities, prompts, config.draws, seed)
        drawn[model, k] = bootstrap_aurocs(*sampling)
        return {
            "model": model,
            "k": k,
            **ranking_intervals(*sampling, stretch, drawn[model, k]),
            **point_scores(labels[tested], probabilities, config.threshold),
            **mean_intervals(labels[tested], probabilities, prompts, config.threshold, resampling),
        }

    smallest = min(len(split.train) for split in design.splits)
    rivals: dict[str, float] = {}
    for name, (pipeline, inputs) in baselines(rows, population.features.state, config.C, smallest).items():
        probabilities = baseline_probabilities(pipeline, inputs, labels, design)
        theirs = row(name, NO_FEATURES, probabilities)
        rivals[name] = float(theirs["auroc"])
        yield theirs, probabilities

    def finding(k: int, found: dict[str, Any], p: float) -> str:
        """The most that the detector of ``k`` features can claim; see the table's column."""
        if found["low"] <= CHANCE:
            return "chance"
        gains = {
            name: gain_interval(drawn["sae", k], drawn[name, NO_FEATURES], found["auroc"] - theirs, stretch)
            for name, theirs in rivals.items()
        }
        if gains["domain"][0] <= 0:
            return "domain"
        if p > ALPHA:
            return "chance"
        return next((name for name, (low, _) in gains.items() if low <= 0), "features")

    runs = detector_probabilities(values, np.vstack([labels[None], nulls]), design, config.ks, config.C)
    stretch = retraining_stretch(nulls[:, tested], runs[1:], prompts, NULL_DRAWS, seed)
    for position, k in enumerate(config.ks):
        real, permuted = runs[0, position], runs[1:, position]
        found = row("sae", k, real, stretch)
        pairs = zip(nulls[:, tested], permuted, strict=True)
        null = pd.DataFrame([point_scores(y, p, config.threshold) for y, p in pairs])
        chance = null["auroc"].to_numpy()
        exceeding = int((chance >= found["auroc"] - 1e-12).sum())
        p = (exceeding + 1) / (len(chance) + 1)
        yield (
            {
                **found,
                "null_mean": float(chance.mean()),
                "null_high": float(np.percentile(chance, 95)),
                "p": p,
                "finding": finding(k, found, p),
            },
            real,
        )
        yield {"model": "permuted", "k": k, **_null_row(null)}, None


def evaluate(populations: Sequence[Population], config: DetectorConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables ``detector`` and ``curves`` of all populations, from :func:`tropism.detect.texts.with_texts`."""
    table: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    for population in populations:
        if not enough(population, config.min_per_label, "the detector"):
            continue
        values = population.features.measure(config.pooling).tocsc()
        for design in tqdm(designs(population, config), desc=f"detector, {population.name}", unit="design"):
            tested = design.tested
            about = {"population": population.name, "evidence": design.evidence, "held_out": design.held_out}
            size = {
                "n_responses": len(tested),
                "n_prompts": population.rows["prompt"].iloc[tested].nunique(),
                "base_rate": float(population.misaligned[tested].mean()),
            }
            nulls = null_labellings(population, config, design)
            for row, probabilities in evaluate_design(population, values, nulls, design, config):
                table.append({**about, **size, "threshold": config.threshold, "finding": "", **row})
                if probabilities is not None:
                    key = {**about, "model": row["model"], "k": row["k"]}
                    points = curve_points(population.misaligned[tested], probabilities)
                    curves += [{**key, **point} for point in points]
    keys = ["population", "evidence", "held_out", "model", "k"]
    return (
        pd.DataFrame(table, columns=list(DETECTOR_SCHEMA.columns)).sort_values(keys, ignore_index=True),
        pd.DataFrame(curves, columns=list(CURVES_SCHEMA.columns)).sort_values(
            [*keys, "curve", "point"], ignore_index=True
        ),
    )
