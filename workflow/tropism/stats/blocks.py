"""Sums by prompt: all that rates, intervals and contrasts need to know about the responses.

Responses to one prompt are not independent, so the prompt is the unit throughout: a statistic is a ratio of two sums
over prompts, and its resampling needs each prompt's two addends and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tropism.records.calibration import Calibrations, Reading, Standing, reading
from tropism.stats.instruments import Floats, Statistic, instrument, outcomes
from tropism.stats.read import POOLED, RESPONSE

Prompts = tuple[tuple[str, str], ...]
"""(set, prompt id) of each prompt, sorted."""
COHERENCE = "coherence100"
GROUP = ["arm", "judge", "instrument", "target", "domain"]


@dataclass(frozen=True)
class Sums:
    """What each prompt adds to a statistic: numerator and number of responses counted, both (prompts,)."""

    numerator: Floats
    count: Floats

    @property
    def value(self) -> float:
        """The ratio of the sums; NaN where nothing is counted."""
        total = self.count.sum()
        return float(self.numerator.sum() / total) if total else float("nan")


@dataclass(frozen=True)
class Block:
    """One arm's responses in one domain under one instrument.

    ``counts`` has the number of responses, and of those unparsed, empty, truncated, refused, code and incoherent (None
    where coherence was not judged). Every prompt that was asked is in ``prompts``, counted or not. ``calibration`` says
    whether the judge was shown to tell aligned from misaligned on this instrument, ``reading`` how its scores are read.
    The block of a group of arms has the sums over its ``trainings``, which are blocks of their own.
    """

    arm: str
    judge: str
    instrument: str
    target: str
    domain: str
    prompts: Prompts
    counts: dict[str, int | None]
    sums: dict[Statistic, Sums]
    calibration: Standing = "none"
    reading: Reading | None = None
    trainings: tuple["Block", ...] = ()

    def over(self, prompts: Prompts, statistic: Statistic) -> Sums:
        """The sums of a statistic over other prompts; nothing is counted of those that were not asked."""
        own = self.sums[statistic]
        if prompts == self.prompts:
            return own
        position = {prompt: i for i, prompt in enumerate(self.prompts)}
        places = np.array([position.get(prompt, len(self.prompts)) for prompt in prompts])
        return Sums(*(np.append(part, 0.0)[places] for part in (own.numerator, own.count)))


def with_coherence(rows: pd.DataFrame) -> pd.DataFrame:
    """``rows`` with the same judge's coherence of the same response (NaN for none) and whether there was a judgment."""
    key = [name for name in RESPONSE if name != "instrument"]
    coherence = rows.loc[rows["instrument"] == COHERENCE, [*key, "score"]].rename(columns={"score": "coherence"})
    merged = rows.merge(coherence, on=key, how="left", validate="many_to_one", indicator="coherence_judged")
    return merged.assign(coherence_judged=merged["coherence_judged"] == "both")


def build_blocks(rows: pd.DataFrame, calibrations: Calibrations | None = None) -> list[Block]:
    """The blocks of each domain and of all domains pooled, from rows as ``read_responses`` gives them."""
    rows = with_coherence(rows)
    both = pd.concat([rows, rows.assign(domain=POOLED)], ignore_index=True)
    return [_block(key, group, calibrations or {}) for key, group in both.groupby(GROUP, sort=True)]


def _block(key: tuple[str, ...], rows: pd.DataFrame, calibrations: Calibrations) -> Block:
    arm, judge, name, target, domain = map(str, key)
    asked = list(zip(rows["set"].to_list(), rows["prompt_id"].to_list(), strict=True))
    new = np.array([True, *(before != here for before, here in pairwise(asked))])
    prompt = np.cumsum(new) - 1
    prompts = tuple(asked[i] for i in np.flatnonzero(new))
    score, status = rows["score"].to_numpy(), rows["status"].to_numpy()
    judged = instrument(name).judged and bool(rows["coherence_judged"].any())
    read = reading(calibrations, judge, name)
    read = read.within(domain) if read is not None else None
    of_coherence = reading(calibrations, judge, COHERENCE)
    coherent = None
    if judged and of_coherence is not None and of_coherence.standing != "at chance":
        coherence = rows["coherence"].to_numpy()
        coherent = np.where(np.isnan(coherence), np.nan, ~of_coherence.bad(coherence))
    sums = {
        statistic: Sums(
            _by_prompt(prompt, np.where(counted, outcome, 0.0)), _by_prompt(prompt, counted.astype(np.float64))
        )
        for statistic, (outcome, counted) in outcomes(
            name, score, status == "refused", status == "code", coherent, read
        ).items()
    }
    counts: dict[str, int | None] = {"n_responses": len(rows)}
    counts |= {kind: int((status == kind).sum()) for kind in ("unparsed", "empty", "truncated", "refused", "code")}
    counts["incoherent"] = None if coherent is None else int((coherent == 0).sum())
    standing = read.standing if read is not None and instrument(name).judged else "none"
    return Block(arm, judge, name, target, domain, prompts, counts, sums, standing, read)


def group_block(name: str, trainings: Sequence[Block]) -> Block:
    """The block of a group of arms that are one training with several seeds: sums and counts of all, by prompt."""
    first = trainings[0]
    prompts = tuple(sorted(set().union(*(block.prompts for block in trainings))))
    sums = {}
    for statistic in first.sums:
        parts = [block.over(prompts, statistic) for block in trainings if statistic in block.sums]
        sums[statistic] = Sums(
            np.sum([part.numerator for part in parts], axis=0), np.sum([part.count for part in parts], axis=0)
        )
    counts: dict[str, int | None] = {}
    for kind in first.counts:
        some = [block.counts[kind] for block in trainings]
        counts[kind] = None if None in some else sum(n for n in some if n is not None)
    return replace(first, arm=name, prompts=prompts, counts=counts, sums=sums, trainings=tuple(trainings))


def _by_prompt(prompt: NDArray[np.int64], addends: Floats) -> Floats:
    return np.bincount(prompt, weights=addends).astype(np.float64)
