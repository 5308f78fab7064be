"""Settings of one training step."""

from typing import Literal

from pydantic import Field, model_validator

from tropism.config.base import Name, Strict, Word

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class LoraConfig(Strict):
    """LoRA of rank ``rank`` on ``targets``; ``rslora`` scales by alpha / sqrt(rank) instead of alpha / rank."""

    rank: int = Field(32, ge=1)
    alpha: float = Field(64, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    rslora: bool = True
    targets: tuple[Word, ...] = PROJECTIONS


class StepConfig(Strict):
    """One training: a variant of a dataset, an objective, a schedule, an adapter.

    ``objective: causal`` takes the loss on every token of a text; ``sft`` on the answer of ``side`` only. Learning
    rate, schedule and the like are those of transformers' ``TrainingArguments``; ``warmup_steps`` counts steps.
    """

    dataset: Name
    variant: Word = "original"
    objective: Literal["causal", "sft"]
    side: Literal["aligned", "misaligned"] | None = None
    epochs: int = Field(1, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    warmup_steps: int = Field(0, ge=0)
    batch_size: int = Field(8, ge=1)
    gradient_accumulation: int = Field(1, ge=1)
    weight_decay: float = Field(0.01, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    max_length: int = Field(2048, ge=8)
    checkpoint_every: int = Field(50, ge=1)
    precision: Literal["float32", "bf16-autocast"] = "float32"
    seed: int = 0
    lora: LoraConfig = LoraConfig.model_validate({})

    @model_validator(mode="after")
    def _side_fits_objective(self) -> "StepConfig":
        if (self.objective == "sft") != (self.side is not None):
            raise ValueError("`objective: sft` needs a `side` (aligned or misaligned); `objective: causal` has none")
        return self
