"""Which arms are a narrow and a general solution of one training, and which one goes on from a narrow solution."""

from collections.abc import Iterable, Mapping
from typing import Any

from tropism.config.arms import Arm

KEPT = {"snapshots": None, "checkpoint_every": None, "gradient_checkpointing": None}
"""Settings of a step that change what is kept on the way and not what is trained."""


def general_of(arms: Mapping[str, Arm], scored: Iterable[str]) -> dict[str, str]:
    """Of ``scored`` each narrow arm and the general one: the same lineage but for the KL term of the last step."""

    def plain(name: str) -> list[dict[str, Any]]:
        rows = [{"adapter": arms[name].adapter}, *(step.settings.model_dump() for step in arms[name].steps)]
        return [*rows[:-1], rows[-1] | {"objective": "sft", "kl": None} | KEPT]

    last = {name: arms[name].steps[-1].settings for name in scored}
    general = [name for name, step in last.items() if step.objective == "sft"]
    narrow = [name for name, step in last.items() if step.objective == "sft+kl"]
    return {name: other for name in narrow for other in general if plain(other) == plain(name)}


def goes_on_from(arms: Mapping[str, Arm], narrow: Iterable[str], objective: str) -> dict[str, str]:
    """Each narrow arm and the first that goes on from it by ``objective``, on the same rows and answers.

    ``sft`` goes on without the KL term, ``sft+kl`` with the same.
    """

    def goes_on(arm: Arm, start: Arm) -> bool:
        if len(arm.steps) != len(start.steps) + 1 or arm.lineage(len(start.steps)) != start.lineage():
            return False
        here, before = arm.steps[-1].settings, start.steps[-1].settings
        same = ["dataset", "variant", "side", "aligned_share", "method", "layer"]
        same += ["seed"] if here.aligned_share else []  # which decides the rows that are trained aligned
        same += ["kl"] if objective == "sft+kl" else []
        return here.objective == objective and all(getattr(here, key) == getattr(before, key) for key in same)

    return {name: other for name in narrow for other, arm in reversed(list(arms.items())) if goes_on(arm, arms[name])}
