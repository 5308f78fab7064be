"""The whole experiment: every slice, checked together."""

import json
import re
from functools import cached_property
from typing import Any, Self

from pydantic import Field, model_validator

from tropism.config.annotator import AnnotatorConfig
from tropism.config.archive import ArchiveConfig
from tropism.config.arms import Arm, ArmConfig, combinations, expand_arms, fill, filled_weights, groups_of
from tropism.config.base import ConfigError, Name, Strict, Word
from tropism.config.checks import (
    check_compared,
    check_dynamics,
    check_instruments,
    check_kind,
    check_known,
    check_names,
    check_steps,
)
from tropism.config.datasets import DatasetConfig
from tropism.config.detector import DetectorConfig
from tropism.config.dynamics import DynamicsConfig
from tropism.config.evaluate import EvaluateConfig
from tropism.config.geometry import GeometryConfig, SteeringConfig
from tropism.config.judges import JudgeConfig
from tropism.config.masking import VARIANTS, MaskingConfig
from tropism.config.models import ModelConfig
from tropism.config.sae import SaeConfig
from tropism.config.serving import ServingConfig, check_served
from tropism.config.solutions import general_of, goes_on_from
from tropism.config.stats import Contrast, ContrastConfig, StatsConfig, TrendConfig
from tropism.config.steer import SteerConfig
from tropism.config.training import StepConfig


class Experiment(Strict):
    """``config.yaml`` with the overlays of an experiment laid on it.

    ``steps`` holds each step's settings; an arm's chain may override them. ``gold`` is the dataset of gold metaphor
    labels, a source of the registry or a path. An overlay removes a model, dataset, step or judge by ``name: null``.
    """

    experiment: Name
    registry: str = "resources/registry.csv"
    models: dict[Word, ModelConfig] = Field(min_length=1)
    datasets: dict[Word, DatasetConfig]
    gold: str | None = None
    annotator: AnnotatorConfig
    masking: MaskingConfig
    steps: dict[Word, dict[str, Any]]
    arms: list[ArmConfig] = Field(min_length=1)
    evaluate: EvaluateConfig
    serving: dict[Word, ServingConfig] = Field(default_factory=dict)
    judges: dict[Word, JudgeConfig]
    stats: StatsConfig = StatsConfig()
    contrasts: list[ContrastConfig] = Field(default_factory=list)
    trends: list[TrendConfig] = Field(default_factory=list)
    sae: SaeConfig | None = None
    detector: DetectorConfig | None = None
    archive: ArchiveConfig = ArchiveConfig()
    dynamics: DynamicsConfig | None = None
    steer: SteerConfig | None = None
    geometry: GeometryConfig | None = None

    @cached_property
    def expanded(self) -> dict[str, Arm]:
        """Every arm by name, sweeps written out."""
        return expand_arms(self.arms, self.steps, list(self.models))

    @cached_property
    def planned(self) -> list[Contrast]:
        """Every planned contrast, sweeps written out, and the slope of every trend."""
        rows = []
        for entry in self.contrasts:
            for variables in combinations(entry.sweep):
                row = fill(entry.model_dump(exclude={"sweep", "weights"}), variables)
                rows.append(row | {"weights": filled_weights(entry.name, entry.weights, variables)})
        return [*(Contrast.parse(row, "contrasts") for row in rows), *(trend.slope() for trend in self.trends)]

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """The arms of each group of repeated trainings."""
        return groups_of(self.expanded)

    @cached_property
    def lineages(self) -> dict[str, tuple[Arm, int]]:
        """Every trained lineage: an arm it belongs to and its number of steps. Equal prefixes are one lineage."""
        return {
            arm.lineage(depth): (arm, depth) for arm in self.expanded.values() for depth in range(len(arm.steps) + 1)
        }

    @cached_property
    def steering(self) -> SteeringConfig | None:
        """The settings of ``geometry`` with the arms and sets that they are about; None for fewer than two vectors."""
        if self.geometry is None:
            return None
        clusters: dict[str, list[str]] = {}
        base = None
        for name, arm in self.expanded.items():
            if arm.cluster:
                clusters.setdefault(arm.cluster, []).append(name)
            elif base is None and arm.untrained and arm.model == self.geometry.model:
                base = name
        harmful = [name for name in self.evaluate.sets if self.datasets[name].kind == "conversations"]
        sets = {"harmful": harmful, "neutral": [self.evaluate.truthfulqa] if self.evaluate.truthfulqa else []}
        given = {key: value for key, value in self.geometry.model_dump().items() if value is not None}
        if base is None or sum(map(len, clusters.values())) < 2 or not {**sets, **given}["harmful"]:
            return None
        return SteeringConfig.parse({**sets, **given, "base": base, "clusters": clusters}, "geometry")

    @model_validator(mode="before")
    @classmethod
    def _null_removes_an_entry(cls, settings: Any) -> Any:
        if not isinstance(settings, dict):
            return settings
        named = ("models", "datasets", "steps", "judges")
        dropped = {
            key: {name: entry for name, entry in settings[key].items() if entry is not None}
            for key in named
            if isinstance(settings.get(key), dict)
        }
        both = {**settings, **dropped}
        return {**both, "sae": SaeConfig.read_by(both["sae"], both.get("models"))} if "sae" in both else both

    @cached_property
    def steered(self) -> dict[str, list[float]]:
        """The arms that are intervened on, each with its doses in order."""
        if self.steer is None or self.sae is None:
            return {}
        own = {name: arm for name, arm in self.expanded.items() if arm.model == self.sae.model}
        turned = [name for name, arm in own.items() if arm.steps and arm.steps[-1].settings.side == "misaligned"]
        untrained = [name for name, arm in own.items() if arm.untrained]

        def named(chosen: int | list[str], candidates: list[str]) -> list[str]:
            return chosen if isinstance(chosen, list) else candidates[:chosen]

        necessary, sufficient = named(self.steer.necessary, turned), named(self.steer.sufficient, untrained)
        doses = {
            name: sorted(dose for dose in self.steer.doses if name in (necessary if dose < 0 else sufficient))
            for name in own
        }
        return {name: given for name, given in doses.items() if given}

    @cached_property
    def feature_pairs(self) -> dict[str, list[str]]:
        """Treatment and control of each planned contrast whose arms' features are compared."""
        models = {name: arm.model for name, arm in self.expanded.items()}
        return self.sae.pairs(self.planned, models) if self.sae else {}

    def _last_harmed(self) -> dict[str, StepConfig]:
        """The last steps of the arms of ``dynamics.model`` that were last trained on misaligned answers."""
        model = self.dynamics.model if self.dynamics else None
        scored = {name: arm for name, arm in self.expanded.items() if arm.evaluate and arm.model == model}
        last = {name: arm.steps[-1].settings for name, arm in scored.items() if arm.steps}
        return {name: step for name, step in last.items() if step.side == "misaligned"}

    @cached_property
    def followed(self) -> list[str]:
        """The arms that are followed over the snapshots of their last step."""
        chosen = self.dynamics.follow if self.dynamics else 0
        return (
            chosen if isinstance(chosen, list) else [n for n, s in self._last_harmed().items() if s.snapshots][:chosen]
        )

    @cached_property
    def shifted(self) -> list[str]:
        """The arms whose outcomes are predicted and whose shifts are compared."""
        chosen = self.dynamics.arms if self.dynamics else 0
        return chosen if isinstance(chosen, list) else list(self._last_harmed())[:chosen]

    @cached_property
    def solutions(self) -> dict[str, str]:
        """Each narrow arm and the general one: the same lineage but for the KL term of the last step."""
        return general_of(self.expanded, self._last_harmed()) if self.dynamics and self.dynamics.narrow else {}

    @cached_property
    def unpaired(self) -> list[str]:
        """The narrow arms that no general one matches."""
        last = self._last_harmed() if self.dynamics and self.dynamics.narrow else {}
        return [name for name, step in last.items() if step.objective == "sft+kl" and name not in self.solutions]

    @cached_property
    def drifted(self) -> dict[str, str]:
        """Each of these narrow arms and the one that goes on from it without the KL term, where there is one."""
        return goes_on_from(self.expanded, self.solutions, "sft")

    @cached_property
    def held(self) -> dict[str, str]:
        """Each of these narrow arms and the one that goes on from it with the same KL term, where there is one."""
        return goes_on_from(self.expanded, self.solutions, "sft+kl")

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        check_steps(self.steps)
        for arm in self.expanded.values():
            for step in arm.steps:
                key = f"arms: `{arm.name}`, step `{step.slug}`"
                check_known(f"{key}: dataset", step.settings.dataset, self.datasets, "dataset")
                check_known(f"{key}: variant", step.settings.variant, VARIANTS, "variant")
                check_kind(
                    self.datasets,
                    key,
                    step.settings.dataset,
                    "texts" if step.settings.side is None else "conversations",
                )
                for other in step.settings.kl.datasets if step.settings.kl else []:
                    check_known(f"{key}: kl: datasets", other, self.datasets, "dataset")
                    check_kind(self.datasets, f"{key}: kl: datasets", other, "conversations")
                    if other == step.settings.dataset:
                        raise ConfigError(f"config: {key}: kl: datasets: `{other}` is trained on; name other domains")
                dataset = self.datasets[step.settings.dataset]
                if step.settings.variant == "literal" and dataset.literal is None:
                    raise ConfigError(f"config: {key}: `{step.settings.dataset}` names no `literal` counterpart")
        for name, dataset in self.datasets.items():
            check_known(f"datasets: {name}: literal", dataset.literal, self.datasets, "dataset")
        for name in self.evaluate.sets:
            check_known("evaluate: sets", name, self.datasets, "dataset")
            check_kind(self.datasets, "evaluate: sets", name, "conversations", "prompts")
        check_known("evaluate: truthfulqa", self.evaluate.truthfulqa, self.datasets, "dataset")
        if self.evaluate.truthfulqa:
            check_kind(self.datasets, "evaluate: truthfulqa", self.evaluate.truthfulqa, "questions")
        for name in self.serving:
            check_known("serving", name, self.models, "model")
        check_served(self.serving, self.expanded.values())
        check_known("annotator: model", self.annotator.model, self.models, "model")
        for name, judge in self.judges.items():
            check_known(f"judges: {name}: model", judge.model, self.models, "model")
            for reference in judge.references:
                check_known(f"judges: {name}: references", reference, self.datasets, "dataset")
                check_kind(self.datasets, f"judges: {name}: references", reference, "conversations")
        check_compared(self)
        if self.geometry:
            self._geometry_is_known(self.geometry)
        for slice_name, part in (("sae", self.sae), ("detector", self.detector)):
            if part is not None and not self.judges:
                raise ConfigError(f"config: {slice_name}: needs a judge's labels, and `judges` is empty")
            check_known(f"{slice_name}: judge", part.judge if part else None, self.judges, "judge")
        if self.steer:
            if self.sae is None:
                raise ConfigError("config: steer: needs a dictionary, and there is no `sae`")
            check_known("steer: judge", self.steer.judge, self.judges, "judge")
            self.steer.check_judge("steer", self.judges)
            for role in ("necessary", "sufficient"):
                named = getattr(self.steer, role)
                for name in named if isinstance(named, list) else []:
                    check_known(f"steer: {role}", name, self.expanded, "arm")
                    if self.expanded[name].model != self.sae.model:
                        raise ConfigError(f"config: steer: {role}: `{name}` is no arm of `{self.sae.model}`, as sae is")
        if self.sae:
            check_known("sae: model", self.sae.model, self.models, "model")
            if self.sae.system_prompt != self.models[self.sae.model].system_prompt:
                raise ConfigError("config: sae: system_prompt: set it in `models`; arms answered under that one")
            self.sae.pairs(self.planned, {name: arm.model for name, arm in self.expanded.items()})
            for name in self.sae.texts:
                check_known("sae: texts", name, self.datasets, "dataset")
                check_kind(self.datasets, "sae: texts", name, "texts", "conversations")
        if self.detector and self.sae is None:
            raise ConfigError(
                "config: detector: needs a dictionary of features, and there is no `sae`; set both or neither"
            )
        if self.detector and self.sae and not self.sae.source and max(self.detector.ks) > self.sae.d_sae:
            raise ConfigError(
                f"config: detector: ks: {max(self.detector.ks)} features of a dictionary that learns {self.sae.d_sae}"
                " (`sae: d_sae`); lower the one or raise the other"
            )
        check_dynamics(self)
        check_names(self)
        check_instruments(self)
        return self

    def _geometry_is_known(self, geometry: GeometryConfig) -> None:
        check_known("geometry: model", geometry.model, self.models, "model")
        check_known("geometry: judge", geometry.judge, self.judges, "judge")
        geometry.check_judge("geometry", self.judges)
        kinds = {"harmful": ("conversations",), "neutral": ("conversations", "prompts", "questions")}
        for key, names in (("harmful", geometry.harmful), ("neutral", geometry.neutral)):
            for name in names or []:
                check_known(f"geometry: {key}", name, self.datasets, "dataset")
                check_kind(self.datasets, f"geometry: {key}", name, *kinds[key])


def canonical(value: Any) -> str:
    """``value`` as one line of JSON with sorted keys: what Snakemake compares to tell whether settings changed.

    Braces within its texts are written as escapes, since Snakemake would take `{part}` for a wildcard.
    """
    line = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    texts = re.compile(r'"(?:[^"\\]|\\.)*"')
    return texts.sub(lambda text: text[0].replace("{", r"\u007b").replace("}", r"\u007d"), line)


def json_schema() -> str:
    """The JSON schema of ``config.yaml``."""
    return json.dumps(Experiment.model_json_schema(), indent=2, sort_keys=True) + "\n"
