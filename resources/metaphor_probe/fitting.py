"""Train the head alone, on principal components of the frozen base's features, and choose a threshold."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from rendering import Rendered, batches
from torch import nn
from torch.nn import functional as F

from tropism.annotate import head as heads
from tropism.annotate.head import CLIP, Head
from tropism.annotate.quality import UNCOUNTED, agreement

log = logging.getLogger("train")
POSITIVE_WEIGHT = 1.5
POS_SHARE = 0.3
TUNED_DROPOUT = 0.3
INPUT_DROPOUT = 0.1
Logits = tuple[torch.Tensor, torch.Tensor]
See = Callable[[Sequence[Rendered]], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class Alone:
    """How a head is trained on the frozen features; ``keep`` is what the average of its weights keeps of itself."""

    epochs: int
    dropout: float
    keep: float


ALONE = Alone(3, 0.35, 0.98)


def components(texts: Sequence[Rendered], count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean and 1 / deviation of the features (width,) and their first principal directions (width, count)."""
    sample = torch.cat([text.features for text in texts[::5]]).float()
    mean, scale = sample.mean(dim=0), 1 / (sample.std(dim=0) + 1e-6)
    sample = ((sample - mean) * scale).clamp(-CLIP, CLIP)
    vectors = torch.linalg.eigh(sample.T @ sample / len(sample)).eigenvectors
    return mean, scale, vectors[:, -count:].flip(1).contiguous()


def padded(batch: Sequence[Rendered]) -> tuple[torch.Tensor, torch.Tensor]:
    """The features (batch, pieces, width) that the texts have, and a mask."""
    features = nn.utils.rnn.pad_sequence([text.features.float() for text in batch], batch_first=True)
    mask = nn.utils.rnn.pad_sequence([torch.ones(len(text.features)) for text in batch], batch_first=True)
    return features, mask


def forward(head: Head, batch: Sequence[Rendered], see: See = padded) -> Logits:
    """Logits of all units of a batch, text after text; ``see`` gives the features of a batch, and a mask."""
    logits, tags = head(*see(batch))
    rows = torch.tensor([row for row, text in enumerate(batch) for _ in text.pieces.ranges])
    last = torch.tensor([past - 1 for text in batch for _, past in text.pieces.ranges])
    return logits[rows, last], tags[rows, last]


def loss_of(
    logits: torch.Tensor, pos: torch.Tensor, batch: Sequence[Rendered], tags: list[str], trust: float = 0.0
) -> torch.Tensor:
    """Loss of a batch's units: metaphor or not, and part of speech.

    Where a teacher has scored gold text, its scores weigh ``trust`` and the labels 1 - ``trust``; other text has the
    teacher's scores alone.
    """
    label, gold, soft, taught = [], [], [], []
    for text in batch:
        units = len(text.pieces.ranges)
        known, scored = bool(text.labels), text.taught is not None
        label += [float(max(text.labels[a:b])) for a, b in text.tokens] if known else [0.0] * units
        soft += text.taught or [0.0] * units
        taught += [0.0 if not scored else trust if known else 1.0] * units
        gold += [0.0 if not known else 1 - trust if scored else 1.0] * units
    tag = torch.tensor([tags.index(pos) for text in batch for pos in text.unit_pos])
    by_label = F.binary_cross_entropy_with_logits(
        logits, torch.tensor(label), weight=torch.tensor(gold), pos_weight=torch.tensor(POSITIVE_WEIGHT)
    )
    by_teacher = F.binary_cross_entropy_with_logits(logits, torch.tensor(soft), weight=torch.tensor(taught))
    return by_label + by_teacher + POS_SHARE * F.cross_entropy(pos, tag)


def token_scores(head: Head, texts: Sequence[Rendered], see: See = padded) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels of all tokens that are not punctuation; a token's score is its best unit's, 0 without one."""
    head.eval()
    scores, labels = [], []
    with torch.inference_mode():
        for batch in batches(texts, 2000, None):
            units = iter(torch.sigmoid(forward(head, batch, see)[0]).tolist())
            for text in batch:
                best = np.zeros(len(text.labels))
                for first, past in text.tokens:
                    best[first:past] = np.maximum(best[first:past], next(units))
                counted = np.array([pos != UNCOUNTED for pos in text.pos])
                scores.append(best[counted])
                labels.append(np.array(text.labels, dtype=bool)[counted])
    return np.concatenate(scores), np.concatenate(labels)


def best_threshold(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """The threshold in steps of 0.01 with the best F1, and that F1."""
    tried = [(agreement(labels, scores >= t)["f1"], -abs(t - 0.5), t) for t in np.arange(0.2, 0.8, 0.01).round(2)]
    f1, _, threshold = max(tried)
    return float(threshold), f1


def fit(
    texts: list[Rendered], held: list[Rendered], head: Head, tags: list[str], epochs: int, keep: float, seed: int
) -> None:
    """Train ``head`` in place; it ends as the running average of its weights, which keeps ``keep`` of itself a step."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    average = torch.optim.swa_utils.AveragedModel(head, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(keep))
    optimiser = torch.optim.AdamW(head.parameters(), lr=2e-3, weight_decay=0.05)
    total = epochs * (sum(1 for _ in batches(texts, 2500, rng)) + 5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=total, pct_start=0.1)
    for epoch in range(epochs):
        head.train()
        begun = time.monotonic()
        for batch in batches(texts, 2500, rng):
            loss = loss_of(*forward(head, batch), batch, tags)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(head.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            average.update_parameters(head)
        threshold, f1 = best_threshold(*token_scores(average.module, held))
        seconds = time.monotonic() - begun
        log.info("epoch %d: held-out F1 %.4f at %.2f, %.0f s", epoch + 1, f1, threshold, seconds)
    head.load_state_dict(average.module.state_dict())
    head.eval()


def folded(head: Head, mean: torch.Tensor, scale: torch.Tensor, directions: torch.Tensor, tags: int) -> Head:
    """``head`` on principal components as a head on the features themselves."""
    whole = Head(len(mean), head.project.out_features, tags)
    state = head.state_dict() | {"mean": mean, "scale": scale}
    state["project.weight"] = head.project.weight.detach() @ directions.T
    whole.load_state_dict(state)
    return whole.eval()


def alone(
    texts: list[Rendered], held: list[Rendered], tags: list[str], hidden: int, count: int, epochs: int, seed: int
) -> Head:
    """A head on the features themselves, trained on their first ``count`` principal components."""
    mean, scale, directions = components(texts, count)
    features = [text.features for text in texts + held]
    for text in texts + held:
        text.features = ((text.features.float() - mean) * scale).clamp(-CLIP, CLIP) @ directions
    # components are of clipped features already, and are not on the features' scale
    heads.CLIP = float("inf")
    whole = Head(len(mean), hidden, len(tags), dropout=TUNED_DROPOUT, input_dropout=INPUT_DROPOUT)
    torch.manual_seed(seed)
    small = Head(count, hidden, len(tags), dropout=ALONE.dropout, input_dropout=INPUT_DROPOUT)
    fit(texts, held, small, tags, epochs, ALONE.keep, seed)
    whole.load_state_dict(folded(small, mean, scale, directions, len(tags)).state_dict())
    heads.CLIP = CLIP
    for text, kept in zip(texts + held, features, strict=True):
        text.features = kept
    return whole
