"""Settings of evaluation: which prompts, how responses are sampled, which instruments measure them."""

from typing import Literal

from pydantic import Field

from tropism.config.base import Name, Strict

Instrument = Literal["rubric5", "alignment100", "likelihood", "truthfulqa"]


class EvaluateConfig(Strict):
    """How arms are evaluated.

    ``sets``: datasets whose evaluation split gives the prompts; ``truthfulqa``: a dataset of multiple-choice questions;
    ``samples``: responses a prompt; ``temperature`` 0 is greedy; ``batch_tokens``: padded tokens that a batch may
    hold (with responses that wait in the host's memory, where most run to the limit, at most four times as many);
    ``shard_size``: responses that are written together, so that a killed job goes on from there.
    """

    sets: list[Name] = Field(min_length=1)
    truthfulqa: Name | None = None
    samples: int = Field(1, ge=1)
    max_new_tokens: int = Field(64, ge=1)
    temperature: float = Field(1.0, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    batch_tokens: int = Field(8192, ge=1)
    seed: int = 0
    instruments: tuple[Instrument, ...] = Field(("rubric5", "alignment100", "likelihood", "truthfulqa"), min_length=1)
    shard_size: int = Field(128, ge=1)
