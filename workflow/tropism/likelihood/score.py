"""Log-probabilities of given answers, with logits made for the answers' positions alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from tqdm import tqdm
from transformers import PreTrainedModel

CHUNK = 512


@dataclass(frozen=True)
class Candidate:
    """An answer whose probability is wanted: token ids of the prompt and of the answer."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


def length_batches(candidates: Sequence[Candidate], budget: int) -> Iterator[list[int]]:
    """Indices in batches of like length, longest first, each of at most ``budget`` padded tokens or one candidate."""
    batch: list[int] = []
    for index in sorted(range(len(candidates)), key=lambda i: (-len(candidates[i]), i)):
        if batch and (len(batch) + 1) * len(candidates[batch[0]]) > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


@torch.inference_mode()
def log_probabilities(model: PreTrainedModel, candidates: Sequence[Candidate], budget: int, label: str) -> list[float]:
    """Total log-probability (nats) of each candidate's answer given its prompt.

    Hidden states of the answers' positions alone go through the output embedding, at most ``CHUNK`` at a time, so
    memory does not grow with vocabulary x sequence. The softmax is in float32, sums in float64. The end of the turn is
    not scored: it belongs to no answer.
    """
    totals = [0.0] * len(candidates)
    head = model.get_output_embeddings()
    with tqdm(total=len(candidates), desc=label, unit="answer") as bar:
        for batch in length_batches(candidates, budget):
            width = max(len(candidates[i]) for i in batch)
            ids = torch.zeros(len(batch), width, dtype=torch.long)
            wanted = torch.zeros(len(batch), width, dtype=torch.bool)
            for row, index in enumerate(batch):
                candidate = candidates[index]
                ids[row, : len(candidate)] = torch.tensor([*candidate.prompt, *candidate.answer])
                wanted[row, len(candidate.prompt) : len(candidate)] = True
            ids, wanted = ids.to(model.device), wanted.to(model.device)
            # padding stands on the right, where causal attention never looks, so it needs no mask
            hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
            states, targets = hidden[:, :-1][wanted[:, 1:]], ids[wanted]
            scores = torch.cat(
                [
                    torch.log_softmax(head(states[k : k + CHUNK]).float(), dim=-1)
                    .gather(1, targets[k : k + CHUNK, None])[:, 0]
                    .double()
                    for k in range(0, len(targets), CHUNK)
                ]
            )
            lengths = [len(candidates[i].answer) for i in batch]
            for index, part in zip(batch, scores.split(lengths), strict=True):
                totals[index] = float(part.sum())
            bar.update(len(batch))
    return totals
