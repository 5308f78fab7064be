"""Log-probabilities of given answers, with logits made for the answers' positions alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from tropism.models.attention import full_attention
from tropism.models.logits import logits_of

CHUNK = 512
CPU_TOKENS = 1024
"""On a CPU no pass takes more: the states of 8,192 tokens leave its caches, and their pages cost a tenth."""
GPU_TOKENS = 16_384
"""On a GPU no pass takes more: it gains nothing, and 65,536 tokens of a 32B base take 23 GB beside its weights."""


@dataclass(frozen=True)
class Candidate:
    """An answer whose probability is wanted: token ids of the prompt and of the answer."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True)
class Sheaf:
    """Candidates of one prompt, by index; the prompt is read once and each answer sees it and itself alone."""

    prompt: tuple[int, ...]
    indices: tuple[int, ...]
    length: int


def sheaves(candidates: Sequence[Candidate]) -> list[Sheaf]:
    """Candidates gathered by their prompt, in order of first appearance."""
    gathered: dict[tuple[int, ...], list[int]] = {}
    for index, candidate in enumerate(candidates):
        gathered.setdefault(candidate.prompt, []).append(index)
    return [
        Sheaf(prompt, tuple(indices), len(prompt) + sum(len(candidates[i].answer) for i in indices))
        for prompt, indices in gathered.items()
    ]


def apart(candidates: Sequence[Candidate]) -> list[Sheaf]:
    """Each candidate in a row of its own."""
    return [Sheaf(candidate.prompt, (index,), len(candidate)) for index, candidate in enumerate(candidates)]


def length_batches(rows: Sequence[Sheaf], budget: int) -> Iterator[list[Sheaf]]:
    """Rows in batches of like length, longest first, each of at most ``budget`` padded tokens or one row."""
    batch: list[Sheaf] = []
    for row in sorted(rows, key=lambda r: (-r.length, r.indices)):
        if batch and (len(batch) + 1) * batch[0].length > budget:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


@torch.inference_mode()
def log_probabilities(
    model: PreTrainedModel,
    candidates: Sequence[Candidate],
    budget: int,
    label: str,
    before_pass: Callable[[torch.Tensor, torch.Tensor], None] | None = None,
) -> list[float]:
    """Total log-probability (nats) of each candidate's answer given its prompt.

    A prompt's answers stand in one row after it, each at the positions that it would have alone, and do not see each
    other. Where blocks do not look back all the way (sliding windows) the mask is theirs to make, and every answer has
    a row of its own. Hidden states of the answers' positions alone go through the output embedding, at most ``CHUNK``
    at a time, so memory does not grow with vocabulary x sequence. The softmax is in float32, sums in float64. The end
    of the turn is not scored: it belongs to no answer.

    ``before_pass`` is told before each forward pass which states predict an answer and which are no padding, both bool
    (rows, longest).
    """
    totals = [0.0] * len(candidates)
    shared = full_attention(model)
    budget = min(budget, CPU_TOKENS if model.device.type == "cpu" else GPU_TOKENS)
    with tqdm(total=len(candidates), desc=label, unit="answer") as bar:
        for batch in length_batches(sheaves(candidates) if shared else apart(candidates), budget):
            ids, positions, segments, before = (tensor.to(model.device) for tensor in lay_out(batch, candidates))
            mask = segment_mask(segments, model.dtype) if shared else (segments >= 0).long()
            wanted = segments > 0
            rows = torch.arange(len(batch), device=ids.device)[:, None].expand_as(ids)[wanted]
            if before_pass is not None:
                predicting = torch.zeros_like(wanted)
                predicting[rows, before[wanted]] = True
                before_pass(predicting, segments >= 0)
            hidden = model.base_model(
                input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False
            ).last_hidden_state
            states, targets = hidden[rows, before[wanted]], ids[wanted]
            scores = torch.cat(
                [
                    torch.log_softmax(logits_of(model, states[k : k + CHUNK]).float(), dim=-1)
                    .gather(1, targets[k : k + CHUNK, None])[:, 0]
                    .double()
                    for k in range(0, len(targets), CHUNK)
                ]
            )
            scored = [index for row in batch for index in row.indices]
            for index, part in zip(scored, scores.split([len(candidates[i].answer) for i in scored]), strict=True):
                totals[index] = float(part.sum())
            bar.update(len(scored))
    return totals


def segment_mask(segments: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What is added to attention scores, (rows, 1, longest, longest): a token sees the prompt and its own segment."""
    order = torch.arange(segments.shape[1], device=segments.device)
    sees = (order[None, :] <= order[:, None]) & (
        (segments[:, None, :] == 0) | (segments[:, None, :] == segments[:, :, None])
    )
    mask = torch.zeros(sees.shape, dtype=dtype, device=segments.device)
    return mask.masked_fill(~sees, torch.finfo(dtype).min)[:, None]


def lay_out(batch: Sequence[Sheaf], candidates: Sequence[Candidate]) -> tuple[torch.Tensor, ...]:
    """Token ids, positions, segments (0 prompt, n its n-th answer, -1 padding), and where each token's predecessor is.

    All are (rows, longest). The first token of an answer is predicted from the last of the prompt.
    """
    width = max(row.length for row in batch)
    ids, positions, before = (torch.zeros(len(batch), width, dtype=torch.long) for _ in range(3))
    segments = torch.full((len(batch), width), -1)
    for number, row in enumerate(batch):
        at = len(row.prompt)
        ids[number, :at] = torch.tensor(row.prompt)
        positions[number, :at] = torch.arange(at)
        segments[number, :at] = 0
        for segment, index in enumerate(row.indices, start=1):
            answer = candidates[index].answer
            place = slice(at, at + len(answer))
            ids[number, place] = torch.tensor(answer)
            positions[number, place] = torch.arange(len(answer)) + len(row.prompt)
            segments[number, place] = segment
            before[number, place] = torch.arange(at - 1, at + len(answer) - 1)
            before[number, at] = len(row.prompt) - 1
            at += len(answer)
    return ids, positions, segments, before
