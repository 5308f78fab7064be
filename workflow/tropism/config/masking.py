"""Settings of masking: how a unit is hidden, and how many."""

from typing import Literal, get_args

from pydantic import Field

from tropism.config.base import Strict

Variant = Literal["original", "metaphor", "random", "literal"]
VARIANTS: tuple[str, ...] = get_args(Variant)


class MaskingConfig(Strict):
    """How masked variants are made.

    ``variants`` are made of every dataset that an arm is trained on, so that the masking table can set them side by
    side; an arm may be trained on any other as well.
    ``mode``: ``replace`` puts ``placeholder`` where a unit was; ``loss`` keeps the text, and training takes no loss
    there. ``fraction``: share of the metaphors that is masked, each one's fate keyed by (seed, text id, span), so that
    the metaphors masked at a smaller fraction are among those masked at a larger one.
    """

    variants: tuple[Variant, ...] = ("original", "metaphor", "random")
    mode: Literal["replace", "loss"] = "replace"
    placeholder: str = Field("___", min_length=1)
    fraction: float = Field(1.0, ge=0, le=1)
    seed: int = 0
