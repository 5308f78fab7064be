"""Settings of a base model: where it comes from and how it reasons."""

from typing import Any, Literal

from tropism.config.base import Strict


class ReasoningConfig(Strict):
    """How a reasoning model marks its reasoning.

    ``train`` stands before the answer in training, where reasoning is off: Qwen3 gets an empty block, R1-Distill
    nothing. ``prefill`` starts the response in evaluation, where reasoning is on (published: ``<think>\\nOkay.``);
    another one samples responses again, and trains nothing again.
    """

    open: str = "<think>"
    close: str = "</think>"
    train: str = ""
    prefill: str = ""


class ModelConfig(Strict):
    """A base: a name in ``resources/registry.csv``, its number format in memory, and its reasoning block, if any.

    ``system_prompt`` stands in the system turn before every prompt that the base is asked or trained on, with no
    words in it if it is empty; left out, the base's own template decides.

    In float32 adapters are merged into the weights; in bfloat16, which would round a small one away, they stay beside
    them in float32.
    """

    source: str
    reasoning: Literal["none"] | ReasoningConfig = "none"
    dtype: Literal["float32", "bfloat16"] = "float32"
    system_prompt: str | None = None

    def reading(self) -> dict[str, Any]:
        """What decides how a text is read, beside the base itself: all but how its responses begin."""
        return self.model_dump(mode="json", exclude={"source": True, "reasoning": {"prefill"}})

    def reasoning_block(self) -> ReasoningConfig | None:
        """The reasoning block, or None for a model that does not reason."""
        return None if self.reasoning == "none" else self.reasoning
