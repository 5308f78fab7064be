"""What the figures of steering vectors show in this run."""

from collections.abc import Iterator

import pandas as pd

from tropism.figures.findings.wording import ALPHA, interval

CHANGED = {"margin": "the margin, nats/token,", "misaligned": "the share of misaligned responses"}


def geometry(points: pd.DataFrame) -> Iterator[str]:
    """The least and the most alike pair, and how many pairs exceed each kind of chance."""
    least, most = points.loc[points["cosine"].idxmin()], points.loc[points["cosine"].idxmax()]
    yield (
        f"Cosines of {len(points)} pairs: from {interval(least, 'cosine')} ({least['a']}, {least['b']}) to"
        f" {interval(most, 'cosine')} ({most['a']}, {most['b']})."
    )
    random, own = (points[points[name] < ALPHA] for name in ("p_random_bh", "p_covariance_bh"))
    yield (
        f"{len(random)} differ from random directions (BH p below {ALPHA:g}), {len(own)} from random directions with"
        " the vectors' own second moment."
    )


def geometry_components(points: pd.DataFrame) -> Iterator[str]:
    """The share of each component about zero beside both nulls."""
    shares = points[points["statistic"].fillna("").str.fullmatch(r"share of PC\d")].dropna(subset="value")
    for row in shares.to_dict("records"):
        nulls = [
            f"{name} {row[f'{null}_low']:.3g} to {row[f'{null}_high']:.3g}"
            for null, name in (("random", "random directions"), ("covariance", "with the vectors' second moment"))
            if pd.notna(row[f"{null}_low"]) and pd.notna(row[f"{null}_high"])
        ]
        yield f"{row['statistic']}: {'; '.join([interval(pd.Series(row)), ', '.join(nulls)][: 1 + bool(nulls)])}."


def geometry_layers(points: pd.DataFrame) -> Iterator[str]:
    """The mean cosine over pairs where it is least and most, and the pairs within chance where it is least."""
    mean = points.groupby("layer")["cosine"].mean()
    least, most = mean.idxmin(), mean.idxmax()
    there = points[points["layer"] == least]
    inside = there[there["cosine"].abs() <= there["random_high"]]
    yield (
        f"The mean cosine over {len(there)} pairs goes from {mean[least]:.2f} in layer {least} to {mean[most]:.2f} in"
        f" layer {most}, of {len(mean)} layers; in layer {least} {len(inside)} of {len(there)} lie within chance."
    )


def transfer(points: pd.DataFrame) -> Iterator[str]:
    """The range of effects of vectors and of random directions, and how many intervals leave out zero."""
    measured = points.dropna(subset="effect")
    for (outcome, control), some in measured.groupby(["outcome", "control"], sort=False):
        name = "random directions" if control else "vectors"
        ends = [some.loc[some["effect"].idxmin()], some.loc[some["effect"].idxmax()]]
        said = [
            f"{interval(row, 'effect', 'effect_low', 'effect_high')} ({row['source']} in {row['target']})"
            for row in ends
        ]
        apart = (some["effect_low"] > 0) | (some["effect_high"] < 0)
        yield (
            f"Change of {CHANGED[str(outcome)]} by {name}: from {said[0]} to {said[1]}; the interval leaves out zero in"
            f" {apart.sum()} of {len(some)}, {some['n_prompts'].max():.0f} prompts each."
        )
