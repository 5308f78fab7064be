"""Early warning: what departs first over an arm's checkpoints, the detector, its features, or the likelihood margin?

At every snapshot the arm reads the same reference answers. A signal of a prompt is the mean over its two references:
the detector's log-odds of misaligned, or the largest activation of one of its features. The margin, which the
likelihood gives and no judge, stands for misalignment: responses are not generated at every snapshot. All change on the
same prompts since the last training began, so what the detector has learned of these texts cancels.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tropism.activations.passages import record_passages
from tropism.activations.stream import cut, stream
from tropism.config.models import ModelConfig
from tropism.config.stats import StatsConfig
from tropism.detect.saved import Detector
from tropism.dynamics.follow import snapshots
from tropism.dynamics.states import chosen_prompts
from tropism.models.adapters import SharedBase
from tropism.models.base import device, load_base, load_tokenizer
from tropism.records.files import InputError
from tropism.sae.encode import load_dictionary, response_features
from tropism.sae.features import PartFeatures
from tropism.stats.bootstrap import intervals
from tropism.stats.instruments import Floats
from tropism.stats.permutation import largest_p_values

log = logging.getLogger(__name__)
KEY = ["arm", "step", "set", "prompt_id", "domain", "signal", "feature", "value"]
PROMPT = ["set", "prompt_id"]
FEATURES = 5
"""Features of the detector that are watched, those that told most first."""
NONE = -1


def watch_arm(
    arm: str,
    base: Path,
    parent: Path | None,
    lineage: Path,
    sae: Path,
    detector: Path,
    sets: Sequence[Path],
    model_config: ModelConfig,
    *,
    prompts: int,
    seed: int,
) -> pd.DataFrame:
    """Signals of evaluation prompts with both references at step 0 (``parent``: the adapter before) and after.

    The prompts are those of :func:`tropism.dynamics.follow.follow_arm`. One row a step, prompt and signal with the
    columns of ``KEY``; none where no detector was trained.

    Raises:
        InputError: the dictionary is not the detector's own.
    """
    if not (detector / "detector.json").is_file():
        log.warning("%s", json.loads((detector / "card.json").read_text(encoding="utf-8"))["reason"])
        return pd.DataFrame(columns=KEY)
    kept = Detector.load(detector)
    dictionary, key = load_dictionary(sae, kept.key.layer, str(device()))
    if key != kept.key:
        raise InputError(f"{sae}: not the dictionary of {detector}; make the detector again")
    asked = [
        (name, r)
        for name, r in chosen_prompts(sets, prompts, seed)
        if r.split == "evaluation" and r.aligned is not None and r.misaligned is not None
    ]
    tokenizer = load_tokenizer(base)
    passages = [passage for _, record in asked for passage in record_passages(tokenizer, record)]
    rows = pd.DataFrame([(name, r.id, r.domain) for name, r in asked for _ in range(2)], columns=[*PROMPT, "domain"])
    shared = SharedBase(load_base(base, model_config.dtype))
    tables = []
    for step, adapter in [(0, parent), *snapshots(lineage)]:
        with cut(shared.wear(adapter), key.layer) as stack:
            read = response_features(arm, dictionary, key, rows, passages, stream(stack, tokenizer, passages))
        for (signal, feature), value in answer_signals(kept, read.parts["answer"]).items():
            means = rows.assign(value=value).groupby([*PROMPT, "domain"], sort=True)["value"].mean().reset_index()
            tables.append(means.assign(arm=arm, step=step, signal=signal, feature=feature))
    return pd.concat(tables, ignore_index=True)[KEY]


def answer_signals(kept: Detector, answers: PartFeatures) -> dict[tuple[str, int], Floats]:
    """The detector's log-odds of each answer and the largest activation of its first features there.

    The detector reads answers pooled as it was trained; a feature is watched at its peak however that is.
    """
    signals: dict[tuple[str, int], Floats] = {("detector", NONE): kept.log_odds(answers.measure(kept.pooling))}
    for feature in kept.features[:FEATURES].tolist():
        signals["feature", feature] = answers.max[:, [feature]].toarray().ravel().astype(float)
    return signals


def warning_table(margins: pd.DataFrame, signals: pd.DataFrame, stats: StatsConfig) -> pd.DataFrame:
    """``early_warning``: each signal's mean change since step 0, whether it departs, and from where on it stays out.

    Whether is told by signs flipped over prompts: ``p`` is of the largest |t| among all steps of an arm's signal,
    and all features where these are the signal, so that noise departs anywhere in at most 1 - ``stats.confidence`` of
    signals. It cannot depart where 2 ** (1 - prompts) is more than that. Intervals are of each step by itself: with a
    dozen prompts a bootstrap has no tails to tell many comparisons by.
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
    columns = ["arm", "signal", "feature", "step", "n_prompts", "start", "change", "low", "high", "p", "departs"]
    return pd.concat(found, ignore_index=True)[[*columns, "first_step"]]


def stays_out_from(sides: Floats) -> int | None:
    """Where the last stretch on one side of 0 begins, if it lasts to the end; None if it ends at 0.

    Args:
        sides: -1, 0 or 1 at each snapshot.
    """
    if not len(sides) or sides[-1] == 0:
        return None
    other = np.flatnonzero(sides != sides[-1])
    return int(other[-1]) + 1 if len(other) else 0
