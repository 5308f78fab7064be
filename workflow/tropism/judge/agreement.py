"""How far judges agree on the same responses: pairwise, and all together.

Quadratically weighted kappa (Cohen 1968) of two judges is 1 - mean (a - b)^2 / (var a + var b + (mean a - mean b)^2),
which is Lin's concordance, so it needs no categories and its bootstrap needs sums by prompt alone. Krippendorff's alpha
is the kept library's: ordinal on short scales, interval on others. Bias and limits of agreement: Bland and Altman 1986.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any, Literal

import krippendorff
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from tropism.judge.tables import JUDGE_AGREEMENT_SCHEMA
from tropism.records.keyed import keyed_seed

Floats = NDArray[np.float64]
RESPONSE = ["arm", "set", "prompt_id", "domain", "sample"]
ALL = "all"
DRAWS = 2_000
ALPHA_DRAWS = 500
"""Of alpha, which is computed anew for each; of kappa sums are enough."""
Level = Literal["ordinal", "interval"]
SHORT_SCALE = 10
"""Levels up to which a scale is taken as ordinal."""


def agreement_table(judgments: pd.DataFrame) -> pd.DataFrame:
    """Rows as ``JUDGE_AGREEMENT_SCHEMA`` says, from judgments of several judges; only scored responses count."""
    scored = judgments[judgments["score"].notna()]
    rows: list[dict[str, Any]] = []
    for (rubric, target), some in scored.groupby(["rubric", "target"], sort=True):
        wide = some.pivot(index=RESPONSE, columns="judge", values="score").sort_index()
        if wide.shape[1] > 1:
            domains = wide.index.get_level_values("domain")
            level: Level = "ordinal" if _is_short(wide.to_numpy()) else "interval"
            for domain in [ALL, *sorted(set(domains))]:
                part = wide if domain == ALL else wide[domains == domain]
                about = {"rubric": rubric, "target": target, "domain": domain, "level": level}
                rows += [{**about, **row} for row in _rows(part, level)]
    return pd.DataFrame(rows, columns=list(JUDGE_AGREEMENT_SCHEMA.columns))


def _is_short(scores: Floats) -> bool:
    values = np.unique(scores[~np.isnan(scores)])
    return len(values) <= SHORT_SCALE and bool((values == np.round(values)).all())


def _rows(wide: pd.DataFrame, level: Level) -> Iterator[dict[str, Any]]:
    prompts = wide.index.get_level_values("set") + "/" + wide.index.get_level_values("prompt_id")
    whole = wide[wide.notna().sum(axis=1) > 1]
    if wide.shape[1] > 2 and len(whole):
        yield {
            "judge": ALL,
            "other": ALL,
            "n": len(whole),
            "n_prompts": len(set(prompts[wide.notna().sum(axis=1) > 1])),
            **_alpha(whole.to_numpy().T, np.asarray(prompts)[wide.notna().sum(axis=1) > 1], level, ALL),
        }
    for judge, other in combinations(wide.columns, 2):
        both = wide[[judge, other]].notna().all(axis=1).to_numpy()
        a, b = wide.loc[both, judge].to_numpy(float), wide.loc[both, other].to_numpy(float)
        if len(a):
            yield {"judge": judge, "other": other, **pair(a, b, np.asarray(prompts)[both], level, f"{judge}/{other}")}


def pair(a: Floats, b: Floats, prompts: NDArray[Any], level: Level, key: str) -> dict[str, Any]:
    """The measures of two judges of the same responses, all (n,); None where a measure is undefined."""
    difference = a - b
    spread = float(np.std(difference, ddof=1)) if len(a) > 1 else None
    sums = np.stack([np.ones_like(a), a, b, a * a, b * b, a * b])
    low, high = _kappa_interval(sums, prompts, keyed_seed("agreement", key))
    constant = np.ptp(a) == 0 or np.ptp(b) == 0
    return {
        "n": len(a),
        "n_prompts": len(set(prompts.tolist())),
        "same": float(np.mean(difference == 0)),
        "kappa": _defined(weighted_kappa(sums.sum(axis=1)[:, None])[0]),
        "kappa_low": low,
        "kappa_high": high,
        "spearman": None if constant or len(a) < 2 else float(spearmanr(a, b).statistic),
        **_alpha(np.stack([a, b]), prompts, level, key),
        "bias": float(difference.mean()),
        "limit_low": None if spread is None else float(difference.mean() - 1.96 * spread),
        "limit_high": None if spread is None else float(difference.mean() + 1.96 * spread),
    }


def weighted_kappa(sums: Floats) -> Floats:
    """Quadratically weighted kappa from the sums of 1, a, b, aa, bb, ab, each (columns,); NaN without spread."""
    n, a, b, aa, bb, ab = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = aa / n + bb / n - 2 * (a / n) * (b / n)
        kappa = np.where(expected > 1e-12, 1 - (aa + bb - 2 * ab) / n / expected, np.nan)
    return np.clip(kappa, -1, 1)  # rounding alone leads outside


def krippendorff_alpha(scores: Floats, level: Level) -> float | None:
    """Krippendorff's alpha of scores (judges, responses), NaN where there is none; None where all values are one."""
    values = np.unique(scores[~np.isnan(scores)])
    if len(values) < 2:
        return None
    return float(krippendorff.alpha(reliability_data=scores, level_of_measurement=level))


def _alpha(scores: Floats, prompts: NDArray[Any], level: Level, key: str) -> dict[str, float | None]:
    """Alpha of scores (judges, responses) and its 95 % percentile interval over prompts; None for fewer than two."""
    found: dict[str, float | None] = {"alpha": krippendorff_alpha(scores, level), "alpha_low": None, "alpha_high": None}
    names, group = np.unique(prompts, return_inverse=True)
    if found["alpha"] is None or len(names) < 2:
        return found
    values = np.unique(scores[~np.isnan(scores)])
    counts = (scores.T[:, :, None] == values).sum(axis=1)  # (responses, values), which is all that alpha reads
    draws = np.random.default_rng(keyed_seed("agreement", "alpha", key)).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=ALPHA_DRAWS
    )
    drawn = []
    for times in draws:
        resampled = np.repeat(counts, times[group], axis=0)
        if (resampled.sum(axis=0) > 0).sum() > 1:  # else all values are one, and alpha is undefined
            drawn.append(krippendorff.alpha(value_counts=resampled, value_domain=values, level_of_measurement=level))
    if drawn:
        low, high = np.quantile(drawn, [0.025, 0.975])
        found |= {"alpha_low": float(low), "alpha_high": float(high)}
    return found


def _kappa_interval(sums: Floats, prompts: NDArray[Any], seed: int) -> tuple[float | None, float | None]:
    """95 % percentile interval over prompts; None for fewer than two."""
    _, group = np.unique(prompts, return_inverse=True)
    n = int(group.max()) + 1
    if n < 2:
        return None, None
    by_prompt = np.stack([np.bincount(group, weights=row) for row in sums])
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=DRAWS)
    drawn = weighted_kappa(by_prompt @ counts.T.astype(float))
    if np.isnan(drawn).all():
        return None, None
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
