"""How well a dictionary stands for the activations it reads: in their variance, and in what the model makes of them.

Variance explained weighs every direction alike, the model does not. So the states are also put through the dictionary
while the model predicts text, and what that costs is held against what losing the states costs: the share of
cross-entropy recovered (CE_ablated - CE_sae) / (CE_ablated - CE_clean), zero ablation, as in Bricken et al. 2023,
*Towards Monosemanticity*, and in sae-lens' evaluations ("ce_loss_score").
"""

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tropism.activations.passages import Passage, record_passages, tokenise
from tropism.activations.stream import attention_sinks
from tropism.config.models import ReasoningConfig
from tropism.config.stats import StatsConfig
from tropism.records.files import InputError
from tropism.records.schema import Conversation, Text
from tropism.stats.bootstrap import intervals
from tropism.steer.hooks import editing
from tropism.steer.recall import Recall

if TYPE_CHECKING:
    from sae_lens import SAE

log = logging.getLogger(__name__)
WAYS = ("clean", "sae", "ablated")


@torch.no_grad()
def quality(sae: "SAE[Any]", chunks: Iterator[torch.Tensor]) -> dict[str, float]:
    """How well ``sae`` stands for the activations in ``chunks``, each (tokens, d_in), summed as they come.

    ``variance_explained`` is 1 - sum |x - x'|^2 / sum |x - mean x|^2; ``l0`` the mean number of active features a
    token; ``dead_share`` the share of features that no token here makes active.
    """
    d_in = sae.cfg.d_in
    total, squares, error, active = torch.zeros(d_in, dtype=torch.float64), 0.0, 0.0, 0
    fired = torch.zeros(sae.cfg.d_sae, dtype=torch.bool)
    tokens = 0
    for chunk in chunks:
        features = sae.encode(chunk.to(sae.device))
        error += float((sae.decode(features) - chunk).double().square().sum())
        wide = chunk.double().cpu()
        total += wide.sum(dim=0)
        squares += float(wide.square().sum())
        on = features > 0
        active += int(on.sum())
        fired |= on.any(dim=0).cpu()
        tokens += len(chunk)
    if tokens == 0:
        raise InputError("the held-out texts give no activations to measure the dictionary on")
    variance = squares - float(total.square().sum()) / tokens
    return {
        "variance_explained": 1 - error / variance,
        "l0": active / tokens,
        "dead_share": 1 - float(fired.double().mean()),
        "held_out_tokens": tokens,
    }


@torch.no_grad()
def spliced_losses(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sae: "SAE[Any]",
    layer: int,
    passage: Passage,
    max_tokens: int,
) -> np.ndarray:
    """Summed next-token cross-entropy (nats) of ``WAYS`` and the number of tokens predicted: (4,).

    States after block ``layer`` are left alone, replaced by their reconstruction, or set to zero, wherever the
    dictionary is used: at measured tokens that are no attention sinks. The loss is that of the measured tokens which
    these states predict.
    """
    tokens = tokenise(tokenizer, passage, max_tokens)
    measured = torch.tensor([part is not None for part in tokens.parts])
    if len(measured) < 2:
        return np.zeros(len(WAYS) + 1)
    ids = torch.tensor([tokens.ids], device=model.device)
    seen: dict[str, torch.Tensor] = {}

    def read(states: torch.Tensor) -> torch.Tensor:
        seen["states"] = states
        return torch.zeros_like(states)

    earlier = Recall(model, layer)
    with earlier, editing(model, layer, read):
        logits = model(input_ids=ids, use_cache=False).logits
    kept = measured & ~attention_sinks(seen["states"]).cpu()
    predicting = torch.zeros_like(kept)
    predicting[:-1] = kept[:-1] & measured[1:]
    places = torch.nonzero(predicting).squeeze(1).to(ids.device)

    def loss(logits: torch.Tensor) -> float:
        return float(
            torch.nn.functional.cross_entropy(logits[0, places].float(), ids[0, places + 1], reduction="sum").double()
        )

    sums = [loss(logits)]
    for edit in (lambda x: (sae.decode(sae.encode(x.to(sae.device)))).to(x) - x, torch.neg):
        with earlier, editing(model, layer, edit, "response") as steering:
            steering.mask = kept[None]
            sums.append(loss(model(input_ids=ids, use_cache=False).logits))
    return np.array([*sums, len(places)])


def recovered(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sae: "SAE[Any]",
    layer: int,
    records: Sequence[Text | Conversation],
    max_tokens: int,
    config: StatsConfig,
    block: ReasoningConfig | None = None,
) -> dict[str, float]:
    """Cross-entropies of ``WAYS`` (nats/token) over ``records`` and the share recovered with its interval.

    ``block`` is how the base reasons, if it does.

    The interval is by bootstrap over records. The share is NaN where ablation costs nothing.
    """
    sums = np.stack(
        [
            sum(
                (
                    spliced_losses(model, tokenizer, sae, layer, passage, max_tokens)
                    for passage in record_passages(tokenizer, record, block)
                ),
                np.zeros(len(WAYS) + 1),
            )
            for record in records
        ]
    )
    clean, spliced, ablated, tokens = sums.T
    if tokens.sum() == 0:
        raise InputError("the held-out texts are too short to predict a token of them")
    means = {f"ce_{way}": float(s.sum() / tokens.sum()) for way, s in zip(WAYS, sums.T, strict=False)}
    gain, cost = (ablated - spliced)[:, None], (ablated - clean)[:, None]
    share = low = high = float("nan")
    if cost.sum() > 0:
        share = float(gain.sum() / cost.sum())
        ends = intervals(gain, cost, [record.id for record in records], config)
        low, high = float(ends[0][0]), float(ends[1][0])
    else:
        log.warning("setting states to zero after block %d costs nothing, so no share of it is recovered", layer)
    counts = {"ce_records": len(records), "ce_tokens": int(tokens.sum())}
    return {**means, "ce_recovered": share, "ce_recovered_low": low, "ce_recovered_high": high, **counts}
