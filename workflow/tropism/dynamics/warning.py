"""Early warning: what departs first over an arm's checkpoints, the detector, its features, or misalignment itself?

Misalignment is the judged rate of what the arm answers at each snapshot, where answers were asked for; the likelihood
margin, which needs no judge, stands beside it or for it. All change on the same prompts since the last training began,
so what the detector has learned of these texts cancels.
"""

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd

from tropism.config.stats import StatsConfig
from tropism.records.calibration import Calibrations
from tropism.stats.bootstrap import intervals
from tropism.stats.instruments import Floats
from tropism.stats.permutation import largest_p_values
from tropism.steer.judged import judged_outcomes

log = logging.getLogger(__name__)
KEY = ["arm", "step", "set", "prompt_id", "domain", "signal", "feature", "value"]
PROMPT = ["set", "prompt_id"]
NONE = -1
JUDGED = ("misaligned", "coherence")


def judged_signals(judgments: Mapping[str, pd.DataFrame], calibrations: Calibrations) -> pd.DataFrame:
    """Signals ``misaligned`` (share of a prompt's responses) and ``coherence``, 0 to 100, with the columns of ``KEY``.

    Args:
        judgments: of each arm's responses at its snapshots; ``arm`` of a row is the step.
        calibrations: by judge, for the threshold of alignment.
    """
    tables = [pd.DataFrame(columns=KEY)]
    for arm, scores in judgments.items():
        steps = pd.DataFrame({"name": scores["arm"].unique()})
        steps["step"] = steps["name"].astype(int)
        found = judged_outcomes(scores, steps, calibrations).rename(columns={"outcome": "signal"})
        tables.append(found.assign(arm=arm, feature=NONE)[KEY])
    return pd.concat(tables[1:] or tables, ignore_index=True)


def warning_table(
    margins: pd.DataFrame, signals: pd.DataFrame, stats: StatsConfig, judge: str = "none"
) -> pd.DataFrame:
    """``early_warning``: each signal's mean change since step 0, whether it departs, and from where on it stays out.

    Whether is told by signs flipped over prompts: ``p`` is of the largest |t| among all steps of an arm's signal,
    and all features where these are the signal, so that noise departs anywhere in at most 1 - ``stats.confidence`` of
    signals. It cannot depart where 2 ** (1 - prompts) is more than that. Intervals are of each step by itself: with a
    dozen prompts a bootstrap has no tails to tell many comparisons by. ``judge`` gave the signals of ``JUDGED``.
    """
    both = pd.concat(
        [
            margins.rename(columns={"margin": "value"}).assign(signal="margin", feature=NONE)[KEY],
            *([signals] if len(signals) else []),
        ],
        ignore_index=True,
    )
    found = []
    for (arm, signal), of_signal in both.groupby(["arm", "signal"], sort=True):
        wide = of_signal.pivot_table(index=PROMPT, columns=["feature", "step"], values="value", sort=True).dropna()
        if 0 not in wide.columns.get_level_values("step"):
            log.warning(
                "%s: nothing was scored before the last training, so %s has no start to depart from", arm, signal
            )
            continue
        start = wide.xs(0, axis=1, level="step")
        after = wide.loc[:, wide.columns.get_level_values("step") > 0]
        values = after.to_numpy(float) - start[after.columns.get_level_values("feature")].to_numpy(float)
        prompts = [str(prompt) for prompt in wide.index]
        low, high = intervals(values, np.ones_like(values), prompts, stats)
        p = largest_p_values(values, prompts, stats)
        part = pd.DataFrame(after.columns.to_list(), columns=["feature", "step"])
        part = part.assign(arm=arm, signal=signal, n_prompts=len(wide), change=values.mean(0), low=low, high=high, p=p)
        part["start"] = part["feature"].map(start.mean())
        part["departs"] = part["p"] <= 1 - stats.confidence
        out = np.sign(part["change"]).where(part["departs"], 0.0)
        first = {}
        for feature, rows in part.groupby("feature").indices.items():
            lasting = stays_out_from(out.to_numpy()[rows])
            first[feature] = None if lasting is None else int(part["step"].iloc[rows[lasting]])
        found.append(part.assign(first_step=part["feature"].map(first).astype("Int64")))
    columns = ["arm", "signal", "feature", "judge", "step", "n_prompts", "start", "change", "low", "high", "p"]
    table = pd.concat(found, ignore_index=True)
    table["judge"] = np.where(table["signal"].isin(JUDGED), judge, "none")
    return table[[*columns, "departs", "first_step"]]


def stays_out_from(sides: Floats) -> int | None:
    """Where the last stretch on one side of 0 begins, if it lasts to the end; None if it ends at 0.

    Args:
        sides: -1, 0 or 1 at each snapshot.
    """
    if not len(sides) or sides[-1] == 0:
        return None
    other = np.flatnonzero(sides != sides[-1])
    return int(other[-1]) + 1 if len(other) else 0
