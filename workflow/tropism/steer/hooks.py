"""Change the residual stream after one block while a model runs, without touching its weights.

The stream is edited where a dictionary reads it: after block ``layer``, counted from 0, before the last norm. An edit
is computed in float32 and written back in the model's own number format. Positions that predict the response start at
the prompt's last token, whose state decides the first token of the answer.

``output_hidden_states`` of transformers is recorded before the edit and does not show it in the entry of ``layer``.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from transformers import PreTrainedModel

from tropism.records.files import InputError

if TYPE_CHECKING:
    from sae_lens import SAE

Edit = Callable[[torch.Tensor], torch.Tensor]
"""What is added to states (..., width), float32, as a tensor of the same shape."""
Positions = Literal["all", "response"]


@dataclass
class Steering:
    """A live intervention: which positions it edits, and how large its edits were.

    With ``positions`` "response" the last position of every pass that predicts is edited, which is all of a response
    while it is generated with a cache; a pass through the decoder alone, without the head, predicts nothing. Where
    whole responses are read at once, set ``mask``, bool (batch, positions), before each pass: the positions whose
    states predict the response, or, with ``positions`` "all", those that are no padding.
    """

    positions: Positions
    mask: torch.Tensor | None = None
    norm_sum: float = 0.0
    edited: int = 0
    predicting: bool = False

    @property
    def edit_norm(self) -> float:
        """Mean Euclidean norm of what was added to an edited position; 0 before any."""
        return self.norm_sum / self.edited if self.edited else 0.0

    def chosen(self, states: torch.Tensor) -> torch.Tensor:
        """The positions to edit of ``states`` (batch, positions, width): bool (batch, positions)."""
        if self.mask is not None:
            if self.mask.shape != states.shape[:2]:
                raise ValueError(f"the mask is {tuple(self.mask.shape)}, the states {tuple(states.shape[:2])}")
            return self.mask.to(states.device)
        if self.positions == "all":
            return torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
        last = torch.zeros(states.shape[:2], dtype=torch.bool, device=states.device)
        last[:, -1] = self.predicting
        return last


@contextmanager
def editing(model: PreTrainedModel, layer: int, edit: Edit, positions: Positions = "all") -> Iterator[Steering]:
    """Add ``edit(states)`` to the residual stream after block ``layer`` of ``model`` inside the ``with`` block.

    Several may be nested; on one block they apply in the order entered, each seeing what the former left.

    Raises:
        InputError: the model has no such layer.
    """
    layers = model.get_decoder().layers
    if not 0 <= layer < len(layers):
        raise InputError(f"layer {layer}: the model has layers 0 to {len(layers) - 1}")
    steering = Steering(positions)

    def hook(_module: torch.nn.Module, _inputs: Any, output: Any) -> Any:
        states = output[0] if isinstance(output, tuple) else output
        chosen = steering.chosen(states)
        if not chosen.any():
            return output
        picked = states[chosen].float()
        added = edit(picked)
        steering.norm_sum += float(added.norm(dim=-1).double().sum())
        steering.edited += len(picked)
        changed = states.clone()
        changed[chosen] = (picked + added).to(states.dtype)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    def predicts(now: bool) -> Callable[..., None]:
        def note(*_: Any) -> None:
            steering.predicting = now

        return note

    handles = [
        layers[layer].register_forward_hook(hook),
        model.register_forward_pre_hook(predicts(True)),
        model.register_forward_hook(predicts(False), always_call=True),
    ]
    try:
        yield steering
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def adding(
    model: PreTrainedModel, layer: int, vector: torch.Tensor, strength: float, positions: Positions = "all"
) -> Iterator[Steering]:
    """Add ``strength * vector`` after block ``layer``; ``vector`` (width,) is taken as it is, not normalised."""
    added = strength * vector.detach().float()
    with editing(model, layer, lambda states: added.to(states.device).expand_as(states), positions) as steering:
        yield steering


@contextmanager
def moving_along(
    model: PreTrainedModel,
    layer: int,
    direction: torch.Tensor,
    factor: float,
    origin: torch.Tensor | None = None,
    positions: Positions = "all",
) -> Iterator[Steering]:
    """Multiply by ``factor`` each state's component along ``direction`` (width,), measured from ``origin`` (width,).

    0 is directional ablation (Arditi et al. 2024), with an origin to the origin's own component instead of to zero.
    """
    unit = torch.nn.functional.normalize(direction.detach().float(), dim=0)
    start = torch.zeros_like(unit) if origin is None else origin.detach().float()

    def edit(states: torch.Tensor) -> torch.Tensor:
        along = unit.to(states.device)
        return (factor - 1) * ((states - start.to(states.device)) @ along)[:, None] * along

    with editing(model, layer, edit, positions) as steering:
        yield steering


@contextmanager
def changing_feature(
    model: PreTrainedModel,
    layer: int,
    sae: "SAE[Any]",
    feature: int,
    *,
    factor: float = 1.0,
    offset: float = 0.0,
    positions: Positions = "all",
) -> Iterator[Steering]:
    """Turn a feature's activation f into ``factor * f + offset`` in states that otherwise stay exactly what they were.

    States are x = decode(f) + error; the change adds decode(f') - decode(f), so the part of x that the dictionary does
    not explain is kept. ``factor`` 0 ablates, above 1 amplifies where the feature is active; ``offset``, in units of
    its activation, turns it on everywhere.

    Raises:
        InputError: the dictionary has no such feature, or reads states of another width.
    """
    width = model.config.hidden_size
    if not 0 <= feature < sae.cfg.d_sae:
        raise InputError(f"feature {feature}: the dictionary has features 0 to {sae.cfg.d_sae - 1}")
    if sae.cfg.d_in != width:
        raise InputError(f"the dictionary reads states of width {sae.cfg.d_in}, the model's are {width} wide")

    @torch.no_grad()
    def edit(states: torch.Tensor) -> torch.Tensor:
        features = sae.encode(states.to(sae.device))
        changed = features.clone()
        changed[:, feature] = factor * features[:, feature] + offset
        return (sae.decode(changed) - sae.decode(features)).to(states)

    with editing(model, layer, edit, positions) as steering:
        yield steering


def mean_difference(positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """Mean of ``positive`` less mean of ``negative``, both (responses, width): (width,), float32, not normalised.

    A response counts once: pass each one's mean over its tokens.

    Raises:
        InputError: a side is empty.
    """
    if not len(positive) or not len(negative):
        raise InputError(f"a mean difference needs both sides, got {len(positive)} and {len(negative)} responses")
    return (positive.double().mean(dim=0) - negative.double().mean(dim=0)).float()
