"""Training loss against misalignment: what the margins of an arm's snapshots amount to."""

from itertools import pairwise

import numpy as np
import pandas as pd

from tropism.config.stats import StatsConfig
from tropism.stats.bootstrap import intervals
from tropism.stats.instruments import Floats
from tropism.stats.read import POOLED


def trajectory_table(margins: pd.DataFrame, stats: StatsConfig) -> pd.DataFrame:
    """Mean change of the margin since step 0 by arm, step and domain, with intervals over prompts."""
    key = ["arm", "set", "prompt_id"]
    start = margins[margins["step"] == 0].set_index(key)["margin"]
    changed = margins.assign(
        change=margins["margin"] - start.reindex(pd.MultiIndex.from_frame(margins[key])).to_numpy()
    )
    rows = []
    for (arm, step), of_step in changed.groupby(["arm", "step"], sort=True):
        for domain in [POOLED, *sorted(of_step["domain"].unique())]:
            some = of_step if domain == POOLED else of_step[of_step["domain"] == domain]
            some = some.sort_values(["set", "prompt_id"])
            values = some["change"].to_numpy()[:, None]
            low, high = intervals(values, np.ones_like(values), some["prompt_id"].tolist(), stats)
            rows.append([arm, step, float(of_step["loss"].iloc[0]), domain, len(some), values.mean(), low[0], high[0]])
    columns = ["arm", "step", "loss", "domain", "n_prompts", "margin_change", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def at_equal_loss(margins: pd.DataFrame, treatment: str, control: str, stats: StatsConfig) -> pd.DataFrame:
    """Difference of two arms' margin changes where their training losses are equal, at up to five levels of loss.

    Each prompt's change is interpolated linearly in the loss between two snapshots that follow one another, the first
    two with the level between them; levels are spaced evenly over the losses that both arms pass through. By domain of
    the prompts and for all; no common loss gives no row.
    """
    curves = {arm: _curve(margins[margins["arm"] == arm]) for arm in (treatment, control)}
    shared = curves[treatment][1].index.intersection(curves[control][1].index)
    lowest = max(losses.min() for losses, _ in curves.values())
    highest = min(losses.max() for losses, _ in curves.values())
    if lowest > highest or shared.empty:
        return pd.DataFrame()
    levels = np.unique(np.linspace(lowest, highest, 5))
    both = [
        np.stack([_first_at(level, losses, changes.loc[shared].to_numpy()) for level in levels], axis=1)
        for losses, changes in curves.values()
    ]
    difference = both[0] - both[1]
    of = shared.get_level_values("domain")
    tables = []
    for domain in [POOLED, *sorted(set(of))]:
        rows = np.flatnonzero((of == domain) | (domain == POOLED))
        some, prompts = difference[rows], [str(shared[i]) for i in rows]
        low, high = intervals(some, np.ones_like(some), prompts, stats)
        means = {"difference": some.mean(axis=0), "low": low, "high": high}
        tables.append(pd.DataFrame({"loss": levels, "domain": domain, "n_prompts": len(rows), **means}))
    return pd.concat(tables, ignore_index=True).assign(treatment=treatment, control=control)


def _curve(margins: pd.DataFrame) -> tuple[Floats, pd.DataFrame]:
    """The loss of each snapshot in the order of training, (steps,), and each prompt's change (rows) at it (columns)."""
    wide = margins.pivot_table(index=["domain", "set", "prompt_id"], columns="step", values="margin")
    changes = wide.sub(wide[0], axis=0).drop(columns=0)
    losses = margins.drop_duplicates("step").set_index("step")["loss"]
    return losses[changes.columns].to_numpy(dtype=float), changes


def _first_at(level: float, losses: Floats, changes: Floats) -> Floats:
    """The changes, (prompts,), where training first had this loss; ``changes`` is (prompts, steps).

    A loss that rises again, as under a cyclic schedule, passes a level more than once; snapshots of other times are
    not its neighbours.
    """
    for step, (before, after) in enumerate(pairwise(losses)):
        if min(before, after) <= level <= max(before, after):
            share = (level - before) / (after - before) if after != before else 0.0
            return np.asarray(changes[:, step] + share * (changes[:, step + 1] - changes[:, step]))
    return np.asarray(changes[:, int(np.abs(losses - level).argmin())])
