"""From states and outcomes to the tables of prior prediction, shift subspaces and moments."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tropism.config.dynamics import DynamicsConfig
from tropism.config.stats import StatsConfig
from tropism.dynamics import subspaces
from tropism.dynamics.families import families
from tropism.dynamics.priors import length_features, predict, random_features, word_features
from tropism.dynamics.state_files import States, position_name
from tropism.dynamics.tables import OVERLAP_SCHEMA
from tropism.records.files import InputError
from tropism.records.keyed import keyed_seed
from tropism.stats.read import POOLED

log = logging.getLogger(__name__)
Floats = NDArray[np.float64]
OUTCOMES = ("margin", "alignment100")
"""Instruments whose per-prompt mean is an outcome, where they were measured."""


def prompt_means(responses: pd.DataFrame) -> dict[tuple[str, str], pd.Series]:
    """Each prompt's mean score by ``(arm, outcome)``, indexed by ``(set, prompt_id)``.

    Raises:
        InputError: an outcome was judged by several judges, whose scores are not one number.
    """
    scored = responses[responses["instrument"].isin(OUTCOMES) & responses["score"].notna()]
    scored = scored[scored["target"].isin(["answer", "reference"])]
    found = {}
    for (arm, outcome), some in scored.groupby(["arm", "instrument"]):
        if some["judge"].nunique() > 1:
            raise InputError(f"{outcome} of {arm} comes from several judges; give the judgments of one")
        found[str(arm), str(outcome)] = some.groupby(["set", "prompt_id"])["score"].mean()
    return found


def prior_rows(
    base: States,
    arms: Sequence[str],
    outcomes: dict[tuple[str, str], pd.Series],
    settings: DynamicsConfig,
    stats: StatsConfig,
) -> pd.DataFrame:
    """How well the base's states, and features that know no model, predict each arm's outcome on held-out prompts."""
    rows = []
    keys = [(row["set"], row["prompt_id"]) for row in base.prompts]
    for (arm, outcome), values in sorted(outcomes.items()):
        if arm not in arms:
            continue
        chosen = [i for i, key in enumerate(keys) if key in values.index]
        y = np.array([values[keys[i]] for i in chosen])
        asked = [base.prompts[i] for i in chosen]
        words, domains, ids = ([row[key] for row in asked] for key in ("prompt", "domain", "prompt_id"))
        groups = families(words, domains, settings.families, ids)
        own = outcomes.get((base.arm, outcome))
        for name, position, layer, features in _feature_sets(base, chosen, keys, own, settings):
            held = predict(features, y, groups, settings.folds, settings.seed)
            r2, rank = held.scores()
            spans = held.intervals(settings.draws, stats.confidence, settings.seed)
            row: dict[str, Any] = {"arm": arm, "outcome": outcome, "features": name, "position": position}
            row |= {"layer": layer, "width": features.shape[1], "n_prompts": len(y)}
            row |= {
                "families": settings.families,
                "n_families": len(set(groups)),
                "r2": r2,
                "r2_low": spans[0][0],
                "r2_high": spans[0][1],
            }
            rows.append(row | {"spearman": rank, "spearman_low": spans[1][0], "spearman_high": spans[1][1]})
    if not rows:
        raise InputError("prior prediction: no outcome of any of `dynamics.arms`; were they scored?")
    return pd.DataFrame(rows)


def _feature_sets(
    base: States,
    chosen: Sequence[int],
    keys: Sequence[tuple[str, str]],
    own: pd.Series | None,
    settings: DynamicsConfig,
) -> Iterator[tuple[str, str, int | None, Floats]]:
    texts = [base.prompts[i]["prompt"] for i in chosen]
    for position in map(position_name, settings.positions):
        for layer in settings.layers:
            yield "activations", position, layer, base.tensors[f"{position}.{layer}"][chosen].astype(float)
    width = next(iter(base.tensors.values())).shape[1]
    yield "random", "", None, random_features(["/".join(keys[i]) for i in chosen], width, settings.seed)
    yield "prompt length", "", None, length_features(texts)
    yield "bag of words", "", None, word_features(texts)
    if own is not None and all(keys[i] in own.index for i in chosen):
        yield "score of the base", "", None, np.array([[own[keys[i]]] for i in chosen], dtype=float)


def overlap_rows(
    base: States, arms: Sequence[States], trained: Mapping[str, str], settings: DynamicsConfig
) -> pd.DataFrame:
    """Overlap of the shifts of the prompts that each arm was trained on with those of evaluation prompts, by domains.

    ``trained`` names the dataset of each arm's last step, whose prompts of the train split are its training prompts.

    ``p_uniform`` holds it against uniformly random subspaces, ``p_spectrum`` against subspaces that vary as the base's
    activations do. Domains with no more prompts than k in a split have no row, nor have shifts that are all alike.
    """
    rows = []
    for arm, position, layer, k in (
        (a, p, layer, k)
        for a in arms
        for p in map(position_name, settings.positions)
        for layer in settings.layers
        for k in settings.k
    ):
        key = f"{position}.{layer}"
        before = base.tensors[key].astype(float)
        shifts = arm.tensors[key].astype(float) - before
        training, evaluated = _groups(base, "train", trained[arm.arm]), _groups(base, "evaluation", None)
        for train, ours in sorted(training.items()):
            for evaluation, theirs in sorted(evaluated.items()):
                one, other = shifts[ours], shifts[theirs]
                if min(len(one), len(other)) <= k:
                    continue
                if not (subspaces.moves(one, before[ours]) and subspaces.moves(other, before[theirs])):
                    log.warning("%s, %s: shifts differ by rounding alone, no subspaces", arm.arm, key)
                    continue
                basis, target = subspaces.leading(one, k), subspaces.leading(other, k)
                observed = subspaces.overlap(basis, target)
                purpose = (settings.seed, "subspaces", arm.arm, key, k, train, evaluation)
                random = np.random.default_rng(keyed_seed(*purpose))
                uniform = subspaces.compare(observed, subspaces.uniform_overlaps(basis, settings.controls, random))
                chance = subspaces.spectrum_overlaps(basis, before, len(other), settings.controls, random)
                spectrum = subspaces.compare(observed, chance)
                row: dict[str, Any] = {"arm": arm.arm, "position": position, "layer": layer, "k": k}
                row |= {"training_domain": train, "evaluation_domain": evaluation}
                row |= {"n_training": len(one), "n_evaluation": len(other), "overlap": observed}
                row |= {"uniform_mean": uniform.mean, "p_uniform": uniform.p}
                row |= {"spectrum_mean": spectrum.mean, "spectrum_q95": spectrum.quantile95, "p_spectrum": spectrum.p}
                rows.append(row | {"cosine": subspaces.cosine(one.mean(axis=0), other.mean(axis=0))})
    if not rows:
        log.warning(
            "no domain has over %d prompts to train on and to evaluate: no subspaces to compare", min(settings.k)
        )
        return pd.DataFrame(columns=list(OVERLAP_SCHEMA.columns))
    table = pd.DataFrame(rows)
    return table.assign(r_overlap_cosine=_relation(table))


def _groups(base: States, split: str, dataset: str | None) -> dict[str, list[int]]:
    """Places of the prompts of a split, by domain; of one dataset, or of all, each prompt once."""
    groups: dict[str, list[int]] = {}
    seen: set[tuple[str, str]] = set()
    for index, row in enumerate(base.prompts):
        known = (row["domain"], row["prompt"])
        if row["split"] == split and dataset in (None, row["set"]) and known not in seen:
            seen.add(known)
            groups.setdefault(row["domain"], []).append(index)
    return groups


def _relation(table: pd.DataFrame) -> pd.Series:
    """Pearson r of overlap and cosine over the pairs of one position, layer and k; missing below three pairs."""
    by = table.groupby(["position", "layer", "k"])
    r = by.apply(lambda some: some["overlap"].corr(some["cosine"]) if len(some) > 2 else np.nan)
    return pd.MultiIndex.from_frame(table[["position", "layer", "k"]]).map(r.to_dict()).to_series(index=table.index)


def moment_pairs(
    base: str, outcomes: dict[tuple[str, str], pd.Series], domains: dict[tuple[str, str], str]
) -> dict[tuple[str, str, str, str], tuple[Floats, Floats]]:
    """Outcomes of every pair of arms, and of each arm and the base, on their common prompts, by domain and pooled."""
    arms = sorted({arm for arm, _ in outcomes} - {base})
    pairs = [(arm, base) for arm in arms] + [(b, a) for a, b in combinations(arms, 2)]
    found = {}
    for treatment, control in pairs:
        for outcome in OUTCOMES:
            one, other = outcomes.get((treatment, outcome)), outcomes.get((control, outcome))
            if one is None or other is None:
                continue
            common = sorted(set(one.index) & set(other.index))
            for domain in [POOLED, *sorted({domains[key] for key in common})]:
                of = [key for key in common if domain in (POOLED, domains[key])]
                if len(of) >= 3:
                    key = (treatment, control, outcome, domain)
                    found[key] = (one[of].to_numpy(dtype=float), other[of].to_numpy(dtype=float))
    return found
