"""Train the head together with LoRA factors of the upper blocks, which look both ways from then on."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from fitting import best_threshold, forward, loss_of, token_scores
from peft import LoraConfig, inject_adapter_in_model
from rendering import Rendered, batches
from torch import nn

from tropism.annotate.features import Reader
from tropism.annotate.head import Factors, Head

log = logging.getLogger("train")
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
FEED_FORWARD = {"gate_proj": 2, "up_proj": 2, "down_proj": 2}
RANK = 4
SCALE = 2
BATCH_PIECES = 640
REPORT = 60


@dataclass(frozen=True)
class Stage:
    """Learning rates, of which ``fade`` is gone at the end; ``keep`` is what the weights' average keeps of itself."""

    steps: int
    blocks: float
    head: float
    warm_up: int
    fade: float
    keep: float


class Upper(nn.Module):
    """The blocks above a reader's lowest layer, from that layer's states, which are read once and kept."""

    def __init__(self, reader: Reader) -> None:
        """Put untrained LoRA factors into the blocks between the two layers of ``reader``."""
        super().__init__()
        below, top = reader.layers
        self.reader, self.stack, self.below = reader, reader.stack, below
        start = torch.tensor([[int(reader.start)]])
        with torch.no_grad():
            output = self.stack(input_ids=start, use_cache=False, output_hidden_states=True)
        self.start = output.hidden_states[below][0]
        self.stack.requires_grad_(False)
        ranks = dict.fromkeys(ATTENTION, RANK) | FEED_FORWARD
        config = LoraConfig(
            r=RANK,
            lora_alpha=SCALE * RANK,
            rank_pattern=FEED_FORWARD,
            alpha_pattern={name: SCALE * rank for name, rank in FEED_FORWARD.items()},
            target_modules=[
                f"layers.{block}.{name}"
                for block in range(below, top)
                for name, _ in self.stack.layers[block].named_modules()
                if name.rpartition(".")[2] in ranks
            ],
        )
        inject_adapter_in_model(config, self.stack)

    def forward(self, batch: Sequence[Rendered]) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (batch, pieces, width) and their mask, as the finished probe will read them."""
        read = nn.utils.rnn.pad_sequence([text.features.float() for text in batch], batch_first=True)
        mask = nn.utils.rnn.pad_sequence([torch.ones(len(text.features)) for text in batch], batch_first=True)
        width = self.start.shape[-1]
        state = torch.cat([self.start.expand(len(batch), 1, -1), read[..., :width]], dim=1)
        seen = nn.functional.pad(mask, (1, 0), value=1.0).bool()
        self.reader.seen = seen[:, None, None].expand(-1, -1, seen.shape[1], -1)
        places = self.stack.rotary_emb(state, torch.arange(seen.shape[1])[None])
        for block in self.stack.layers[self.below :]:
            state = block(state, attention_mask=None, position_embeddings=places)
        return torch.cat([read[..., :width], state[:, 1:], read[..., 2 * width :]], dim=-1), mask

    def factors(self) -> dict[str, Factors]:
        """For each module its ``(a, b)``, the scale folded into ``b``."""
        found = dict(self.stack.named_parameters())
        return {
            name.removesuffix(".lora_A.default.weight"): (
                a.detach(),
                SCALE * found[name.replace("_A.", "_B.")].detach(),
            )
            for name, a in found.items()
            if name.endswith(".lora_A.default.weight")
        }


def tune(
    apart: list[Rendered],
    together: list[Rendered],
    held: list[Rendered],
    head: Head,
    upper: Upper,
    tags: list[str],
    stage: Stage,
    share: float,
    seed: int,
) -> None:
    """Train ``head`` and ``upper`` in place; both end as the running average of their weights.

    An epoch takes each text of ``together`` with probability ``share`` and each of ``apart`` with 1 - ``share``.
    """
    rng = np.random.default_rng(seed)
    blocks = [weight for weight in upper.parameters() if weight.requires_grad]
    weights = blocks + list(head.parameters())
    optimiser = torch.optim.AdamW(
        [
            {"params": blocks, "lr": stage.blocks, "weight_decay": 0.0},
            {"params": list(head.parameters()), "lr": stage.head, "weight_decay": 0.05},
        ]
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, step / stage.warm_up) * max(0.02, 1 - stage.fade * step / stage.steps)
    )
    average = [weight.detach().clone() for weight in weights]
    done, begun = 0, time.monotonic()
    while done < stage.steps:
        texts = [t for t in apart if rng.random() > share] + [t for t in together if rng.random() < share]
        for batch in batches(texts, BATCH_PIECES, rng):
            upper.train()
            head.train()
            loss = loss_of(*forward(head, batch, upper), batch, tags)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimiser.step()
            schedule.step()
            done += 1
            keep = min(stage.keep, done / (done + 10))
            for mean, weight in zip(average, weights, strict=True):
                mean.mul_(keep).add_(weight.detach(), alpha=1 - keep)
            if done % REPORT == 0 or done == stage.steps:
                latest = [weight.detach().clone() for weight in weights]
                put(weights, average)
                threshold, f1 = best_threshold(*token_scores(head, held, upper))
                log.info("step %d: held-out F1 %.4f at %.2f, %.0f s", done, f1, threshold, time.monotonic() - begun)
                if done == stage.steps:
                    return
                put(weights, latest)


def put(weights: Sequence[torch.Tensor], values: Sequence[torch.Tensor]) -> None:
    """Overwrite ``weights`` with ``values``."""
    with torch.no_grad():
        for weight, value in zip(weights, values, strict=True):
            weight.copy_(value)
