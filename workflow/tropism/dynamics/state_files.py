"""The states of prompts as they are kept, for what compares them without a model."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from safetensors import safe_open

KEY = ("set", "prompt_id", "domain", "split", "prompt")


@dataclass(frozen=True)
class States:
    """``tensors["last.10"]`` is (prompts, hidden), float32; ``prompts`` has a row of ``KEY`` for each of them."""

    arm: str
    prompts: list[dict[str, str]]
    tensors: dict[str, np.ndarray]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :func:`tropism.dynamics.states.read_states` wrote."""
        with safe_open(str(path), framework="numpy") as file:
            facts = json.loads(file.metadata()["states"])
            return cls(facts["arm"], facts["prompts"], {key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118


def position_name(position: str | int) -> str:
    """What a position is called in tables: ``last``, ``mean``, or ``token -6``, counted from the prompt's end."""
    return position if isinstance(position, str) else f"token {position}"
