"""What the figures of effects show in this run."""

from collections.abc import Iterator

import pandas as pd

from tropism.figures.canvas import POOLED, p_text
from tropism.figures.findings.wording import ALPHA, MOST, change, interval, share
from tropism.stats.units import in_print


def misalignment(points: pd.DataFrame) -> Iterator[str]:
    """The least and the most misaligned arm over all domains, by judge, rubric and target."""
    pooled = points[points["domain"] == POOLED].dropna(subset="value")
    for (judge, instrument, target), some in pooled.groupby(["judge", "instrument", "target"], sort=True):
        least, most = some.loc[some["value"].idxmin()], some.loc[some["value"].idxmax()]
        yield (
            f"{instrument} of the {target} by {judge}, all domains ({least['denominator']} responses counted): least"
            f" {share(least)} in {least['arm']}, most {share(most)} in {most['arm']}."
        )


def transfer_domains(points: pd.DataFrame) -> Iterator[str]:
    """The largest rise and fall against the base, by instrument."""
    changed = points[points["arm"] != points["reference"]].dropna(subset="change")
    for (judge, instrument), some in changed.groupby(["judge", "instrument"], sort=True):
        ends = [some.loc[some["change"].idxmax()], some.loc[some["change"].idxmin()]]
        said = [f"{change(row)} in {row['arm']} on {row['domain']} ({row['n_prompts']} prompts)" for row in ends]
        by = "" if judge == "none" else f" by {judge}"
        yield f"{instrument}{by}: from {said[1]} to {said[0]}, against the base."


def contrasts(points: pd.DataFrame) -> Iterator[str]:
    """How many tests over all domains pass Holm's correction, and each of these with its interval."""
    tested = points[(points["domain"] == POOLED) & points["p_holm"].notna()]
    passed = tested[tested["p_holm"] < ALPHA]
    yield f"Of {len(tested)} tests over all domains {len(passed)} have a corrected p below {ALPHA:g}."
    for row in passed.head(MOST).to_dict("records"):
        scale, unit = in_print(row["unit"])
        yield (
            f"{row['contrast']}, {row['instrument']} ({row['statistic']}):"
            f" {interval(pd.Series(row), 'difference', form='+.3g', scale=scale)} {unit}, {row['n_prompts']} prompts,"
            f" p {p_text(row['p_holm'])}."
        )
    if len(passed) > MOST:
        yield f"The other {len(passed) - MOST} are in the table."


def likelihood(points: pd.DataFrame) -> Iterator[str]:
    """Each instrument over all its prompts: the range over arms, with intervals."""
    pooled = points[(points["domain"] == POOLED) | ~points["instrument"].isin(_pooled_instruments(points))]
    for instrument, some in pooled.dropna(subset="value").groupby("instrument", sort=True):
        least, most = some.loc[some["value"].idxmin()], some.loc[some["value"].idxmax()]
        yield (
            f"{instrument}: least {interval(least)} in {least['arm']}, most {interval(most)} in {most['arm']},"
            f" {most['n_prompts']} prompts."
        )


def denominators(points: pd.DataFrame) -> Iterator[str]:
    """The arm whose rate depends most on its denominator, by judge and rubric."""
    known = points.dropna(subset="value")
    for (judge, instrument), some in known.groupby(["judge", "instrument"], sort=True):
        by = some.groupby("arm", sort=False)["value"]
        spread = by.max() - by.min()
        arm = spread.idxmax()
        own = some[some["arm"] == arm]
        least, most = own.loc[own["value"].idxmin()], own.loc[own["value"].idxmax()]
        yield (
            f"{instrument} by {judge}: the denominator moves the rate most in {arm}, from {least['value']:.1%}"
            f" ({least['denominator']}, {least['n_denominator']:.0f}) to {most['value']:.1%} ({most['denominator']},"
            f" {most['n_denominator']:.0f}); in all arms by"
            f" {spread.min() * 100:.1f} to {spread.max() * 100:.1f} percentage points."
        )
        corrected = some[some["headline"] & some["corrected"].notna()]
        if len(corrected):
            low, high = corrected.loc[corrected["corrected"].idxmin()], corrected.loc[corrected["corrected"].idxmax()]
            yield (
                f"Corrected for the judge's error, {instrument} by {judge} goes from {low['corrected']:.1%} in"
                f" {low['arm']} to {high['corrected']:.1%} in {high['arm']}."
            )


def trends(points: pd.DataFrame) -> Iterator[str]:
    """Each trend's first and last point over all domains, by judge and instrument."""
    pooled = points[points["domain"] == POOLED].dropna(subset="value").sort_values("x")
    for (trend, judge, instrument), some in pooled.groupby(["trend", "judge", "instrument"], sort=True):
        first, last = some.iloc[0], some.iloc[-1]
        by = "" if judge == "none" else f" by {judge}"
        against = "" if pd.isna(last["control"]) else f", as change from {last['control']}"
        yield (
            f"{trend}, {instrument}{by}: {interval(first)} at {first['quantity']} {first['x']:g}, {interval(last)} at"
            f" {last['x']:g} ({last['unit']}, {last['n_prompts']} prompts{against})."
        )


def _pooled_instruments(points: pd.DataFrame) -> set[str]:
    return set(points.loc[points["domain"] == POOLED, "instrument"])
