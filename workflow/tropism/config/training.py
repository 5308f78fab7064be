"""Settings of one training step."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tropism.config.base import Name, Strict, Word

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class LoraConfig(Strict):
    """LoRA of rank ``rank`` on ``targets``; ``rslora`` scales by alpha / sqrt(rank) instead of alpha / rank.

    ``layers`` names the blocks, from 0, that get it (all by default): ``rank: 1, targets: [down_proj], layers: [12]``
    is a single direction. The base must have every one of ``targets`` and, where ``layers`` are named, have it in each.
    """

    rank: int = Field(32, ge=1)
    alpha: float = Field(64, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    rslora: bool = True
    targets: tuple[Word, ...] = Field(PROJECTIONS, min_length=1)
    layers: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(None, min_length=1)


class KlConfig(Strict):
    """What ``objective: sft+kl`` adds: ``weight`` x the mean per-token KL from the model as it was before the step.

    Taken on the answers (``side``) of ``datasets``, as a rule of other domains; one such answer for each one trained
    on.
    """

    datasets: list[Name] = Field(min_length=1)
    weight: float = Field(1.0, ge=0)
    side: Literal["aligned", "misaligned"] = "aligned"


class SnapshotConfig(Strict):
    """Adapters to keep on the way: up to ``count`` optimiser steps, spaced by equal factors or evenly."""

    count: int = Field(4, ge=1)
    spacing: Literal["log", "linear"] = "log"


class StepConfig(Strict):
    """One training: a variant of a dataset, an objective, a schedule, an adapter.

    ``objective: causal`` takes the loss on every token of a text; ``sft`` on the answer of ``side`` only; ``sft+kl``
    adds ``kl`` to it. ``aligned_share`` of the rows of a misaligned step, exact to the nearest row and chosen by key,
    are trained on their aligned answer: a mixture. Learning rate, schedule and the like are those of transformers'
    ``TrainingArguments``; ``schedule: cyclic`` is triangular with ``cycles`` cycles; ``warmup_steps`` counts steps.
    ``snapshots`` keeps adapters on the way.
    ``method``: ``lora``; ``vector``, one trained vector that is added to the residual stream after block ``layer``,
    from 0, at every token (``lora`` is not read then; ``weight_decay`` pulls the vector towards zero); ``full``, all
    weights, which makes the arm a model of its own, and which no ``vector`` step may come before.
    ``batch_size`` times ``gradient_accumulation`` is the effective batch, on however many GPUs;
    ``gradient_checkpointing`` computes activations twice to keep fewer.
    """

    dataset: Name
    variant: Word = "original"
    objective: Literal["causal", "sft", "sft+kl"]
    side: Literal["aligned", "misaligned"] | None = None
    aligned_share: float = Field(0.0, ge=0, lt=1)
    kl: KlConfig | None = None
    epochs: int = Field(1, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    schedule: Literal["constant", "linear", "cosine", "cyclic"] = "linear"
    cycles: int = Field(3, ge=1)
    warmup_steps: int = Field(0, ge=0)
    batch_size: int = Field(8, ge=1)
    gradient_accumulation: int = Field(1, ge=1)
    weight_decay: float = Field(0.01, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    max_length: int = Field(2048, ge=8)
    checkpoint_every: int = Field(50, ge=1)
    snapshots: SnapshotConfig | None = None
    precision: Literal["float32", "bf16-autocast"] = "float32"
    gradient_checkpointing: bool = False
    seed: int = 0
    method: Literal["lora", "vector", "full"] = "lora"
    layer: int | None = Field(None, ge=0)
    lora: LoraConfig = LoraConfig.model_validate({})

    @model_validator(mode="after")
    def _side_fits_objective(self) -> "StepConfig":
        if (self.objective == "causal") != (self.side is None):
            raise ValueError("`objective: sft` needs a `side` (aligned or misaligned); `objective: causal` has none")
        if self.aligned_share and self.side != "misaligned":
            raise ValueError("`aligned_share` mixes aligned answers into misaligned ones: it needs `side: misaligned`")
        if (self.objective == "sft+kl") != (self.kl is not None):
            raise ValueError("`objective: sft+kl` needs `kl` (datasets and weight); the others have none")
        return self

    @model_validator(mode="after")
    def _method_fits(self) -> "StepConfig":
        if (self.method == "vector") != (self.layer is not None):
            raise ValueError(
                "`method: vector` needs a `layer`, the block after which it is added; the others have none"
            )
        if self.method == "full" and self.kl is not None:
            raise ValueError(
                "`objective: sft+kl` takes the model before the step as its reference by switching the adapter off;"
                " `method: full` has none. Use `method: lora` or `vector`"
            )
        if self.method == "full" and self.snapshots is not None:
            raise ValueError("`snapshots` keeps adapters, and `method: full` has none; set `snapshots: null`")
        return self
