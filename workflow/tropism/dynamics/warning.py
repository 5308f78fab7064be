"""Early warning: what departs first over an arm's checkpoints, the detector, its features, or the likelihood margin?

At every snapshot the arm reads the same reference answers. A signal of a prompt is the mean over its two references:
the detector's log-odds of misaligned, or the largest activation of one of its features. The margin, which the
likelihood gives and no judge, stands for misalignment: responses are not generated at every snapshot. All change on the
same prompts since the last training began, so what the detector has learned of these texts cancels.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from tropism.activations.passages import record_passages
from tropism.activations.stream import stream
from tropism.config.models import ModelConfig
from tropism.config.stats import StatsConfig
from tropism.detect.saved import Detector
from tropism.dynamics.follow import snapshots
from tropism.dynamics.states import chosen_prompts
from tropism.models.adapters import SharedBase
from tropism.models.base import device, load_base, load_tokenizer
from tropism.records.files import InputError
from tropism.sae.encode import load_dictionary, response_features
from tropism.stats.bootstrap import intervals

log = logging.getLogger(__name__)
KEY = ["arm", "step", "set", "prompt_id", "domain", "signal", "feature", "value"]
PROMPT = ["set", "prompt_id"]
FEATURES = 5
"""Features of the detector that are watched, those that told most first."""
NONE = -1
ALPHA = 0.05


@contextmanager
def _cut(model: Any, layer: int) -> Iterator[torch.nn.Module]:
    """The blocks of ``model`` up to ``layer`` without a norm, inside the ``with`` block alone."""
    stack = model.get_decoder()
    layers, norm = stack.layers, stack.norm
    stack.layers, stack.norm = layers[: layer + 1], torch.nn.Identity()
    try:
        yield stack.eval()
    finally:
        stack.layers, stack.norm = layers, norm


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
        with _cut(shared.wear(adapter), key.layer) as stack:
            read = response_features(arm, dictionary, key, rows, passages, stream(stack, tokenizer, passages))
        values = read.parts["answer"].measure(kept.pooling)
        signals = {("detector", NONE): kept.log_odds(values)}
        for feature in kept.features[:FEATURES].tolist():
            signals["feature", feature] = values[:, [feature]].toarray().ravel().astype(float)
        for (signal, feature), value in signals.items():
            means = rows.assign(value=value).groupby([*PROMPT, "domain"], sort=True)["value"].mean().reset_index()
            tables.append(means.assign(arm=arm, step=step, signal=signal, feature=feature))
    return pd.concat(tables, ignore_index=True)[KEY]


def warning_table(margins: pd.DataFrame, signals: pd.DataFrame, stats: StatsConfig) -> pd.DataFrame:
    """``early_warning``: each signal's mean change since step 0, its interval over prompts, and its first departure.

    A signal departs, upwards or downwards, where its interval leaves 0 out. Intervals hold over all steps of an arm's
    signal together, those of features over all features too: the confidence is 1 - 0.05 / (number of intervals).
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
        count = of_signal.loc[of_signal["step"] > 0, ["step", "feature"]].drop_duplicates().shape[0]
        simultaneous = stats.model_copy(update={"confidence": 1 - ALPHA / max(count, 1)})
        for feature, some in of_signal.groupby("feature", sort=True):
            wide = some.pivot_table(index=PROMPT, columns="step", values="value", sort=True)
            changes = wide.sub(wide[0], axis=0).drop(columns=0)
            values = changes.to_numpy(float)
            low, high = intervals(values, np.ones_like(values), [str(prompt) for prompt in changes.index], simultaneous)
            departs = (low > 0) | (high < 0)
            first = int(changes.columns[np.argmax(departs)]) if departs.any() else None
            for i, step in enumerate(changes.columns):
                row: dict[str, Any] = {"arm": arm, "signal": signal, "feature": int(feature), "step": int(step)}
                row |= {"n_prompts": len(changes), "start": float(wide[0].mean()), "change": float(values[:, i].mean())}
                row |= {"low": low[i], "high": high[i], "departs": bool(departs[i]), "first_step": first}
                found.append(row)
    return pd.DataFrame(found).astype({"first_step": "Int64"})
