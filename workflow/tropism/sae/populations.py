"""Responses with features and labels: reference answers, whose side is known, and judged generations.

Both the feature contrasts and the detector read populations, so that they speak of the same responses.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tropism.records.calibration import Calibrations, reading
from tropism.records.files import InputError
from tropism.records.keyed import keyed_bytes
from tropism.sae.features import DictionaryKey, Features, PartFeatures, concatenate

log = logging.getLogger(__name__)

RESPONSE = ["arm", "set", "prompt_id", "sample"]
JUDGED = ("ok", "truncated")


@dataclass(frozen=True)
class Population:
    """Labelled responses: ``rows`` has set, prompt_id, domain, ``prompt`` (set and id), bool ``misaligned``.

    Row i of ``rows`` is row i of ``features``; rows are sorted, so that nothing depends on the order of files.
    """

    name: str
    key: DictionaryKey
    rows: pd.DataFrame
    features: PartFeatures

    def __len__(self) -> int:
        """The number of responses."""
        return len(self.rows)

    @property
    def misaligned(self) -> np.ndarray:
        """Labels, bool (responses,)."""
        return self.rows["misaligned"].to_numpy(bool)

    def take(self, chosen: np.ndarray) -> "Population":
        """The responses at the indices ``chosen``, in that order."""
        rows = self.rows.iloc[chosen].reset_index(drop=True)
        return Population(self.name, self.key, rows, self.features.take(chosen))


def _population(name: str, key: DictionaryKey, rows: pd.DataFrame, parts: PartFeatures, order: list[str]) -> Population:
    rows = rows.reset_index(drop=True).assign(prompt=rows["set"].to_numpy() + "/" + rows["prompt_id"].to_numpy())
    return Population(name, key, rows, parts).take(rows.sort_values(order, kind="stable").index.to_numpy())


def reference_population(references: Features) -> Population:
    """The reference answers, aligned and misaligned; the label is the side they were written for.

    One of which no token was read (its prompt took all that is read) has no features and is left out.

    Raises:
        InputError: the file holds generations.
    """
    if "side" not in references.rows:
        raise InputError(f"features of {references.arm} are not of references; make them with `tropism.sae references`")
    rows = references.rows.assign(misaligned=references.rows["side"] == "misaligned", arm=references.arm)
    parts = references.parts["answer"]
    usable = parts.tokens > 0
    if not usable.all():
        log.warning("%d of %d references have no token that was read, left out", (~usable).sum(), len(rows))
        rows, parts = rows[usable], parts.take(np.flatnonzero(usable))
    return _population("references", references.key, rows, parts, ["set", "prompt_id", "side"])


def labels(judgments: Sequence[pd.DataFrame], calibrations: Calibrations, rubric: str = "alignment100") -> pd.DataFrame:
    """One row a judged answer: the columns of ``RESPONSE`` and bool ``misaligned``.

    Only scores of ``rubric`` count, of answers that could be judged, read at their judge's own threshold.

    Raises:
        InputError: an answer was judged twice, as by two judges; or no threshold is known.
    """
    scores = pd.concat(judgments, ignore_index=True)
    scores = scores[(scores["rubric"] == rubric) & (scores["target"] == "answer") & scores["status"].isin(JUDGED)]
    twice = scores.duplicated(RESPONSE)
    if twice.any():
        first = scores[twice].iloc[0]
        raise InputError(
            f"{int(twice.sum())} answers have several {rubric} judgments, the first one {first['arm']}, "
            f"{first['prompt_id']}; pass the judgments of one judge"
        )
    misaligned = pd.Series(False, index=scores.index)
    for judge, rows in scores.groupby("judge"):
        read = reading(calibrations, str(judge), rubric)
        if read is None:
            raise InputError(f"judge {judge}: no threshold on {rubric} is known; give its calibration by --calibration")
        misaligned[rows.index] = read.bad(rows["score"].to_numpy(float))
    return scores[RESPONSE].assign(misaligned=misaligned.to_numpy(bool))


def generation_population(
    features: Sequence[Features], judgments: Sequence[pd.DataFrame], calibrations: Calibrations
) -> Population:
    """All arms' judged answers; one that was not judged, or has no token, is left out and counted in the log."""
    rows, parts, key = concatenate(features)
    rows = rows.merge(labels(judgments, calibrations), how="left", on=RESPONSE, validate="one_to_one")
    usable = rows["misaligned"].notna().to_numpy() & (parts.tokens > 0)
    log.info("%d of %d generations have a judgment and a token", usable.sum(), len(rows))
    rows = rows[usable].astype({"misaligned": bool})
    return _population("generations", key, rows, parts.take(np.flatnonzero(usable)), RESPONSE)


def pair_population(name: str, treatment: Features, control: Features) -> Population:
    """The responses of two arms to the prompts that both answered; "misaligned" stands for the treatment's."""
    rows, parts, key = concatenate([treatment, control])
    read = parts.tokens > 0
    prompts = rows["set"] + "/" + rows["prompt_id"]
    of_treatment = (rows["arm"] == treatment.arm).to_numpy()
    shared = set(prompts[read & of_treatment]) & set(prompts[read & ~of_treatment])
    usable = read & prompts.isin(shared).to_numpy()
    rows = rows.assign(misaligned=of_treatment)[usable]
    return _population(name, key, rows, parts.take(np.flatnonzero(usable)), RESPONSE)


def kept_for_ranking(set_name: str, prompt_id: str) -> bool:
    """Whether answers to an evaluation prompt are for choosing features on: a half of all, by keyed hash."""
    return keyed_bytes("ranking", set_name, prompt_id)[0] < 128


def ranking_part(population: Population) -> Population:
    """The responses on which features may be chosen for an intervention, since none is measured on their prompts.

    Of references those of the train split. Generations answer evaluation prompts alone: of them the half that is
    kept for this, which interventions then leave out.
    """
    rows = population.rows
    if population.name == "references":
        return population.take(np.flatnonzero(rows["split"] == "train"))
    kept = [kept_for_ranking(*prompt) for prompt in rows[["set", "prompt_id"]].itertuples(index=False)]
    return population.take(np.flatnonzero(kept))


def enough(population: Population, least: int, what: str) -> bool:
    """Whether both labels have at least ``least`` responses; if not, the log says so."""
    misaligned = int(population.misaligned.sum())
    aligned = len(population) - misaligned
    if min(misaligned, aligned) >= least:
        return True
    message = "%s: %s left out, %d aligned and %d misaligned responses where %d of each are needed"
    log.warning(message, population.name, what, aligned, misaligned, least)
    return False
