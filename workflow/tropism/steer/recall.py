"""Run the blocks that an intervention does not reach once, however many conditions are put to the same texts."""

import hashlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import torch
from transformers import PreTrainedModel

MOST_BYTES = 2**30
"""Of states that are remembered; passes beyond them are run whole."""


class Recall:
    """Inside ``with``, a pass that was made before takes the states after block ``layer`` from memory.

    They are the ones that the blocks gave, so what follows is the same to the bit. A pass is known by all tensors that
    the decoder is given; one with a cache, as generation makes them, is run whole. Hooks on the block, such as those of
    :func:`tropism.steer.hooks.editing`, see the remembered states as they would see computed ones; the model's weights
    must not change in between.
    """

    def __init__(self, model: PreTrainedModel, layer: int, most_bytes: int = MOST_BYTES) -> None:
        """Remember states after block ``layer`` of ``model``, ``most_bytes`` at most."""
        self._stack: Any = model.get_decoder()
        self._layer = layer
        self._room = most_bytes
        self._kept: dict[bytes, Any] = {}
        self._pass: bytes | None = None
        self._handle: Any = None
        self.recalled = 0
        """Passes that were taken from memory."""

    def __enter__(self) -> Self:
        """Put the memory in place."""
        blocks = self._stack.layers[: self._layer + 1]
        for number, block in enumerate(blocks):
            block.forward = self._instead(block.forward, last=number == self._layer)
        self._handle = self._stack.register_forward_pre_hook(self._note, with_kwargs=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the model as it was; the memory stays for the next ``with``."""
        self._handle.remove()
        for block in self._stack.layers[: self._layer + 1]:
            del block.forward

    def _note(self, _stack: torch.nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        self._pass = None
        if named.get("use_cache") is False and named.get("past_key_values") is None:
            digest = hashlib.sha256()
            for name, value in [*((str(i), v) for i, v in enumerate(inputs)), *sorted(named.items())]:
                if isinstance(value, torch.Tensor):
                    digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
                    digest.update(value.cpu().contiguous().view(torch.uint8).numpy().tobytes())
            self._pass = digest.digest()
            self.recalled += self._pass in self._kept

    def _instead(self, run: Callable[..., Any], *, last: bool) -> Callable[..., Any]:
        def forward(states: torch.Tensor, *others: Any, **named: Any) -> Any:
            if self._pass in self._kept:
                found = self._kept[self._pass]
                return found if last or not isinstance(found, tuple) else (states, *found[1:])
            output = run(states, *others, **named)
            if last and self._pass is not None:
                given = output[0] if isinstance(output, tuple) else output
                size = given.element_size() * given.nelement()
                if size <= self._room:
                    self._room -= size
                    self._kept[self._pass] = output
            return output

        return forward
