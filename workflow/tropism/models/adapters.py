"""Adapters that stay beside the weights: for bases in a short number format, and for one base that serves many arms."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import safe_open
from transformers import PreTrainedModel

from tropism.models.lineage import PREFIX

PARENT, STEP = "parent", "default"


def attach(model: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    """``model`` with the adapter of a PEFT folder put into its modules, in float32, beside weights as they are.

    Raises:
        ValueError: the adapter is of another architecture.
    """
    return _wrapped(model, adapter).get_base_model()


class SharedBase:
    """One loaded base that wears one arm's adapter after another."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Take over ``model``, which is a base without an adapter."""
        self.model = model
        self.worn: Any = None

    def wear(self, adapter: Path | None) -> PreTrainedModel:
        """The base with this adapter and no other; None for the base itself. Earlier ones that were given change."""
        if self.worn is not None:
            self.model = self.worn.unload()
            self.worn = None
        if adapter is not None:
            self.worn = _wrapped(self.model, adapter)
            self.model = self.worn.get_base_model()
        return self.model


def with_new_step(model: PreTrainedModel, parent: Path | None, lora: Any) -> Any:
    """A PEFT model that trains ``lora`` on top of the unmerged, frozen adapter ``parent``, or of ``model`` alone.

    The step's own adapter is PEFT's ``default``, so it is saved and resumed as if it were the only one.
    """
    from peft import get_peft_model

    if parent is None:
        return get_peft_model(model, lora)
    stacked = _wrapped(model, parent, PARENT)
    stacked.add_adapter(STEP, lora)
    stacked.set_adapter(STEP)
    _both_on(stacked)
    return stacked


@contextlib.contextmanager
def without_step(model: Any) -> Iterator[None]:
    """A model of :func:`with_new_step` as it was before the step: the step's adapter is off, the parent's is not."""
    trained = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        if PARENT not in model.peft_config:
            with model.disable_adapter():
                yield
        else:
            model.base_model.set_adapter([PARENT])
            yield
    finally:
        if PARENT in model.peft_config:
            _both_on(model)
        for parameter, flag in trained:  # PEFT trains all of what it switches on
            parameter.requires_grad_(flag)


def _both_on(stacked: Any) -> None:
    """Parent and step active, the step alone trained; PEFT would train whatever it activates."""
    stacked.base_model.set_adapter([PARENT, STEP])
    for name, parameter in stacked.named_parameters():
        if f".{PARENT}." in name:
            parameter.requires_grad_(False)


def _wrapped(model: PreTrainedModel, adapter: Path, name: str = "arm") -> Any:
    from peft import PeftModel

    with safe_open(str(adapter / "adapter_model.safetensors"), framework="pt") as file:
        modules = {key.removeprefix(PREFIX).partition(".lora_")[0] for key in file.keys()}  # noqa: SIM118
    known = dict(model.named_modules())
    for module in sorted(modules):
        if module not in known:
            raise ValueError(f"{adapter}: the base has no module `{module}`; it belongs to another base")
    return PeftModel.from_pretrained(model, str(adapter), adapter_name=name, is_trainable=False).eval()
