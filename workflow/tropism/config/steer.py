"""Settings of interventions: which features are turned up and down, in which arms, and what stands beside them."""

from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from tropism.config.base import Name
from tropism.config.sampled import SampledConfig


class SteerConfig(SampledConfig):
    """Interventions on the dictionary of ``sae``.

    ``features``: indices, or how many of the features that tell most in ``population``, global ones first; they are
    ranked on prompts that interventions are not measured on, as ``sae/ranking.csv`` has them.
    ``necessary``: arms in which negative doses suppress; by number, the first ones whose last step trains the
    misaligned side. ``sufficient``: arms in which positive doses amplify; by number, the first untrained ones. Only
    arms of the dictionary's model count; an arm in both gets all doses.
    ``doses``: below zero, the share of the activation that is taken away, -1 ablates; above zero, how many times the
    feature's typical peak activation is added at every edited position.
    ``random``: features beside each one, drawn from those of the nearest activation norm and given edits of equal norm.
    ``prompts``: evaluation prompts with both references, a domain, by keyed hash.
    ``max_loss``: points of coherence, of 100, that a cause may cost before it is only called damage;
    ``max_logp_loss``: the same in nats/token of the likelier reference's log-probability.
    """

    features: PositiveInt | list[int] = 2
    population: Literal["references", "generations"] = "references"
    necessary: NonNegativeInt | list[Name] = 1
    sufficient: NonNegativeInt | list[Name] = 1
    doses: list[float] = Field([-2.0, -1.0, 1.0, 2.0, 4.0], min_length=1)
    random: int = Field(8, ge=2)
    positions: Literal["all", "response"] = "response"
    prompts: int = Field(24, ge=1)
    batch_tokens: int = Field(8192, ge=1)
    max_loss: float = Field(10.0, ge=0)
    max_logp_loss: float = Field(0.5, ge=0)
    alpha: float = Field(0.05, gt=0, lt=1)
    draws: int = Field(2000, ge=100)
    seed: int = 0

    @model_validator(mode="after")
    def _doses_fit(self) -> Self:
        if 0.0 in self.doses or len(set(self.doses)) < len(self.doses):
            raise ValueError("doses: give each once, and not 0, which is always measured")
        if isinstance(self.features, list) and (not self.features or min(self.features) < 0):
            raise ValueError("features: a number of features, or their indices from 0")
        if isinstance(self.necessary, list) and min(self.doses) > 0:
            raise ValueError("`necessary` arms need a negative dose")
        if isinstance(self.sufficient, list) and max(self.doses) < 0:
            raise ValueError("`sufficient` arms need a positive dose")
        return self
