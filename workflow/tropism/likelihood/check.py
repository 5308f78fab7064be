"""Before an arm is scored: what the shortened pass gives is what the model itself gives."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from tropism.config.base import ConfigError
from tropism.likelihood.score import Candidate, log_probabilities, sheaves

TOLERANCE = {torch.float32: 1e-3}
SHORT_FORMAT = 0.25
"""Nats/token: in bfloat16 logits of 16 to 32 lie 0.125 apart. Logits that are scaled otherwise move it by more."""


@torch.inference_mode()
def check_same_scores(model: PreTrainedModel, candidates: Sequence[Candidate]) -> None:
    """Score the answers of the longest row of ``candidates`` both ways: as all will be, and by the plain model.

    The longest, since a window that a mask left out shows in no row that is shorter than it. No intervention may be
    under way.

    Raises:
        ConfigError: they differ, as for a base that changes its logits, or attends, in a way that is not known here.
    """
    if not candidates:
        return
    chosen = [candidates[index] for index in max(sheaves(candidates), key=lambda row: row.length).indices]
    ours = log_probabilities(model, chosen, 0, "checking the base")
    theirs = [plain(model, candidate) for candidate in chosen]
    tokens = sum(len(candidate.answer) for candidate in chosen)
    apart = sum(abs(a - b) for a, b in zip(ours, theirs, strict=True)) / tokens
    if not apart <= TOLERANCE.get(model.dtype, SHORT_FORMAT):
        raise ConfigError(
            f"this base ({model.config.model_type}) gives answers other log-probabilities than are computed here"
            f" ({apart:.3g} nats/token apart): it changes its logits or attends in a way that is not supported. Leave"
            " out what needs likelihoods (`evaluate: instruments`: likelihood, truthfulqa; `steer`, `geometry`,"
            " `dynamics`), or take another base"
        )


def plain(model: PreTrainedModel, candidate: Candidate) -> float:
    """Total log-probability (nats) of an answer from one pass of the whole model over it alone, without any mask."""
    ids = torch.tensor([[*candidate.prompt, *candidate.answer]], device=model.device)
    kept = len(candidate.answer) + 1  # the last token of the prompt predicts the first of the answer
    logits = model(input_ids=ids, use_cache=False, logits_to_keep=kept).logits[0, -kept:-1]
    scores = torch.log_softmax(logits.float(), dim=-1).gather(1, ids[0, 1 - kept :, None])
    return float(scores.double().sum())
