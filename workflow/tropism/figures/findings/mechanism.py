"""What the figures of features, interventions and detectors show in this run."""

from collections.abc import Iterator

import pandas as pd

from tropism.figures.canvas import p_text
from tropism.figures.findings.wording import ALPHA, MOST, interval

CHANCE = 0.5
LEAST_IN_BIN = 10
"""Responses from which a bin is named as the furthest off."""


def features(points: pd.DataFrame) -> Iterator[str]:
    """How many features part misaligned from aligned responses after correction, by population."""
    for (population, domain), some in points.groupby(["population", "domain"], sort=True):
        passed = some[some["p_bh"] < ALPHA]
        best = some.loc[(some["auroc"] - 0.5).abs().idxmax()]
        yield (
            f"{population}, {domain} domains: {len(passed)} of {len(some)} features have a corrected p below {ALPHA:g},"
            f" {int(some['is_global'].sum())} in every domain; the furthest from chance is feature"
            f" {best['feature']:.0f} with AUROC {best['auroc']:.2f}."
        )


def feature_contrasts(points: pd.DataFrame) -> Iterator[str]:
    """How many features part two arms' responses after correction, by contrast."""
    for contrast, some in points.groupby("contrast", sort=False):
        passed = some[some["p_bh"] < ALPHA]
        best = some.loc[(some["auroc"] - 0.5).abs().idxmax()]
        yield (
            f"{contrast}: {len(passed)} of {len(some)} features have a corrected p below {ALPHA:g},"
            f" {int((passed['auroc'] > CHANCE).sum())} of them larger in {best['treatment']}; the furthest from chance"
            f" is feature {best['feature']:.0f} with AUROC {best['auroc']:.2f}."
        )


def feature_overlap(points: pd.DataFrame) -> Iterator[str]:
    """The two domains that share most features, by population, beside chance."""
    for population, some in points[points["domain"] < points["other"]].groupby("population", sort=True):
        most = some.loc[some["same"].idxmax()]
        if not most["same"]:
            yield (
                f"{population}: no two domains share a feature with one sign, where chance gives at most"
                f" {some['chance'].max():.1f}; {int(some['opposite'].sum())} are shared with the reverse sign by any"
                f" two of {some['n_features'].max():.0f} compared."
            )
            continue
        yield (
            f"{population}: {most['domain']} and {most['other']} share most, {most['same']:.0f} features with one sign"
            f" where chance gives {most['chance']:.1f}; {int(some['opposite'].sum())} are shared with the reverse sign"
            f" by any two of {some['n_features'].max():.0f} compared."
        )


def detector(points: pd.DataFrame) -> Iterator[str]:
    """The detector of most features in grouped cross-validation, beside its best baseline."""
    scores = points[points["auroc"].notna() & (points["held_out"] == "all")]
    for population, some in scores.groupby("population", sort=True):
        own = some[some["model"] == "sae"]
        others = some[~some["model"].isin(["sae", "permuted"])]
        if own.empty or others.empty:
            continue
        most, best = own.loc[own["k"].idxmax()], others.loc[others["auroc"].idxmax()]
        p = "" if pd.isna(most["p"]) else f", p {p_text(most['p'])}"
        yield (
            f"{population}, {most['evidence']}: {most['k']:.0f} features reach AUROC {interval(most, 'auroc')}{p}; the"
            f" best baseline, {best['model']}, {interval(best, 'auroc')}; {most['n_responses']:.0f} responses to"
            f" {most['n_prompts']:.0f} prompts, {most['base_rate']:.0%} misaligned."
        )


def interventions(points: pd.DataFrame) -> Iterator[str]:
    """How many interventions were found a cause, each of these, and the largest change beside its controls."""
    judged = points[points["verdict"].fillna("") != ""]
    causes = judged[judged["verdict"] == "cause"]
    yield (
        f"{len(judged)} doses of features and mean differences were judged, in {points['arm'].nunique()} arms;"
        f" {len(causes)} came out as a cause."
    )
    for row in causes.head(MOST).to_dict("records"):
        yield f"Cause: {_edit(pd.Series(row))}, {interval(pd.Series(row), 'change')}, Holm p {p_text(row['p_holm'])}."
    tested = points[points["kind"].ne("random feature") & points["change"].notna()]
    for outcome, some in tested.groupby("outcome", sort=True):
        row = some.loc[some["change"].abs().idxmax()]
        said = (
            f"{outcome}: the largest change is {interval(row, 'change')} by {_edit(row)} ({row['n_prompts']} prompts)"
        )
        if row[["control_min", "control_max"]].notna().all():
            said += f"; random features of the same norm reach {row['control_min']:.3g} to {row['control_max']:.3g}"
        yield f"{said}."


def _edit(row: pd.Series) -> str:
    what = f"feature {row['feature']:.0f}" if row["kind"] == "feature" else row["kind"]
    return f"{what} at dose {row['dose']:g} in {row['arm']}"


def calibration(points: pd.DataFrame) -> Iterator[str]:
    """How many bins have the probability given outside the interval of the share observed, and the furthest of them."""
    for population, some in points.groupby("population", sort=True):
        off = some[(some["x"] < some["low"]) | (some["x"] > some["high"])]
        distance = (some["x"] - some["y"]).abs()
        worst = some.loc[distance.where(some["n"] >= LEAST_IN_BIN, -1).idxmax()]
        yield (
            f"{population}: in {len(off)} of {len(some)} bins the probability given lies outside the interval of the"
            f" share misaligned; the two are {(distance * some['n']).sum() / some['n'].sum():.2f} apart on average over"
            f" responses, most at {worst['x']:.2f} given against {worst['y']:.2f} of {worst['n']:.0f}"
            f" ({worst['k']:.0f} features)."
        )


def detector_transfer(points: pd.DataFrame) -> Iterator[str]:
    """The detector of most features on what was left out: the least and the most, and how many leave out chance."""
    known = points[points["auroc"].notna() & (points["model"] == "sae")]
    for (population, evidence), some in known.groupby(["population", "evidence"], sort=True):
        own = some[some["k"] == some["k"].max()]
        least, most = own.loc[own["auroc"].idxmin()], own.loc[own["auroc"].idxmax()]
        above = own[own["low"] > CHANCE]
        yield (
            f"{population}, {evidence}, {most['k']:.0f} features: AUROC from {interval(least, 'auroc')} on"
            f" {least['held_out']} to {interval(most, 'auroc')} on {most['held_out']}; the interval lies above {CHANCE}"
            f" in {len(above)} of {len(own)}."
        )
