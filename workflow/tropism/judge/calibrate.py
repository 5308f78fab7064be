"""Where a judge's scores turn from aligned to misaligned, and how often that is wrong, on labelled references.

The threshold maximises sensitivity + specificity (Youden 1950, *Cancer* 3:32). It is chosen on all references; its
error is that of thresholds chosen without the prompt that each is tried on, so that choosing flatters nothing. A judge
beats chance where the interval of its AUROC, by bootstrap over ten prompts or more, lies above one half: of two prompts
noise would in a quarter of cases.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from tropism.detect.scores import bootstrap_aurocs
from tropism.judge.references import REFERENCES
from tropism.judge.rubric import Rubric
from tropism.judge.tables import JUDGE_ROC_SCHEMA, JUDGE_THRESHOLDS_SCHEMA
from tropism.records.calibration import FEWEST, PUBLISHED, Calibration, DomainError, Reading
from tropism.records.files import InputError
from tropism.records.keyed import keyed_bytes, keyed_seed

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
FOLDS = 10
DRAWS = 2_000
TAILS = [0.025, 0.975]


@dataclass(frozen=True)
class Tried:
    """Judged references of one rubric, each (n,): score, label, prompt, domain, and what was said of each."""

    score: Floats
    bad: Mask
    prompts: NDArray[np.str_]
    domains: NDArray[np.str_]
    called: Mask

    def within(self, domain: str) -> "Tried":
        """Those of one domain; all of them for ``all``."""
        rows = np.ones(len(self.bad), dtype=bool) if domain == "all" else self.domains == domain
        return Tried(*(array[rows] for array in (self.score, self.bad, self.prompts, self.domains, self.called)))


def choose_threshold(score: Floats, bad: Mask, high: str) -> float | None:
    """The cut between two scores that maximises sensitivity + specificity; None where there is none.

    Of equally good ones, the middle one. A cut lies halfway between two neighbouring scores, and on a whole number if
    all scores are whole: the first that is misaligned, or the last that is.
    """
    if bad.all() or not bad.any() or np.ptp(score) == 0:
        return None
    values = np.unique(score)
    sign = 1.0 if high == "misaligned" else -1.0
    halfway = (values[1:] + values[:-1]) / 2
    above = np.stack([score > cut for cut in halfway])
    called = above if sign > 0 else ~above
    youden = called[:, bad].mean(1) - called[:, ~bad].mean(1)
    best = np.flatnonzero(youden >= youden.max() - 1e-12)
    cut = float(halfway[best[(len(best) - 1) // 2]])
    if (score == np.round(score)).all():
        return float(np.ceil(cut) if sign > 0 else np.floor(cut))
    return round(cut, 6)


def held_out_calls(score: Floats, bad: Mask, prompts: NDArray[np.str_], high: str, fallback: float) -> Mask:
    """What each reference is called by the threshold chosen on the other folds, which are grouped by prompt."""
    names = sorted(set(prompts.tolist()), key=lambda name: (keyed_bytes("fold", name), name))
    fold = {name: i % min(FOLDS, max(2, len(names))) for i, name in enumerate(names)}
    number = np.array([fold[name] for name in prompts.tolist()])
    called = np.zeros(len(score), dtype=bool)
    for inside in (number == i for i in np.unique(number)):
        cut = choose_threshold(score[~inside], bad[~inside], high) if not inside.all() else None
        at = fallback if cut is None else cut
        called[inside] = score[inside] >= at if high == "misaligned" else score[inside] <= at
    return called


def calibrate_judge(
    judge: str, references: pd.DataFrame | None, rubrics: Sequence[Rubric], settings: Mapping[str, float]
) -> tuple[Calibration, pd.DataFrame, pd.DataFrame]:
    """``(calibration, table judge_thresholds, table judge_roc)`` of a judge; a rubric without a threshold is left out.

    Args:
        judge: its name.
        references: judged references, ``REFERENCES``; None for a judge that was never tried.
        rubrics: those that it applies.
        settings: thresholds that are set and not chosen, by rubric.

    Raises:
        InputError: the references were judged by several stacks, or no threshold is known for a rubric.
    """
    judged = pd.DataFrame(columns=REFERENCES) if references is None else references
    stacks = sorted(set(judged["stack"]))
    if len(stacks) > 1:
        raise InputError(f"judge {judge}: its references were judged by several stacks, {', '.join(stacks)}; give one")
    readings, rows, points = {}, [], []
    for rubric in rubrics:
        if rubric.high in ("aligned", "misaligned", "coherent"):
            own = judged[judged["rubric"] == rubric.name]
            readings[rubric.name], some, curve = calibrate(own, rubric, settings.get(rubric.name), judge)
            rows += some
            points += curve
    calibration = Calibration(judge=judge, stack=stacks[0] if stacks else None, rubrics=readings)
    table = pd.DataFrame(rows, columns=list(JUDGE_THRESHOLDS_SCHEMA.columns))
    return calibration, table, pd.DataFrame(points, columns=list(JUDGE_ROC_SCHEMA.columns))


def calibrate(
    references: pd.DataFrame, rubric: Rubric, setting: float | None, judge: str
) -> tuple[Reading, list[dict[str, Any]], list[dict[str, Any]]]:
    """``(reading, rows of judge_thresholds, points of judge_roc)`` of one judge on one rubric.

    Args:
        references: ``REFERENCES`` of that judge and rubric; may be empty, and then nothing is measured.
        rubric: the rubric.
        setting: the threshold of the settings, which is then measured and not chosen.
        judge: its name.

    Raises:
        InputError: no threshold is known: none given, none published, and no references of both labels.
    """
    high = rubric.high
    if high not in ("aligned", "misaligned", "coherent"):
        raise InputError(f"rubric {rubric.name}: high is `{high}`, so no threshold parts aligned from misaligned")
    kept = references[references["score"].notna()]
    score, bad = kept["score"].to_numpy(float), kept["bad"].to_numpy(bool)
    prompts, domains = kept["prompt"].to_numpy(str), kept["domain"].to_numpy(str)
    published = PUBLISHED.get(rubric.name)
    chosen = choose_threshold(score, bad, high) if setting is None and len(score) else None
    known = [(setting, "settings"), (chosen, "references"), (published.threshold if published else None, "published")]
    found = [(float(value), source) for value, source in known if value is not None]
    if not found:
        raise InputError(
            f"judge {judge}, rubric {rubric.name}: no threshold is known; set `thresholds`, or give `references` that"
            " hold both labels"
        )
    threshold, source = found[0]
    about = {"min": rubric.scale.min, "max": rubric.scale.max, "high": high, "rubric_hash": rubric.hash}
    plain = Reading.model_validate({**about, "threshold": threshold, "source": source})
    called = held_out_calls(score, bad, prompts, high, threshold) if source == "references" else plain.bad(score)
    tried = Tried(score, bad, prompts, domains, called)
    unread = references["score"].isna()
    rows = []
    for domain in ["all", *sorted(set(references["domain"]))]:
        within = unread if domain == "all" else unread & (references["domain"] == domain)
        measured = error_row(tried.within(domain), high, (judge, rubric.name, domain))
        about = {"judge": judge, "rubric": rubric.name, "domain": domain, "threshold": threshold, "source": source}
        rows.append({**about, **measured, "unparsed": int(within.sum())})
    whole = rows[0]
    measured = {key: whole[key] for key in ("n_misaligned", "n_aligned", "sensitivity", "specificity", "beats_chance")}
    measured |= {key: whole[key] for key in ("auroc", "auroc_low", "auroc_high")}
    errors = {row["domain"]: {key: row[key] for key in DomainError.model_fields} for row in rows[1:]}
    measured["domains"] = {domain: DomainError.model_validate(error) for domain, error in errors.items()}
    reading = plain.model_copy(update=measured)
    rows = [{**row, "calibration": reading.standing} for row in rows]
    return reading, rows, list(roc_points(tried, high, judge, rubric.name))


def error_row(tried: Tried, high: str, key: tuple[str, ...]) -> dict[str, Any]:
    """Counts, sensitivity, specificity, precision and AUROC with 95 % intervals over prompts; None where undefined."""
    score, bad, called = tried.score, tried.bad, tried.called
    row: dict[str, Any] = {
        "n_misaligned": int(bad.sum()),
        "n_aligned": int((~bad).sum()),
        "n_prompts": len(np.unique(tried.prompts)),
    }
    parts = {
        "sensitivity": (called & bad, bad),
        "specificity": (~called & ~bad, ~bad),
        "precision": (called & bad, called),
    }
    seed = keyed_seed("calibration", *key)
    for name, (right, counted) in parts.items():
        row[name] = float(right.sum() / counted.sum()) if counted.any() else None
        row[f"{name}_low"], row[f"{name}_high"] = _share_interval(right, counted, tried.prompts, seed)
    row |= dict.fromkeys(("auroc", "auroc_low", "auroc_high", "beats_chance"))
    if bad.any() and not bad.all():
        signed = score if high == "misaligned" else -score
        row["auroc"] = float(roc_auc_score(bad, signed))
        if row["n_prompts"] > 1:
            drawn = bootstrap_aurocs(bad, signed, tried.prompts, DRAWS, seed)
            row["auroc_low"], row["auroc_high"] = (float(end) for end in np.nanquantile(drawn, TAILS))
            beats = row["auroc_low"] > 0.5
            row["beats_chance"] = None if beats and row["n_prompts"] < FEWEST else beats
    return row


def roc_points(tried: Tried, high: str, judge: str, rubric: str) -> Iterator[dict[str, Any]]:
    """The ROC curve with its thresholds, from the strictest; nothing for one label."""
    if not tried.bad.any() or tried.bad.all():
        return
    sign = 1.0 if high == "misaligned" else -1.0
    false, true, cuts = roc_curve(tried.bad, sign * tried.score)
    for point, (x, y, cut) in enumerate(zip(false, true, cuts, strict=True)):
        about = {
            "judge": judge,
            "rubric": rubric,
            "point": point,
            "threshold": sign * cut if np.isfinite(cut) else None,
        }
        yield {**about, "false_positive_rate": float(x), "true_positive_rate": float(y)}


def _share_interval(
    right: Mask, counted: Mask, prompts: NDArray[np.str_], seed: int
) -> tuple[float | None, float | None]:
    """Percentile interval of sum(right) / sum(counted) over prompts; None for fewer than two counted prompts."""
    _, group = np.unique(prompts, return_inverse=True)
    sums = np.bincount(group, weights=right) if len(group) else np.zeros(0)
    sizes = np.bincount(group, weights=counted) if len(group) else np.zeros(0)
    if np.count_nonzero(sizes) < 2:
        return None, None
    n = len(sums)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=DRAWS)
    with np.errstate(invalid="ignore"):
        drawn = (counts @ sums) / (counts @ sizes)
    low, high = np.nanquantile(drawn, TAILS)
    return float(low), float(high)
