"""Arms: a base and a chain of training steps, written out or swept over."""

import itertools
from typing import Any

from pydantic import Field, model_validator

from tropism.config.base import ConfigError, Name, Strict, Word
from tropism.config.training import StepConfig

NONE = "none"


class LinkConfig(Strict):
    """One step of a chain: a step's name and what is different from its settings in ``steps``."""

    step: str
    override: dict[str, Any] = Field(default_factory=dict)


class ArmConfig(Strict):
    """One arm, or one for each combination of ``sweep``; ``{variable}`` is replaced everywhere but in ``cluster``.

    ``chain`` lists steps in order: a step's name, or a mapping with the key ``step`` and settings that differ from the
    step's own. A step named ``none`` drops out, so that a sweep can include "no pretraining". Arms of one ``group`` are
    one training repeated with other seeds; tables have the group beside them, and contrasts may name it. Arms with a
    ``cluster`` have a steering vector in ``geometry``, where those of one cluster are held to be of one kind.
    ``adapter`` is a published LoRA of the base, by its name in the registry, on which the chain, if any, goes on. One
    that is not to ``evaluate`` is trained where a stage needs it, and has no responses and no judgments; likelihoods
    only where the drift of a narrow arm is measured by it.
    """

    name: str = Field(min_length=1)
    model: str | None = None
    adapter: str | None = None
    group: str | None = Field(default=None, min_length=1)
    chain: list[str | dict[str, Any]] = Field(default_factory=list)
    sweep: dict[Word, list[str | int | float]] = Field(default_factory=dict)
    cluster: Word | None = None
    evaluate: bool = True


class Step(Strict):
    """A step of an arm's lineage: its name in the file system and its full settings."""

    slug: Name
    settings: StepConfig


class Arm(Strict):
    """One arm: a base, a published adapter on it or none, and its lineage of steps; with neither, the base itself."""

    name: Name
    model: Word
    adapter: Name | None = None
    steps: tuple[Step, ...]
    group: Name | None = None
    cluster: Word | None = None
    evaluate: bool = True

    @model_validator(mode="after")
    def _full_keeps_vectors(self) -> "Arm":
        vector = None
        for step in self.steps:
            if step.settings.method == "full" and vector is not None:
                raise ValueError(
                    f"step `{step.slug}` of `method: full` after the vector of `{vector}`: the vector is a bias, which"
                    " the base's architecture has no place for, so the saved model would lose it. Put `method: full`"
                    " before `method: vector`, or train `method: lora` after it"
                )
            vector = step.slug if step.settings.method == "vector" else vector
        return self

    def lineage(self, depth: int | None = None) -> str:
        """The name of the lineage's first ``depth`` steps (all by default): base and steps, joined by dots."""
        published = [f"adapter-{self.adapter}"] if self.adapter else []
        return ".".join([self.model, *published, *(step.slug for step in self.steps[:depth])])

    def root(self, depth: int | None = None) -> str:
        """What the lineage's adapter lies on: the base, or the lineage up to its last full fine-tuning."""
        full = [i for i, step in enumerate(self.steps[:depth]) if step.settings.method == "full"]
        return self.lineage(full[-1] + 1) if full else self.model

    @property
    def untrained(self) -> bool:
        """Whether it is the base itself."""
        return not self.steps and self.adapter is None


def fill(value: Any, variables: dict[str, Any]) -> Any:
    """``value`` with ``{variable}`` replaced; a string that is one variable alone takes the variable's own type."""
    if isinstance(value, str):
        if value.startswith("{") and value.endswith("}") and value[1:-1] in variables:
            return variables[value[1:-1]]
        try:
            return value.format(**variables)
        except (KeyError, IndexError, ValueError) as error:
            known = ", ".join(variables) or "none"
            raise ConfigError(f"`{value}`: no sweep variable {error}; known here: {known}") from None
    if isinstance(value, dict):
        return {key: fill(item, variables) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, variables) for item in value]
    return value


def filled_weights(contrast: str, weights: dict[str, float], variables: dict[str, Any]) -> dict[str, float]:
    """The weights of a contrast with the names of arms written out.

    Raises:
        ConfigError: two of them become one arm, of which only the last weight would be left.
    """
    filled: dict[str, float] = {}
    for written, weight in weights.items():
        name = str(fill(written, variables))
        if name in filled:
            values = ", ".join(f"{key} {value}" for key, value in variables.items())
            raise ConfigError(
                f"contrasts: `{contrast}`: weights: two of them are `{name}` where {values}; leave that value out of"
                " the sweep"
            )
        filled[name] = weight
    return filled


def combinations(sweep: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Every combination of the sweep's values, the last variable fastest; one empty one for no sweep."""
    return [dict(zip(sweep, values, strict=True)) for values in itertools.product(*sweep.values())]


def expand_arms(arms: list[ArmConfig], steps: dict[str, dict[str, Any]], models: list[str]) -> dict[str, Arm]:
    """The experiment's arms by name.

    Raises:
        ConfigError: an unknown step, model or sweep variable, a setting that does not fit, or a name given twice.
    """
    expanded: dict[str, Arm] = {}
    for entry in arms:
        for variables in combinations(entry.sweep):
            where = f"arms: `{entry.name}`"
            named = {key: _named(value) for key, value in variables.items()}
            name = str(fill(entry.name, named))
            model = str(fill(entry.model, variables)) if entry.model else models[0]
            if model not in models:
                raise ConfigError(f"{where}: unknown model `{model}`; known: {', '.join(models)}")
            chain = [_step(fill(link, variables), steps, f"{where} ({name})") for link in entry.chain]
            group = str(fill(entry.group, named)) if entry.group else None
            steps_of = [step.model_dump() for step in chain if step]
            adapter = str(fill(entry.adapter, variables)) if entry.adapter else None
            about = {"group": group, "cluster": entry.cluster, "evaluate": entry.evaluate, "adapter": adapter}
            arm = Arm.parse({"name": name, "model": model, "steps": steps_of, **about}, where)
            if name in expanded and expanded[name] != arm:
                raise ConfigError(f"{where}: two different arms are named `{name}`; name every sweep variable in it")
            expanded[name] = arm
    return expanded


def groups_of(arms: dict[str, Arm]) -> dict[str, list[str]]:
    """The arms of each group, in order.

    Raises:
        ConfigError: a group has an arm's name, its arms differ in more than their seeds, two of them are the same
            training, which would count as two, or some have no responses.
    """
    groups: dict[str, list[str]] = {}
    for arm in arms.values():
        if arm.group is not None:
            groups.setdefault(arm.group, []).append(arm.name)
    for group, members in groups.items():
        if group in arms:
            raise ConfigError(f"arms: group `{group}` has the name of an arm; give it another")
        plain = {
            (arms[name].model, arms[name].adapter, *(_without_seed(step) for step in arms[name].steps))
            for name in members
        }
        if len(plain) > 1:
            raise ConfigError(f"arms: group `{group}`: its arms differ in more than their seeds: {', '.join(members)}")
        trainings: dict[tuple[str, ...], str] = {}
        for name in members:
            other = trainings.setdefault(tuple(step.settings.model_dump_json() for step in arms[name].steps), name)
            if other != name:
                raise ConfigError(
                    f"arms: group `{group}`: `{other}` and `{name}` are the same training, seed included, and would"
                    " count as two; give each a seed of its own, or leave one out"
                )
        if len({arms[name].evaluate for name in members}) > 1:
            left = next(name for name in members if not arms[name].evaluate)
            raise ConfigError(f"arms: group `{group}`: `{left}` has `evaluate: false` and others have not")
    return groups


def _without_seed(step: Step) -> str:
    return step.settings.model_copy(update={"seed": 0}).model_dump_json()


def _step(link: Any, steps: dict[str, dict[str, Any]], where: str) -> Step | None:
    override = dict(link) if isinstance(link, dict) else {"step": link}
    name = str(override.pop("step", NONE))
    if name == NONE:
        return None
    if name not in steps:
        raise ConfigError(f"{where}: unknown step `{name}`; known: {', '.join(steps)}")
    settings = StepConfig.parse(merged(steps[name], override), f"{where}, step `{name}`")

    def _changes(key: str) -> bool:
        """Whether a setting differs from the step's own; one that does not is no other training."""
        try:
            return StepConfig.parse(merged(steps[name], {k: v for k, v in override.items() if k != key})) != settings
        except ConfigError:
            return True

    shown = [name, settings.dataset, settings.variant, f"s{settings.seed}"]
    others = sorted(key for key in set(override) - {"dataset", "variant", "seed"} if _changes(key))
    shown += [f"{key}_{_plain(_written(override[key], getattr(settings, key)))}" for key in others]
    return Step(slug="-".join(shown), settings=settings)


def merged(settings: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    """``settings`` with ``override`` laid on it; a mapping within changes the keys that it names and keeps the rest."""
    both = {
        key: merged(settings[key], value) if isinstance(value, dict) and isinstance(settings.get(key), dict) else value
        for key, value in override.items()
    }
    return {**settings, **both}


def _named(value: Any) -> Any:
    """A sweep's value in the name of an arm, where a decimal point has no place: 0.25 is ``0_25``."""
    return str(value).replace(".", "_") if isinstance(value, float) else value


def _written(value: Any, read: Any) -> Any:
    """A setting as it is named: numbers in one way, however they were written, since YAML takes 1e-4 for a text."""
    if isinstance(read, float):
        return int(read) if read.is_integer() else read
    return read if type(read) is int else value


def _plain(value: Any) -> str:
    """A setting's value as part of a file name."""
    text = "_".join(f"{k}_{_plain(v)}" for k, v in sorted(value.items())) if isinstance(value, dict) else str(value)
    return "".join(character if character.isalnum() else "_" for character in text)
