"""From outcomes by prompt to effects, and to a verdict on each intervention that its controls can overturn.

An effect is the mean change of an outcome from the untouched arm, paired by prompt. It is an effect of the feature only
in so far as it exceeds what edits of equal norm on random features do: the *excess* over their mean, tested by flipping
the signs of prompts and corrected by Holm over all targets and doses of an arm and outcome. What is amplified has the
norm of its controls. What is suppressed was as large as it was: there the controls' change is scaled to the edit's
norm, as if it grew in proportion.
"""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from tropism.config.stats import StatsConfig
from tropism.config.steer import SteerConfig
from tropism.records.files import InputError
from tropism.sae.features import DictionaryKey
from tropism.stats.bootstrap import intervals
from tropism.stats.permutation import p_values
from tropism.steer.judged import PROMPT
from tropism.steer.tables import INTERVENTIONS_SCHEMA

log = logging.getLogger(__name__)
TARGET = ["arm", "kind", "feature", "matched_to", "dose"]
MISALIGNMENT = ("margin", "misaligned")
"""Outcomes that grow with misalignment, of which a cause must move one."""
COST = {"coherence": "max_loss", "reference_logp": "max_logp_loss"}
"""What stands beside each, and the setting that says how far it may fall."""
BESIDE = {"margin": "reference_logp", "misaligned": "coherence"}


def changes(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Rows other than the untouched arm's, with ``baseline``, ``change`` and ``control_change`` of the same prompt.

    ``control_change`` is the mean change by the random features matched to the same target at the same dose, of prompts
    that have a score under each of these: a control that lacks some would shift the mean.

    Raises:
        InputError: an arm was not measured untouched.
    """
    key = ["arm", "outcome", *PROMPT]
    untouched = outcomes[outcomes["kind"] == "none"].set_index(key)["value"].rename("baseline")
    if set(outcomes["arm"]) - set(untouched.reset_index()["arm"]):
        raise InputError("interventions: an arm has no untouched condition to compare with")
    moved = outcomes[outcomes["kind"] != "none"].join(untouched, on=key)
    moved = moved.assign(change=moved["value"] - moved["baseline"])
    match = [*key, "matched_to", "dose"]
    controls = moved[moved["kind"] == "random feature"].dropna(subset=["change"])
    of_dose = [name for name in match if name not in PROMPT]
    every = controls.groupby(of_dose)["feature"].nunique().rename("every")
    by_prompt = controls.groupby(match)["change"].agg(control_change="mean", found="size").join(every, on=of_dose)
    control = by_prompt.loc[by_prompt["found"] == by_prompt["every"], "control_change"]
    paired = moved.join(control, on=match).dropna(subset=["change", "control_change"])
    if len(paired) < len(moved):
        log.warning(
            "%d of %d outcomes lack a score, their own or their controls': left out",
            len(moved) - len(paired),
            len(moved),
        )
    return paired


def effects(outcomes: pd.DataFrame, key: DictionaryKey, judges: Sequence[str], config: SteerConfig) -> pd.DataFrame:
    """The table ``interventions``.

    Args:
        outcomes: one row an arm, condition, prompt and outcome.
        key: of the dictionary.
        judges: who gave ``misaligned`` and ``coherence``; empty if nobody.
        config: settings of the tests and of the verdict.
    """
    paired = changes(outcomes)
    settings = StatsConfig(draws=config.draws, seed=config.seed)
    tables = []
    for (arm, outcome), rows in paired.groupby(["arm", "outcome"], sort=True):
        tables.append(_arm_outcome(rows, settings).assign(arm=arm, outcome=outcome))
    table = pd.concat(tables, ignore_index=True)
    table["role"] = np.where(table["dose"] < 0, "necessary", "sufficient")
    table["judge"] = np.where(table["outcome"].isin(["misaligned", "coherence"]), ", ".join(judges) or "none", "none")
    table["verdict"] = _verdicts(table, config)
    identity = {"release": key.release, "sae_id": key.sae_id, "revision": key.revision, "layer": key.layer}
    table = table.assign(**identity)
    order = ["arm", "outcome", "matched_to", "kind", "feature", "dose"]
    return table.sort_values(order, kind="stable", ignore_index=True)[list(INTERVENTIONS_SCHEMA.columns)]


def _arm_outcome(rows: pd.DataFrame, settings: StatsConfig) -> pd.DataFrame:
    """Effects of all conditions on one outcome of one arm; p is corrected over all but the random features."""
    prompts = rows[PROMPT].drop_duplicates().sort_values(PROMPT)
    place = {tuple(prompt): i for i, prompt in enumerate(prompts.itertuples(index=False))}
    groups = list(rows.groupby(TARGET, sort=True))
    norms = rows[rows["kind"] == "random feature"].groupby(["matched_to", "dose"])["edit_norm"].mean()
    change, excess = np.zeros((2, len(prompts), len(groups)))
    counted = np.zeros((len(prompts), len(groups)))
    table = []
    for column, (_, group) in enumerate(groups):
        at = [place[tuple(prompt)] for prompt in group[PROMPT].itertuples(index=False)]
        change[at, column] = group["change"]
        first = group.iloc[0]
        norm = float(norms.get((first["matched_to"], first["dose"]), np.nan))
        scale = 1.0 if first["kind"] == "random feature" or not norm > 0 else first["edit_norm"] / norm
        control = scale * group["control_change"]
        excess[at, column] = group["change"] - control
        counted[at, column] = 1
        table.append(
            {
                **{name: first[name] for name in [*TARGET, "association", "edit_norm"]},
                "n_prompts": len(group),
                "value": group["value"].mean(),
                "baseline": group["baseline"].mean(),
                "change": group["change"].mean(),
                "control_change": control.mean(),
                "control_norm": norm,
                "scale": scale,
                "excess": (group["change"] - control).mean(),
            }
        )
    found = pd.DataFrame(table)
    names = list(place)
    found["low"], found["high"] = intervals(change, counted, names, settings)
    found["excess_low"], found["excess_high"] = intervals(excess, counted, names, settings)
    of_controls = found[found["kind"] == "random feature"].groupby(["matched_to", "dose"])["change"]
    least, most = (of_controls.agg(f).rename(f"control_{f}") for f in ("min", "max"))
    for column in (least, most):
        found = found.join(column, on=["matched_to", "dose"])
    # of what is under test they are taken at the norm of its edit
    ends = found[["control_min", "control_max"]].mul(found["scale"], axis=0)
    found["control_min"], found["control_max"] = ends.min(axis=1), ends.max(axis=1)
    tested = (found["kind"] != "random feature").to_numpy()
    found["p"], found["p_holm"] = np.nan, np.nan
    p = p_values(excess[:, tested], counted[:, tested] > 0, names, settings)
    found.loc[tested, "p"] = p
    found.loc[tested, "p_holm"] = multipletests(p, method="holm")[1]
    return found


def _verdicts(table: pd.DataFrame, config: SteerConfig) -> pd.Series:
    """For each row of an outcome that grows with misalignment what it shows; empty for the others and for controls.

    ``cause``: the outcome moves as the association says, farther than every control moves it, with a significant
    excess, and coherence or the references' likelihood falls by no more than the settings allow. ``damage``: all but
    the last. ``reversed``: significant and beyond every control in the other direction. ``not shown``: anything else,
    a change whose own interval holds zero, and what has controls that changed nothing at all, as features that are
    never active when they are suppressed.
    """
    beside = table.set_index([*TARGET, "outcome"])["change"]
    verdicts = []
    for row in table.itertuples():
        if row.outcome not in MISALIGNMENT or row.kind == "random feature":
            verdicts.append("")
            continue
        expected, moved = row.association * np.sign(row.dose), np.sign(row.change)
        outside = row.change > row.control_max if moved > 0 else row.change < row.control_min
        cost = BESIDE[row.outcome]
        place = (row.arm, row.kind, row.feature, row.matched_to, row.dose, cost)
        loss = -float(beside.get(place, np.nan))
        moves = row.low > 0 or row.high < 0
        if (
            not moves
            or not row.control_norm > 0
            or not row.p_holm < config.alpha
            or not outside
            or np.sign(row.excess) != moved
        ):
            verdicts.append("not shown")
        elif moved != expected:
            verdicts.append("reversed")
        else:
            # without a measured cost nothing is called a cause, and nothing damage
            allowed = getattr(config, COST[cost])
            verdicts.append("not shown" if np.isnan(loss) else "cause" if loss <= allowed else "damage")
    return pd.Series(verdicts, index=table.index, dtype=object)
