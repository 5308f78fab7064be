"""Adapters kept on the way: what the arm was after some of its training steps."""

import math
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from tropism.config.training import SnapshotConfig
from tropism.train.methods import save_own


def snapshot_steps(total: int, settings: SnapshotConfig) -> list[int]:
    """The optimiser steps to keep, rising, of ``total``; the last step is the finished arm and not among them.

    ``linear`` spaces ``count`` steps evenly; ``log`` by equal factors from step 1, so that a short training gives
    fewer than ``count`` where two fall on one step.
    """
    if settings.spacing == "linear":
        found = {round(total * k / (settings.count + 1)) for k in range(1, settings.count + 1)}
    else:
        found = {round(math.exp(math.log(total) * k / settings.count)) for k in range(settings.count)}
    return sorted(step for step in found if 0 < step < total)


def snapshot_name(step: int) -> str:
    """The folder of the adapter after ``step`` optimiser steps."""
    return f"step-{step:06d}"


class KeepSnapshots(TrainerCallback):
    """Writes the step's own adapter to ``folder/step-<n>`` after each step of ``steps``."""

    def __init__(self, folder: Path, steps: list[int]) -> None:
        self.folder, self.steps = folder, set(steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep the adapter if this step is one to keep; a resumed run writes the same bytes again."""
        if state.global_step in self.steps and state.is_world_process_zero:
            folder = self.folder / snapshot_name(state.global_step)
            save_own(kwargs["model"], folder)
