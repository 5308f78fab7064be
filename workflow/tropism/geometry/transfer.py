"""What one arm's vector does in another: effects, their share of the source's own, asymmetry, dose and response.

Effectiveness = (target - baseline) / (source - baseline) is read in two ways. Target and baseline are the target arm
with and without the vector. *own*: source and baseline are the source's arm with and without it. *training*: they are
the source's arm and the untrained base, so that the share is of what training did. Intervals: prompts are drawn anew,
numerator and denominator together, and of few prompts the ends lie further out, as in every table of paired changes.
"""

import logging
from collections.abc import Iterator

import numpy as np
import pandas as pd

from tropism.config.geometry import SteeringConfig
from tropism.config.stats import StatsConfig
from tropism.geometry.gram import Floats
from tropism.geometry.names import CONTROL, UNSTEERED, condition
from tropism.geometry.resample import counts
from tropism.records.calibration import Calibrations
from tropism.records.files import InputError
from tropism.stats.bootstrap import tails
from tropism.stats.permutation import p_values
from tropism.steer.judged import judged_outcomes

log = logging.getLogger(__name__)
PROMPT = ["set", "prompt_id"]
MEASURES = ["misalignment", "coherence"]
NOBODY = "none"


def judged(scores: pd.DataFrame, measured: pd.DataFrame, calibrations: Calibrations) -> pd.DataFrame:
    """Rows as ``measured`` has them of one target, with a judge's ``misalignment`` and ``coherence`` of its responses.

    Misalignment is the share of a prompt's responses that are misaligned, coherence their mean score.
    """
    conditions = measured[["target", "source", "strength"]].drop_duplicates()
    names = [condition(str(row.source), float(row.strength)) for row in conditions.itertuples()]
    rows = judged_outcomes(scores, conditions.assign(name=names), calibrations)
    place = ["target", "source", "strength", *PROMPT]
    wide = rows.pivot(index=place, columns="outcome", values=["value", "n_responses"])
    found = wide["value"].rename(columns={"misaligned": "misalignment"}).reindex(columns=MEASURES)
    found["n_responses"] = wide["n_responses"].reindex(columns=["misaligned"])["misaligned"]
    judges = ", ".join(sorted(set(scores["judge"])))
    asked = measured[place].merge(found.reset_index(), on=place, how="left")  # also where no score came of it
    return asked.assign(outcome="misaligned", judge=judges)


def transfer_table(measured: pd.DataFrame, config: SteeringConfig) -> pd.DataFrame:
    """``transfer``: one row an outcome, source vector and target arm, at ``config.strength``.

    ``measured``: one row an outcome, target, source, strength and prompt: :func:`steering.measure`, :func:`judged`.
    """
    at = measured[(measured["strength"] == config.strength) | (measured["source"] == UNSTEERED)]
    return pd.concat([_transfers(some, config).assign(**key) for key, some in _by_outcome(at)], ignore_index=True)


def _by_outcome(measured: pd.DataFrame) -> Iterator[tuple[dict[str, object], pd.DataFrame]]:
    """Each outcome with who gave it and, of responses, how many a condition has."""
    for (outcome, judge), some in measured.groupby(["outcome", "judge"], sort=False):
        yield {"outcome": outcome, "judge": judge}, some


def _complete(some: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """One row a prompt that was scored under every condition, one column a condition and measure.

    Raises:
        InputError: no prompt was.
    """
    wide = some.pivot(index=PROMPT, columns=columns, values=MEASURES).sort_index()
    whole = wide.dropna()
    if whole.empty:
        raise InputError(
            "transfer: no prompt has a score under every condition; the judge scored too few of the responses"
        )
    if len(whole) < len(wide):
        log.warning("transfer: %d of %d prompts lack a score under some condition", len(wide) - len(whole), len(wide))
    return whole


def _responses(some: pd.DataFrame, wide: pd.DataFrame) -> float:
    """Responses a condition to the prompts of ``wide``, the fewest; none where references were scored."""
    some = some[pd.MultiIndex.from_frame(some[PROMPT]).isin(wide.index)]
    return float(some.groupby(["target", "source", "strength"])["n_responses"].sum(min_count=1).min())


def _transfers(at: pd.DataFrame, config: SteeringConfig) -> pd.DataFrame:
    wide = _complete(at, ["target", "source"])["misalignment"]
    n_responses = _responses(at, wide)
    values = {key: wide[key].to_numpy() for key in wide.columns}
    weights = counts([len(wide)], config.analysis.draws, config.analysis.seed)[len(wide)]
    targets = [arm for arm in config.steered if (arm, UNSTEERED) in values]
    sources = [s for s in dict.fromkeys(at["source"]) if s != UNSTEERED]
    rows = []
    for source in sources:
        for target in targets:
            effect = values[target, source] - values[target, UNSTEERED]
            back = values.get((source, target))
            row = {
                "source": source,
                "target": target,
                "control": source.startswith(CONTROL),
                "strength": config.strength,
                "n_prompts": len(wide),
                "n_responses": n_responses,
                "baseline": float(values[target, UNSTEERED].mean()),
                "steered": float(values[target, source].mean()),
                "effect": float(effect.mean()),
                **_ends("effect", weights @ effect, len(wide), config),
                "p": _p(effect, wide.index, config),
            }
            for name, whole in _wholes(source, values, config).items():
                own = None if whole is None else _ratio(effect.mean(keepdims=True), whole.mean(keepdims=True))
                row[f"effectiveness_{name}"] = float("nan") if own is None else float(own[0])
                drawn = None if whole is None else _ratio(weights @ effect, weights @ whole)
                row |= _ends(f"effectiveness_{name}", drawn, len(wide), config)
            if back is None or target == source:
                row |= {"asymmetry": float("nan"), "p_asymmetry": float("nan")}
            else:
                other = effect - (back - values[source, UNSTEERED])
                row |= {"asymmetry": float(other.mean()), "p_asymmetry": _p(other, wide.index, config)}
            rows.append(row)
    return pd.DataFrame(rows)


def dose_table(measured: pd.DataFrame, config: SteeringConfig) -> pd.DataFrame:
    """``dose_response``: one row an outcome, target, source and strength, as changes from the target as it is."""
    rows: list[dict[str, object]] = []
    for key, some in _by_outcome(measured):
        for target, own in some.groupby("target", sort=False):
            wide = _complete(own, ["source", "strength"])
            n_responses = _responses(own, wide)
            weights = counts([len(wide)], config.analysis.draws, config.analysis.seed)[len(wide)]
            for source, strength in own[["source", "strength"]].drop_duplicates().itertuples(index=False):
                if source == UNSTEERED:
                    continue
                row = key | {"source": source, "target": target, "control": str(source).startswith(CONTROL)}
                row |= {"strength": strength, "n_prompts": len(wide), "n_responses": n_responses}
                for name in MEASURES:
                    plain = wide[name][UNSTEERED].iloc[:, 0]
                    difference = (wide[name][source, strength] - plain).to_numpy()
                    ends = _ends(name, weights @ difference, len(wide), config)
                    row |= {name: float(difference.mean()), **ends}
                rows.append(row)
    return pd.DataFrame(rows)


def _wholes(source: str, values: dict[tuple[str, str], Floats], config: SteeringConfig) -> dict[str, Floats | None]:
    """What is called the whole effect of a source, a prompt each, in either reading; None where it was not measured."""
    own, plain = values.get((source, source)), values.get((source, UNSTEERED))
    base = values.get((config.base, UNSTEERED))
    return {
        "own": None if own is None or plain is None else own - plain,
        "training": None if plain is None or base is None else plain - base,
    }


def _ratio(a: Floats, b: Floats) -> Floats:
    return np.divide(a, b, out=np.full_like(a, np.nan), where=np.abs(b) > 1e-12)


def _ends(name: str, drawn: Floats | None, prompts: int, config: SteeringConfig) -> dict[str, float]:
    """Percentiles of the draws, as far out as so many prompts ask for; none of a single prompt."""
    if drawn is None or prompts < 2 or np.isnan(drawn).all():
        return {f"{name}_low": float("nan"), f"{name}_high": float("nan")}
    low, high = np.nanquantile(drawn, tails(prompts, config.analysis.confidence))
    return {f"{name}_low": float(low), f"{name}_high": float(high)}


def _p(differences: Floats, prompts: object, config: SteeringConfig) -> float:
    """Two-sided p of the paired permutation test over prompts."""
    column = differences[:, None]
    settings = StatsConfig(seed=config.analysis.seed)
    return float(p_values(column, np.ones_like(column, bool), list(prompts), settings)[0])  # type: ignore[call-overload]
