"""Narrow solutions against general ones: efficiency, stability, significance (narrow misalignment, 2026).

*Efficiency* is the training loss at equal norm of the update; *stability* how much the loss rises when the adapter is
perturbed by a share of its norm; *significance* how much the update changes the model on plain text. Every number keeps
its value for each example, so that general and narrow are compared on the same ones.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from tropism.config.dynamics import NarrowConfig
from tropism.dynamics.solutions import COLUMNS
from tropism.models.lineage import read_factors
from tropism.records.keyed import keyed_seed
from tropism.train.examples import IGNORE, Example, collate
from tropism.train.kl import reference_kl_sum
from tropism.train.trainer import selective_loss_sum


def update_norm(adapter: Path) -> float:
    """Frobenius norm of an adapter's whole update: sqrt(sum over modules of |B A|_F^2 + |bias|^2).

    |B A|_F^2 = trace((B' B)(A A')), so the update itself, as large as the base, is never made. Of a trained steering
    vector, which is a bias alone, it is the vector's length.
    """
    total = 0.0
    for a, b, bias in read_factors(adapter).values():
        total += float(((b.T @ b).double() * (a @ a.T).double()).sum())
        total += 0.0 if bias is None else float((bias.double() ** 2).sum())
    return total**0.5


def factors(model: Any, side: str) -> list[torch.Tensor]:
    """The factors ``A`` or ``B`` of a PEFT model's adapter, ``B`` with its biases, in the order of its modules."""
    return [p.data for name, p in model.named_parameters() if f"lora_{side}." in name]


def trained(model: Any) -> list[torch.Tensor]:
    """The factors and biases that a training has moved: those that are not zero, and ``A`` only beside such a ``B``."""
    values = {name: p.data for name, p in model.named_parameters() if "lora_" in name}
    kept = {name for name, value in values.items() if bool(value.any())}
    kept -= {name for name in kept if "lora_A." in name and name.replace("lora_A.", "lora_B.") not in kept}
    return [values[name] for side in "AB" for name in values if name in kept and f"lora_{side}." in name]


@contextmanager
def scaled(model: Any, share: float) -> Iterator[None]:
    """The adapter times ``share``."""
    kept = [b.clone() for b in factors(model, "B")]
    try:
        for b in factors(model, "B"):
            b *= share
        yield
    finally:
        _restore(factors(model, "B"), kept)


@contextmanager
def perturbed(model: Any, relative: float, orthogonal: bool, seed: int) -> Iterator[None]:
    """The adapter's parameters plus Gaussian noise of ``relative`` times their norm.

    ``orthogonal`` noise has no component along the parameters, so it turns them and does not only shrink or stretch.
    Noise is on the factors as one vector, which is what training moves; factors that are zero, as those beside a
    steering vector, are no part of it.
    """
    parameters = trained(model)
    kept = [p.clone() for p in parameters]
    generator = torch.Generator().manual_seed(seed)
    noise = [torch.randn(p.shape, generator=generator).to(p) for p in parameters]
    own = sum(float((p.double() ** 2).sum()) for p in parameters)
    if orthogonal:
        along = sum(float((p.double() * e.double()).sum()) for p, e in zip(parameters, noise, strict=True)) / own
        noise = [e - along * p for p, e in zip(parameters, noise, strict=True)]
    size = sum(float((e.double() ** 2).sum()) for e in noise) ** 0.5
    try:
        for p, e in zip(parameters, noise, strict=True):
            p += e * (relative * own**0.5 / size)
        yield
    finally:
        _restore(parameters, kept)


def _restore(parameters: Sequence[torch.Tensor], kept: Sequence[torch.Tensor]) -> None:
    for parameter, value in zip(parameters, kept, strict=True):
        parameter.copy_(value)


@torch.no_grad()
def losses(model: Any, examples: Sequence[Example], pad: int) -> list[float]:
    """Mean cross-entropy of each example's labelled tokens, nats/token."""
    return [_mean(selective_loss_sum(model, batch), batch) for batch in _alone(model, examples, pad)]


@torch.no_grad()
def divergences(model: Any, examples: Sequence[Example], pad: int) -> list[float]:
    """Mean KL(base || base with adapter) over each text's tokens, nats/token."""
    return [_mean(reference_kl_sum(model, batch), batch) for batch in _alone(model, examples, pad)]


def _alone(model: Any, examples: Sequence[Example], pad: int) -> Iterator[dict[str, torch.Tensor]]:
    device = next(model.parameters()).device
    for example in examples:
        yield {key: value.to(device) for key, value in collate([example], pad).items()}


def _mean(total: torch.Tensor, batch: dict[str, torch.Tensor]) -> float:
    return float(total) / int((batch["labels"][:, 1:] != IGNORE).sum())


def measure(
    model: Any,
    side: str,
    norm: float,
    smaller: float,
    rows: Sequence[Example],
    texts: Sequence[Example],
    settings: NarrowConfig,
    pad: int,
    seed: int,
) -> pd.DataFrame:
    """Every measure of one side, a row an example: ``COLUMNS``.

    ``norm`` is the adapter's own, ``smaller`` that of the smaller of the two adapters, to which ``norms`` refer.
    """
    found: list[list[Any]] = []

    def add(metric: str, level: float, size: float, draw: int, values: Sequence[float], of: Sequence[Example]) -> None:
        found.extend([side, metric, level, size, draw, e.id, v] for e, v in zip(of, values, strict=True))

    for share in settings.norms:
        with scaled(model, share * smaller / norm):
            add("efficiency", share, share * smaller, 0, losses(model, rows, pad), rows)
    own = np.array(losses(model, rows, pad))
    length = sum(float((p.double() ** 2).sum()) for p in trained(model)) ** 0.5
    for relative in settings.relative:
        for kind in ("isotropic", "orthogonal"):
            for draw in range(settings.draws):
                noise = keyed_seed(seed, "perturbation", draw)  # either kind of the same, so that they compare
                with perturbed(model, relative, kind == "orthogonal", noise):
                    rise = np.array(losses(model, rows, pad)) - own
                add(f"stability_{kind}", relative, relative * length, draw, rise.tolist(), rows)
    add("significance", 1.0, norm, 0, divergences(model, texts, pad), texts)
    return pd.DataFrame(found, columns=COLUMNS)
