"""Settings of masking: how a unit is hidden, and how many."""

from typing import Literal, get_args

from pydantic import Field

from tropism.config.base import Strict

Variant = Literal[
    "original",
    "metaphor",
    "metaphor_75",
    "metaphor_50",
    "metaphor_25",
    "random",
    "random_75",
    "random_50",
    "random_25",
    "literal",
    "place_before",
    "place_after",
]
VARIANTS: tuple[str, ...] = get_args(Variant)
Kind = Literal["original", "metaphor", "random", "literal", "place"]


class MaskingConfig(Strict):
    """How masked variants are made.

    ``variants`` are made of every dataset that is trained on masked and, with the probe, of those that evaluated arms
    are trained on, so that the masking table can set them side by side; an arm may be trained on any other as well.
    ``mode``: ``replace`` puts ``placeholder`` where a unit was; ``loss`` keeps the text, and training takes no loss
    there. ``fraction``: share of the metaphors that ``metaphor`` masks, and of their controls that ``random`` masks;
    each one's fate is keyed by (seed, text id, span), so that those masked at a smaller fraction are among those masked
    at a larger one. The variants ``metaphor_25`` to ``random_75`` are doses: that many percent, whatever ``fraction``.
    ``place_before`` and ``place_after`` mask nothing: they move a text's metaphor sentence to its beginning or end.
    """

    variants: tuple[Variant, ...] = ("original", "metaphor", "random")
    mode: Literal["replace", "loss"] = "replace"
    placeholder: str = Field("___", min_length=1)
    fraction: float = Field(1.0, ge=0, le=1)
    seed: int = 0

    def fraction_of(self, variant: Variant) -> float:
        """The share of metaphors, or of their controls, that ``variant`` masks: its dose, else ``fraction``."""
        _, _, dose = variant.partition("_")
        return int(dose) / 100 if dose.isdigit() else self.fraction


def kind_of(variant: Variant) -> Kind:
    """What a variant does, whatever its dose or direction."""
    kind: Kind = variant.partition("_")[0]  # type: ignore[assignment]
    return kind
