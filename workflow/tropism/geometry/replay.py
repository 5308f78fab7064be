"""Read the same texts under one change after another, and run the blocks before the change once.

What is added after block ``layer`` changes no state before it. So the first pass over a batch keeps what that block
gave, and later ones begin there: with the change in the middle of a model, at two thirds of the cost.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel


class Passes:
    """Forward passes over the same batches again and again: the first round is kept, later rounds start from it.

    What is kept, a state for each token, stays where the model is.
    """

    def __init__(self) -> None:
        self._kept: list[list[Any]] = []
        self._number = -1

    def again(self) -> None:
        """The next pass is over the first batch."""
        self._number = -1

    def begin(self, embedded: torch.Tensor) -> None:
        """A pass over the batch with these states before the first block.

        Raises:
            ValueError: in an earlier round the batch in this place was another.
        """
        self._number += 1
        if self._number == len(self._kept):
            self._kept.append([embedded, None])
        elif not torch.equal(self._kept[self._number][0], embedded):
            raise ValueError("another batch than in the first round; passes that begin in the middle need the same")

    @property
    def output(self) -> Any:
        """What the last block before the change gave for this batch; None in the first round."""
        return self._kept[self._number][1]

    @output.setter
    def output(self, value: Any) -> None:
        self._kept[self._number][1] = value


@contextmanager
def replaying(model: PreTrainedModel, layer: int) -> Iterator[Passes]:
    """Blocks 0 to ``layer`` run in the first round of passes alone; call ``again()`` before each further one.

    Hooks on block ``layer`` see its output in every round, so what is added there may differ from round to round.
    """
    passes = Passes()
    blocks = model.get_decoder().layers[: layer + 1]
    for number, block in enumerate(blocks):
        block.forward = _once(block.forward, passes, first=number == 0, last=number == layer)
    try:
        yield passes
    finally:
        for block in blocks:
            del block.forward  # the method of the class shows again


def _once(forward: Any, passes: Passes, *, first: bool, last: bool) -> Any:
    def once(states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if first:
            passes.begin(states)
        if passes.output is not None:
            # nothing reads what blocks before the last one give, as long as it has the same form
            return passes.output if last else (states,) if isinstance(passes.output, tuple) else states
        output = forward(states, *args, **kwargs)
        if last:
            passes.output = output
        return output

    return once
