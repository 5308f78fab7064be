"""Settings of the dynamics stage: checkpoints, priors, shifts, narrow against general solutions."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from tropism.config.base import Name, Strict, Word
from tropism.config.sampled import SampledConfig


class NarrowConfig(Strict):
    """How a narrow solution (last step ``sft+kl``) is compared with the general one that differs in that alone.

    ``norms``: shares of the smaller adapter's norm at which both losses are taken; ``relative``: norms of perturbations
    as shares of the adapter's own, each drawn ``draws`` times; ``examples`` training rows, as many texts of ``texts``.
    """

    texts: Word
    examples: int = Field(64, ge=2)
    norms: list[PositiveFloat] = Field([0.25, 0.5, 0.75, 1.0], min_length=1)
    relative: list[PositiveFloat] = Field([0.1, 0.3, 1.0], min_length=1)
    draws: int = Field(3, ge=1)


class DynamicsConfig(SampledConfig):
    """What is looked at over training and before it, all on arms of ``model``.

    ``follow``: arms whose last step keeps snapshots, each scored on ``follow_prompts`` of each domain, the
    first ``watch`` of them by the kept detector too; with ``samples`` these also answer
    the prompts at each snapshot, for ``judge``; without, the margin stands for the judged rate; ``arms``: arms
    whose outcomes are predicted from the base and whose shifts are compared. Both are names, or how many of the first
    that qualify: last trained on misaligned answers. ``layers`` are residual streams after these blocks, from 0;
    ``positions`` the last token of the prompt, the mean over it, or a token counted from its end (-2 is before the
    last). ``prompts`` of each domain and split are read at most, chosen by keyed hash. ``k`` are dimensions of shift
    subspaces, ``controls`` random ones to hold them against, ``folds`` and ``draws`` those of prior prediction.
    ``judge`` gives the alignment scores, by default the first one. ``families``: which prompts the folds keep together,
    those that share half of their words (``similar``),
    those whose ids differ in a last number alone (``id``: ``quick_buck_3`` is of ``quick_buck``), repetitions alone
    (``prompt``), or whole domains. ``narrow`` compares every narrow arm with its general
    one. ``arms_per_job`` arms of one base are read by one job.
    """

    model: Word
    follow: int | list[Name] = 0
    arms: int | list[Name] = 0
    layers: list[int] = Field(min_length=1)
    positions: list[Literal["last", "mean"] | Annotated[int, Field(le=-2)]] = Field(["last"], min_length=1)
    prompts: int = Field(200, ge=1)
    follow_prompts: int = Field(50, ge=1)
    watch: int = Field(1, ge=0)
    samples: int = Field(0, ge=0)
    k: list[PositiveInt] = Field([8], min_length=1)
    controls: int = Field(1000, ge=19)
    folds: int = Field(5, ge=2)
    families: Literal["similar", "id", "prompt", "domain"] = "similar"
    draws: int = Field(2000, ge=100)
    narrow: NarrowConfig | None = None
    arms_per_job: int = Field(8, ge=1)
    seed: int = 0
