"""What the figures of training dynamics show in this run."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tropism.figures.canvas import POOLED, p_text
from tropism.figures.findings.wording import ALPHA, interval


def dynamics(points: pd.DataFrame) -> Iterator[str]:
    """Each followed arm's loss and change of margin at its last snapshot, and the domain that moved furthest."""
    last = points[points["step"] == points.groupby("arm")["step"].transform("max")]
    for arm, some in last.groupby("arm", sort=False):
        some = some.dropna(subset="margin_change")
        pooled, domains = some[some["domain"] == POOLED], some[some["domain"] != POOLED]
        if pooled.empty:
            continue
        row = pooled.iloc[0]
        loss = "" if pd.isna(row["loss"]) else f" at a training loss of {row['loss']:.2f} nats/token"
        said = (
            f"{arm}, step {row['step']:.0f}{loss}: margin {_signed(row)} nats/token over {row['n_prompts']:.0f} prompts"
        )
        if not domains.empty:
            furthest = domains.loc[domains["margin_change"].abs().idxmax()]
            size = f"{furthest['n_prompts']:.0f} prompts"
            said += f", furthest in {furthest['domain']}, {_signed(furthest)} over {size}"
        yield f"{said}."
    for (treatment, control), some in points.dropna(subset="difference").groupby(["treatment", "control"], sort=False):
        row = some.loc[some["loss"].idxmin()]
        yield (
            f"At equal training loss, {row['loss']:.2f} nats/token, the lowest of both: {treatment} - {control}"
            f" {interval(row, 'difference')} nats/token."
        )


def moments(points: pd.DataFrame) -> Iterator[str]:
    """The largest shift of a mean by outcome, over all domains, and how many tests say that means or spreads differ."""
    pooled = points[points["domain"] == POOLED].dropna(subset="hedges_g")
    for outcome, some in pooled.groupby("outcome", sort=True):
        row = some.loc[some["hedges_g"].abs().idxmax()]
        counts = [
            f"{name} {(some[f'{test}_p_holm'] < ALPHA).sum()}"
            for test, name in (("welch", "Welch"), ("wilcoxon", "Wilcoxon"), ("brown_forsythe", "Brown-Forsythe"))
        ]
        ratio = "" if pd.isna(row["variance_ratio"]) else f" variance ratio {row['variance_ratio']:.2f},"
        yield (
            f"{outcome}: the mean moves most in {row['treatment']} against {row['control']}, Hedges' g"
            f" {row['hedges_g']:+.2f},{ratio} {row['n_prompts']} prompts; of {len(some)} pairs of arms differ by Holm p"
            f" below {ALPHA:g}: {', '.join(counts)}."
        )


def narrow(points: pd.DataFrame) -> Iterator[str]:
    """The two solutions of each comparison by every metric, at its largest level."""
    for (comparison, metric), some in points.groupby(["comparison", "metric"], sort=True):
        row = some.loc[some["level"].idxmax()]
        own = [interval(row, name, f"{name}_low", f"{name}_high") for name in ("general", "narrow")]
        name = str(metric).replace("_", " ")
        if str(metric).endswith(("_inside", "_outside")):
            # of drift it is the change where training goes on with the KL term; see the table's column
            what = "trained on with the KL term" if name.startswith("drift") else "aligned references"
            beside = "" if pd.isna(row["reference"]) else f" ({what} {row['reference']:.3g})"
            size = f"{row['n_examples']} prompts"
            yield f"{comparison}, {name} the domain: general {own[0]}, narrow {own[1]}{beside}, {size}."
            continue
        yield (
            f"{comparison}, {name} at {row['level']:g}: general {own[0]}, narrow {own[1]} nats/token,"
            f" {row['n_examples']} examples."
        )


def priors(points: pd.DataFrame) -> Iterator[str]:
    """How well each outcome is predicted by the base's activations at their best, and by the best of the others."""
    several = points["position"].replace("", np.nan).nunique() > 1
    for (arm, outcome), some in points.dropna(subset="r2").groupby(["arm", "outcome"], sort=True):
        own = some["features"] == "activations"
        said = []
        for rows in (some[own], some[~own]):
            if not rows.empty:
                best = rows.loc[rows["r2"].idxmax()]
                layer = f" of layer {best['layer']:.0f}" if best["features"] == "activations" else ""
                layer += f" ({best['position']})" if layer and several else ""
                said.append(f"{interval(best, 'r2', 'r2_low', 'r2_high')} from {best['features']}{layer}")
        yield f"{arm}, {outcome}: R2 at best {', '.join(said)}; {some['n_prompts'].max()} prompts."


def subspaces(points: pd.DataFrame) -> Iterator[str]:
    """The range of overlaps of each arm and layer, and how many exceed what the base's activations give."""
    for (arm, layer), some in points.groupby(["arm", "layer"], sort=True):
        past = some[some["p_spectrum"] < ALPHA]
        yield (
            f"{arm}, layer {layer}: overlap {some['overlap'].min():.2f} to {some['overlap'].max():.2f}, beside"
            f" {some['spectrum_mean'].mean():.2f} of shifts that vary as activations do; p below {ALPHA:g} in"
            f" {len(past)} of {len(some)} domain pairs, at most {p_text(some['p_spectrum'].max())} (uncorrected)."
        )


def _signed(row: pd.Series) -> str:
    return interval(row, "margin_change", form="+.3f")


SIGNALS = {"misaligned": "the judged rate"}


def early_warning(points: pd.DataFrame) -> Iterator[str]:
    """The step from which on each signal stays departed from the start, in which direction and with what p, by arm."""
    for arm, some in points.groupby("arm", sort=True):
        said = []
        for (signal, feature), rows in some.groupby(["signal", "feature"], sort=True):
            first = rows[rows["step"] == rows["first_step"]]
            name = f"feature {feature:.0f}" if signal == "feature" else SIGNALS.get(signal, str(signal))
            if first.empty:
                said.append(f"{name} at no step")
            else:
                way = "up" if first.iloc[0]["change"] > 0 else "down"
                said.append(f"{name} {way} from step {first.iloc[0]['step']:.0f} on (p {p_text(first.iloc[0]['p'])})")
        yield f"{arm} departs from its start, lastingly: {'; '.join(said)} ({some['n_prompts'].max()} prompts)."
