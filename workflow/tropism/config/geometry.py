"""Settings of the geometry of steering vectors: whose they are, where they are read, how they are compared."""

from typing import Literal

from pydantic import Field

from tropism.config.base import Name, Strict, Word
from tropism.config.sampled import SampledConfig


class AnalysisConfig(Strict):
    """How vectors are compared: bootstrap ``draws`` over prompts, ``nulls`` random sets of vectors of either kind."""

    draws: int = Field(default=1000, ge=100, description="Bootstrap draws over prompts.")
    nulls: int = Field(default=1000, ge=100, description="Random sets of vectors, for each of the two nulls.")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="Level of the intervals and of the nulls' ranges.")
    seed: int = 0


class PartsConfig(Strict):
    """Which prompts of each set make vectors, choose the layer and are reported, and how texts are read."""

    prompts: int = Field(default=24, ge=2)
    validation: int = Field(default=8, ge=1)
    reported: int = Field(default=24, ge=2)
    batch_tokens: int = Field(default=4096, ge=1)
    analysis: AnalysisConfig = AnalysisConfig()


class GeometryConfig(SampledConfig, PartsConfig):
    """Steering vectors of the arms that have a ``cluster``, and what they do in one another's arms.

    They are counted from ``model`` itself. An arm may be of another model of the same shape: a published fine-tune.

    ``harmful``, ``neutral``: datasets of prompts, by default the eval sets with references and the multiple-choice
    questions. Of each set's evaluation prompts, in keyed order, the first ``prompts`` make the vectors; of each harmful
    set the next ``validation`` choose the layer among ``layers`` and the ``reported`` after them measure transfer.
    ``strength`` is what is added, as a share of the base's mean residual norm; ``strengths`` is the grid of the
    dose-response on the base. ``targets``: whether vectors are added to the first arm of each cluster or to all, beside
    the base. ``controls``: random vectors beside them. With ``samples`` every condition is also answered and judged.
    ``arms_per_job`` arms of one base are read by one job.
    """

    model: Name
    harmful: list[Name] | None = None
    neutral: list[Name] | None = None
    layers: list[int] = Field(min_length=1)
    strength: float = Field(default=0.1, gt=0)
    strengths: list[float] = Field(default=[0.05, 0.1, 0.2])
    targets: Literal["first", "all"] = "first"
    controls: int = Field(default=2, ge=1)
    samples: int = Field(default=0, ge=0)
    arms_per_job: int = Field(default=8, ge=1)


class SteeringConfig(GeometryConfig):
    """The same with the experiment's arms: the untrained ``base``, and ``clusters`` of those that have a vector."""

    base: Name
    clusters: dict[Word, list[Name]]

    @property
    def arms(self) -> list[str]:
        """Arms that have a vector, in the order of their clusters."""
        return [arm for members in self.clusters.values() for arm in members]

    @property
    def steered(self) -> list[str]:
        """Arms that vectors are added to."""
        first = [members[0] for members in self.clusters.values()]
        return [self.base, *(first if self.targets == "first" else self.arms)]
