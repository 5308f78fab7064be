"""The trained part of the probe: a small convolutional network over the pieces of a text.

A linear map shrinks each piece's features; two convolutions let a word see its neighbours, those after it too, which a
left-to-right base could not; two outputs say how likely the word is metaphorical and what part of speech it is. Both
are learned together, since a word's part of speech says much about which of its meanings is the basic one.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

CLIP = 8.0
TUNED = "tuned."
STEP = ".step"
Factors = tuple[torch.Tensor, torch.Tensor]


class Head(nn.Module):
    """Features (batch, pieces, width) to metaphor logits (batch, pieces) and part-of-speech logits (..., tags)."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, width: int, hidden: int, tags: int, *, dropout: float = 0.0, input_dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.project = nn.Linear(width, hidden)
        self.near = nn.Conv1d(hidden, hidden, 5, padding=2)
        self.wide = nn.Conv1d(hidden, hidden, 3, padding=1)
        self.compare = nn.Linear(2 * hidden, 64)
        self.metaphor = nn.Linear(64, 1)
        self.pos = nn.Linear(2 * hidden, tags)
        self.dropout = nn.Dropout(dropout)
        self.input_dropout = nn.Dropout(input_dropout)

    def forward(self, features: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of every piece; ``mask`` (batch, pieces) is 1 for a piece and 0 for padding."""
        inside = mask.unsqueeze(-1)
        scaled = ((features - self.mean) * self.scale).clamp(-CLIP, CLIP)
        alone = self.dropout(F.gelu(self.project(self.input_dropout(scaled))))
        around = (alone * inside).transpose(1, 2)
        for convolve in (self.near, self.wide):
            around = around + self.dropout(F.gelu(convolve(around))) * inside.transpose(1, 2)
        both = torch.cat([around.transpose(1, 2), alone], dim=-1)
        logits = self.metaphor(self.dropout(F.gelu(self.compare(both)))).squeeze(-1)
        return logits, self.pos(both)


def _rounded(name: str, value: torch.Tensor, kept: int) -> dict[str, torch.Tensor]:
    """``value`` as 8-bit integers, and what one of them stands for, for each index of the dimension ``kept``."""
    step = value.abs().amax(dim=[d for d in range(value.dim()) if d != kept], keepdim=True).clamp_min(1e-12) / 127
    return {name: (value / step).round().to(torch.int8), f"{name}{STEP}": step.float()}


def save_head(head: Head, path: Path, factors: Mapping[str, Factors] | None = None) -> None:
    """Write the weights and the base's ``factors`` as safetensors.

    Matrices are rounded to 8 bits, each row (each rank of a factor) in steps of its own; the rest is in float32.
    """
    state: dict[str, torch.Tensor] = {}
    for name, value in head.state_dict().items():
        state |= _rounded(name, value, 0) if value.dim() > 1 else {name: value.float()}
    for module, (a, b) in (factors or {}).items():
        state |= _rounded(f"{TUNED}{module}.a", a, 0) | _rounded(f"{TUNED}{module}.b", b, 1)
    save_file({name: value.contiguous() for name, value in state.items()}, path)


def load_head(path: Path, width: int, hidden: int, tags: int) -> tuple[Head, dict[str, Factors]]:
    """The head in ``path``, in float32, ready to answer, and LoRA factors ``(a, b)`` for modules of the base.

    Weights that were not rounded, in any precision, are read as well.

    Raises:
        RuntimeError: the weights are those of another shape, or rounded without their steps.
    """
    read = load_file(path)
    for name, value in read.items():
        if not value.is_floating_point() and f"{name}{STEP}" not in read:
            raise RuntimeError(f"{path}: {name} is rounded and its steps are missing")
    state = {
        name: value.float() * read[f"{name}{STEP}"] if f"{name}{STEP}" in read else value.float()
        for name, value in read.items()
        if not name.endswith(STEP)
    }
    tuned = {name: state.pop(name) for name in list(state) if name.startswith(TUNED)}
    modules = sorted({name.removeprefix(TUNED).rpartition(".")[0] for name in tuned})
    head = Head(width, hidden, tags)
    head.load_state_dict(state)
    return head.eval(), {m: (tuned[f"{TUNED}{m}.a"], tuned[f"{TUNED}{m}.b"]) for m in modules}
