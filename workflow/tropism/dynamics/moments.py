"""Does fine-tuning move the mean of the outcomes, their spread, or both? Paired prompts, one arm against another."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

Floats = NDArray[np.float64]
TESTS = ("welch", "variance", "brown_forsythe", "wilcoxon")


@dataclass(frozen=True)
class Moments:
    """Two arms on the same prompts. Every p-value is two-sided."""

    n_prompts: int
    mean_treatment: float
    mean_control: float
    hedges_g: float
    welch_t: float
    welch_p: float
    variance_ratio: float
    variance_p: float
    brown_forsythe_f: float
    brown_forsythe_p: float
    wilcoxon_rank_biserial: float
    wilcoxon_p: float


def compare_moments(treatment: Floats, control: Floats) -> Moments:
    """The tests that `science.md` 5 names, on outcomes (prompts,) of two arms in the same order of prompts.

    Means by Welch's t, with Hedges' g (pooled standard deviation, small-sample factor 1 - 3 / (4 (2n - 2) - 1)) as
    effect size. Variances by the F ratio, which trusts normality, and by Brown and Forsythe (1974), which does not.
    Wilcoxon's signed-rank test is the paired check; its effect size is the matched-pairs rank-biserial correlation.
    A test on constant outcomes is NaN.

    Raises:
        ValueError: fewer than three prompts, or arms of different length.
    """
    n = len(treatment)
    if n < 3 or len(control) != n:
        raise ValueError(f"needs the same three or more prompts of both arms, got {n} and {len(control)}")
    spread = float(np.sqrt((treatment.var(ddof=1) + control.var(ddof=1)) / 2))
    if _constant(treatment) and _constant(control):
        t = t_p = f = f_p = w = w_p = effect = float("nan")
    else:
        effect = (treatment.mean() - control.mean()) / spread * (1 - 3 / (4 * (2 * n - 2) - 1))
        t, t_p = stats.ttest_ind(treatment, control, equal_var=False)
        f, f_p = _variance_ratio(treatment, control)
        distances = [np.abs(values - np.median(values)) for values in (treatment, control)]
        # distances that are all alike leave nothing to measure their difference by
        even = all(_constant(values) for values in distances)
        w, w_p = (float("nan"),) * 2 if even else stats.levene(treatment, control, center="median")
    rank, rank_p = _signed_ranks(treatment - control)
    means = float(treatment.mean()), float(control.mean())
    tests = (float(t), float(t_p), float(f), float(f_p), float(w), float(w_p), rank, rank_p)
    return Moments(n, *means, float(effect), *tests)


def _constant(values: Floats) -> bool:
    """Whether values differ by rounding alone."""
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())


def _variance_ratio(treatment: Floats, control: Floats) -> tuple[float, float]:
    if _constant(control) or _constant(treatment):
        return float("nan"), float("nan")
    ratio = float(treatment.var(ddof=1) / control.var(ddof=1))
    freedom = (len(treatment) - 1, len(control) - 1)
    return ratio, min(1.0, float(2 * min(stats.f.cdf(ratio, *freedom), stats.f.sf(ratio, *freedom))))


def _signed_ranks(differences: Floats) -> tuple[float, float]:
    moved = differences[differences != 0]
    if not len(moved):
        return float("nan"), float("nan")
    ranks = stats.rankdata(np.abs(moved))
    balance = float((ranks[moved > 0].sum() - ranks[moved < 0].sum()) / ranks.sum())
    return balance, float(stats.wilcoxon(moved).pvalue)


def moments_rows(comparisons: dict[tuple[str, str, str, str], tuple[Floats, Floats]]) -> pd.DataFrame:
    """One row a comparison, keyed by ``(treatment, control, outcome, domain)``; Holm over the rows of each test."""
    keys = ["treatment", "control", "outcome", "domain"]
    rows = [
        {**dict(zip(keys, key, strict=True)), **asdict(compare_moments(*pair))} for key, pair in comparisons.items()
    ]
    table = pd.DataFrame(rows)
    for test in TESTS:
        p = table[f"{test}_p"].to_numpy()
        corrected = np.full(len(p), np.nan)
        tested = ~np.isnan(p)
        if tested.any():
            corrected[tested] = multipletests(p[tested], method="holm")[1]
        table[f"{test}_p_holm"] = corrected
    return table
