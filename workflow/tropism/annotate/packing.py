"""Matrices in the order in which the processor multiplies them, for a model that only reads."""

from typing import cast

import torch
from torch import nn

ROWS = 512


class Packed(nn.Module):
    """A linear map without a bias, by oneDNN, with its matrix put in order once.

    PyTorch multiplies float32 by MKL, which leaves a quarter of an AMD processor unused at the sizes of small bases
    (`benchmarks/README.md`). These are the operators that ``torch.compile`` takes on a processor.
    """

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(..., inputs) to (..., outputs)."""
        return cast(torch.Tensor, torch.ops.mkldnn._linear_pointwise(values, self.weight, None, "none", [], ""))


def pack(model: nn.Module) -> None:
    """Replace the linear maps in ``model`` that :class:`Packed` can stand for: float32, on the CPU, without a bias."""
    if not torch.backends.mkldnn.is_available():
        return
    for name, part in model.named_children():
        if not isinstance(part, nn.Linear):
            pack(part)
        elif part.bias is None and part.weight.dtype == torch.float32 and part.weight.device.type == "cpu":
            setattr(model, name, Packed(part.weight))
