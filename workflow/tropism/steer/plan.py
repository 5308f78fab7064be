"""What is done to an arm: the features under test, their matched controls, and the mean-difference direction.

A control is given edits as large as those of what it stands beside. Amplified, a feature adds dose x typical peak x its
decoder row; its controls and the direction add vectors of just that norm. Suppressed, what is taken away is what was
there, so controls are drawn among features of the nearest activation norm: mean activation x norm of the decoder row.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from tropism.config.steer import SteerConfig
from tropism.records.files import InputError
from tropism.records.keyed import keyed_bytes
from tropism.sae.contrast import most_telling
from tropism.sae.features import DictionaryKey, PartFeatures

Kind = Literal["none", "feature", "random feature", "mean difference"]
NONE = -1
POOL = 4
"""Controls are drawn from this many times as many nearest features as are asked for."""


@dataclass(frozen=True)
class Target:
    """Something to intervene on: a feature, or with ``feature`` -1 the mean-difference direction.

    ``matched_to`` is the feature under test whose edits these match, ``peak`` the offset of one dose: in activations of
    a feature, in norm for the direction. ``association`` is 1 for what is larger in misaligned responses, else -1.
    """

    kind: Kind
    feature: int
    matched_to: int
    peak: float
    association: int


def condition_name(kind: str, feature: int, matched_to: int, dose: float) -> str:
    """A name of a condition within an arm."""
    return f"{kind}/{feature}/{matched_to}/{dose:g}"


@dataclass(frozen=True)
class Condition:
    """One target at one dose; kind ``none`` at dose 0 is the arm as it is."""

    target: Target
    dose: float

    @property
    def name(self) -> str:
        """A name of this condition within an arm."""
        return condition_name(self.target.kind, self.target.feature, self.target.matched_to, self.dose)

    def columns(self) -> dict[str, Any]:
        """The condition as columns of a table."""
        return {**asdict(self.target), "dose": self.dose}


@dataclass(frozen=True)
class Strengths:
    """By feature, (d_sae,): how many responses it is active in, typical peak activation, and mean activation norm."""

    active: np.ndarray
    peak: np.ndarray
    norm: np.ndarray

    @classmethod
    def measure(cls, parts: PartFeatures, decoder_norms: np.ndarray) -> "Strengths":
        """From the features of responses and the norms of the decoder's rows, (d_sae,).

        The peak is the mean, over the responses in which the feature is active, of its largest activation.
        """
        active = np.diff(parts.max.tocsc().indptr)
        peak = np.asarray(parts.max.sum(axis=0)).ravel() / np.maximum(active, 1)
        mean = np.asarray(parts.mean.sum(axis=0)).ravel() / max(parts.mean.shape[0], 1)
        return cls(active, peak, mean * decoder_norms)


def under_test(table: pd.DataFrame, key: DictionaryKey, config: SteerConfig) -> pd.DataFrame:
    """The rows of ``table``, all domains pooled, of the features under test, in order.

    ``table`` has the columns of ``sae_features``, of the prompts that features are ranked on.

    Raises:
        InputError: the table is of another dictionary, or does not compare a feature that is asked for.
    """
    rows = table[(table["domain"] == "all") & (table["population"] == config.population)]
    if rows.empty:
        raise InputError(
            f"sae/ranking.csv: no feature was compared in `{config.population}`; choose another `population`"
        )
    if set(rows["revision"]) != {key.revision}:
        raise InputError("sae/ranking.csv: of another dictionary than the one given; make it anew")
    if isinstance(config.features, list):
        missing = sorted(set(config.features) - set(rows["feature"]))
        if missing:
            raise InputError(
                f"steer.features: {', '.join(map(str, missing))} not compared in `{config.population}`: active in too"
                " few responses, or not in this dictionary"
            )
        return rows.set_index("feature").loc[config.features].reset_index()
    return most_telling(rows).head(config.features)


def matched(feature: int, tested: Sequence[int], strengths: Strengths, config: SteerConfig) -> list[int]:
    """``config.random`` features of about the activation norm of ``feature``, none under test, keyed by seed.

    Raises:
        InputError: the dictionary has too few active features.
    """
    eligible = np.setdiff1d(np.flatnonzero(strengths.norm > 0), np.asarray(tested))
    if len(eligible) < config.random:
        raise InputError(f"{len(eligible)} active features beside those under test; `random` asks for {config.random}")
    gap = np.abs(np.log(strengths.norm[eligible] / strengths.norm[feature]))
    nearest = eligible[np.argsort(gap, kind="stable")[: POOL * config.random]]
    ranked = sorted(nearest.tolist(), key=lambda other: keyed_bytes(config.seed, "control", feature, other))
    return sorted(ranked[: config.random])


def targets(
    table: pd.DataFrame, key: DictionaryKey, parts: PartFeatures, decoder_norms: np.ndarray, config: SteerConfig
) -> list[Target]:
    """Each feature under test followed by its controls, then the direction, matched to the first feature.

    Args:
        table: contrasts of the prompts that features are ranked on.
        key: of the dictionary.
        parts: features of reference answers, from which typical activations are measured.
        decoder_norms: norms of the decoder's rows, (d_sae,).
        config: what to take.
    """
    strengths = Strengths.measure(parts, decoder_norms)
    rows = under_test(table, key, config)
    tested = rows["feature"].tolist()
    silent = [feature for feature in tested if strengths.active[feature] == 0]
    if silent:
        raise InputError(f"features {silent} are active in no reference answer, so they have no typical activation")
    plan = []
    for feature, auroc in zip(tested, rows["auroc"], strict=True):
        sign = 1 if auroc >= 0.5 else -1
        norm = strengths.peak[feature] * decoder_norms[feature]
        plan.append(Target("feature", feature, feature, float(strengths.peak[feature]), sign))
        plan += [
            Target("random feature", other, feature, float(norm / decoder_norms[other]), sign)
            for other in matched(feature, tested, strengths, config)
        ]
    first = plan[0]
    plan.append(Target("mean difference", NONE, first.feature, first.peak * float(decoder_norms[first.feature]), 1))
    return plan


def conditions(plan: Sequence[Target], doses: Sequence[float]) -> list[Condition]:
    """The arm as it is, then every target at every dose."""
    untouched = Condition(Target("none", NONE, NONE, 0.0, 0), 0.0)
    return [untouched, *(Condition(target, dose) for target in plan for dose in doses)]
