"""Read an arm at every snapshot of its last training: by the kept detector and its features, and by what it answers.

At every snapshot the arm reads the same reference answers. A signal of a prompt is the mean over its two references:
the detector's log-odds of misaligned, or the largest activation of one of its features. Where samples are asked for, it
also answers these prompts, with the same random numbers at every snapshot, for a judge.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tropism.activations.passages import record_passages
from tropism.activations.stream import cut, stream
from tropism.config.models import ModelConfig
from tropism.config.sampled import SampledConfig
from tropism.detect.saved import Detector
from tropism.dynamics.follow import BATCH_TOKENS, snapshots
from tropism.dynamics.states import chosen_prompts
from tropism.dynamics.warning import KEY, NONE, PROMPT
from tropism.models.adapters import SharedBase
from tropism.models.base import device, load_base, load_tokenizer
from tropism.records.files import InputError
from tropism.records.schema import Generation
from tropism.sae.encode import load_dictionary, response_features
from tropism.sae.features import PartFeatures
from tropism.stats.instruments import Floats
from tropism.steer.respond import respond

log = logging.getLogger(__name__)
FEATURES = 5
"""Features of the detector that are watched, those that told most first."""


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
    sampling: SampledConfig,
    max_tokens: int,
) -> tuple[pd.DataFrame, list[Generation]]:
    """Signals of evaluation prompts with both references at step 0 (``parent``: the adapter before) and after.

    The prompts are those of :func:`tropism.dynamics.follow.follow_arm`. One row a step, prompt and signal with the
    columns of ``KEY``; none where no detector was trained. And the responses to them at each step that ``sampling``
    asks for, whose ``arm`` is the step. What is read is cut at ``max_tokens``, as it was for the detector.

    Raises:
        InputError: the dictionary, or the system prompt, is not the detector's own.
    """
    kept = None
    if (detector / "detector.json").is_file():
        kept = Detector.load(detector)
        dictionary, key = load_dictionary(sae, kept.key.layer, str(device()))
        if key != kept.key:
            raise InputError(f"{sae}: not the dictionary of {detector}; make the detector again")
        if kept.system_prompt != model_config.system_prompt:
            raise InputError(
                f"{detector}: learned under another `system_prompt` than {base}'s; make the detector again"
            )
    else:
        log.warning("%s", json.loads((detector / "card.json").read_text(encoding="utf-8"))["reason"])
    if kept is None and not sampling.samples:
        return pd.DataFrame(columns=KEY), []
    asked = [
        (name, r)
        for name, r in chosen_prompts(sets, prompts, seed)
        if r.split == "evaluation" and r.aligned is not None and r.misaligned is not None
    ]
    tokenizer = load_tokenizer(base, model_config.system_prompt)
    block = model_config.reasoning_block()
    passages = [passage for _, record in asked for passage in record_passages(tokenizer, record, block)]
    rows = pd.DataFrame([(name, r.id, r.domain) for name, r in asked for _ in range(2)], columns=[*PROMPT, "domain"])
    shared = SharedBase(load_base(base, model_config.dtype))
    tables: list[pd.DataFrame] = []
    answers: list[Generation] = []
    for step, adapter in [(0, parent), *snapshots(lineage)]:
        model = shared.wear(adapter)
        if sampling.samples:
            how = {"batch_tokens": BATCH_TOKENS, "seed": seed}
            answers += respond(str(step), model, tokenizer, asked, sampling, model_config, **how)
        if kept is None:
            continue
        with cut(model, key.layer) as stack:
            states = stream(stack, tokenizer, passages, max_tokens=max_tokens)
            read = response_features(arm, dictionary, key, rows, passages, states)
        for (signal, feature), value in answer_signals(kept, read.parts["answer"]).items():
            means = rows.assign(value=value).groupby([*PROMPT, "domain"], sort=True)["value"].mean().reset_index()
            tables.append(means.assign(arm=arm, step=step, signal=signal, feature=feature))
    empty = pd.DataFrame(columns=KEY)
    return pd.concat(tables or [empty], ignore_index=True)[KEY], answers


def answer_signals(kept: Detector, answers: PartFeatures) -> dict[tuple[str, int], Floats]:
    """The detector's log-odds of each answer and the largest activation of its first features there.

    The detector reads answers pooled as it was trained; a feature is watched at its peak however that is.
    """
    signals: dict[tuple[str, int], Floats] = {("detector", NONE): kept.log_odds(answers.measure(kept.pooling))}
    for feature in kept.features[:FEATURES].tolist():
        signals["feature", feature] = answers.max[:, [feature]].toarray().ravel().astype(float)
    return signals
