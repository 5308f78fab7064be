"""Train the head together with LoRA factors of the uppermost blocks, which look both ways from then on."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
FEED_FORWARD = ("gate_proj", "up_proj", "down_proj")
SCALE = 2
BATCH_PIECES = 640
REPORT = 120


@dataclass(frozen=True)
class Stage:
    """Learning rates, of which ``fade`` is gone at the end; ``keep`` is what the weights' average keeps of itself.

    ``rank`` is that of the factors in attention, half of it that in the feed-forward layers, with ``dropout``.
    """

    steps: int
    blocks: float
    head: float
    fade: float
    rank: int
    dropout: float = 0.0
    warm_up: int = 20
    keep: float = 0.985


class Upper(nn.Module):
    """The blocks of a reader that look both ways, from the states below them, which are read once and kept.

    The matrices of the base are held in bfloat16 where ``half`` is set; the factors are in float32 always.
    """

    def __init__(self, reader: Reader, unmasked: int, stage: Stage, half: bool = True) -> None:
        """Put untrained LoRA factors into the uppermost ``unmasked`` blocks of ``reader``."""
        super().__init__()
        self.reader, self.stack, self.half = reader, reader.stack, half
        self.below = len(self.stack.layers) - unmasked
        start = torch.tensor([[int(reader.start)]])
        with torch.no_grad():
            output = self.stack(input_ids=start, use_cache=False, output_hidden_states=True)
        self.start = output.hidden_states[self.below][0]
        self.stack.requires_grad_(False)
        ranks = dict.fromkeys(ATTENTION, stage.rank) | dict.fromkeys(FEED_FORWARD, stage.rank // 2)
        config = LoraConfig(
            r=stage.rank,
            lora_alpha=SCALE * stage.rank,
            lora_dropout=stage.dropout,
            rank_pattern=ranks,
            alpha_pattern={name: SCALE * rank for name, rank in ranks.items()},
            target_modules=[
                f"layers.{block}.{name}"
                for block in range(self.below, len(self.stack.layers))
                for name, _ in self.stack.layers[block].named_modules()
                if name.rpartition(".")[2] in ranks
            ],
        )
        inject_adapter_in_model(config, self.stack)
        for name, weight in self.stack.named_parameters():
            if half and "base_layer" in name:
                weight.data = weight.data.bfloat16()

    def forward(self, batch: Sequence[Rendered]) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (batch, pieces, width) and their mask, as the finished probe will read them."""

        def padded(values: list[torch.Tensor]) -> torch.Tensor:
            return nn.utils.rnn.pad_sequence(values, batch_first=True)

        width = self.start.shape[-1]
        mask = padded([torch.ones(len(text.features)) for text in batch])
        if self.below:
            under = padded([text.features[:, :width].float() for text in batch])
        else:
            under = padded([self.reader.embeddings[torch.tensor(text.pieces.ids)] for text in batch])
        state = torch.cat([self.start.expand(len(batch), 1, -1), under], dim=1)
        seen = nn.functional.pad(mask, (1, 0), value=1.0).bool()
        self.reader.seen = seen[:, None, None].expand(-1, -1, seen.shape[1], -1)
        places: Any = self.stack.rotary_emb(state, torch.arange(seen.shape[1])[None])
        states = {self.below: under}
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            for layer in range(self.below, len(self.stack.layers)):
                state = self.stack.layers[layer](state, attention_mask=None, position_embeddings=places)
                states[layer + 1] = state[:, 1:].float()
        alone = padded([text.features[:, -width:].float() for text in batch])
        return torch.cat([*(states[layer] for layer in self.reader.layers), alone], dim=-1), mask

    @torch.no_grad()
    def begin(self, factors: Mapping[str, Factors]) -> None:
        """Take ``factors`` in place of untrained ones."""
        weights = dict(self.stack.named_parameters())
        for module, (a, b) in factors.items():
            weights[f"{module}.lora_A.default.weight"].copy_(a)
            weights[f"{module}.lora_B.default.weight"].copy_(b / SCALE)

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
    pools: Sequence[tuple[list[Rendered], float]],
    held: list[Rendered],
    head: Head,
    upper: Upper,
    tags: list[str],
    stage: Stage,
    trust: float,
    seed: int,
) -> None:
    """Train ``head`` and ``upper`` in place; both end as the running average of their weights.

    An epoch takes each text of a pool with the probability beside it. For ``trust`` see ``loss_of``.
    """
    torch.manual_seed(seed)
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
        texts = [text for pool, share in pools for text in pool if rng.random() < share]
        for batch in batches(texts, BATCH_PIECES, rng):
            upper.train()
            head.train()
            loss = loss_of(*forward(head, batch, upper), batch, tags, trust)
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
                upper.eval()
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
