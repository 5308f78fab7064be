"""What of an experiment's settings names nothing, could be taken for something else, or would do nothing."""

import difflib
from collections import Counter
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from tropism.config.base import ConfigError
from tropism.config.datasets import DatasetConfig
from tropism.config.training import KlConfig, LoraConfig, SnapshotConfig, StepConfig

if TYPE_CHECKING:
    from tropism.config.experiment import Experiment

RESERVED = ("pooled", "all")
"""What tables call all domains together."""
RUBRICS = ("rubric5", "alignment100")
"""The instruments that judges apply."""
LABELS = "alignment100"
"""The rubric by whose score responses are labelled for features and detectors."""

LONGEST = 190
"""Characters of a lineage's name: a file system takes 255, and a folder that is being written has 56 more at most."""

REPLACED = (
    "an overlay's `arms` takes the place of the whole list: write there again the arms that other settings name, or"
    " change these settings too (`contrasts: []`)"
)


def check_known(key: str, name: str | None, known: Collection[str], kind: str) -> None:
    """Check that what ``key`` names is there; None names nothing.

    Raises:
        ConfigError: it is not.
    """
    if name is not None and name not in known:
        hint = f"; {REPLACED}" if kind == "arm" else ""
        raise ConfigError(f"config: {key}: unknown {kind} `{name}`; known: {', '.join(known) or 'none'}{hint}")


def check_kind(datasets: Mapping[str, DatasetConfig], key: str, name: str, *kinds: str) -> None:
    """Check that a dataset is of one of these kinds.

    Raises:
        ConfigError: it is of another.
    """
    if datasets[name].kind not in kinds:
        raise ConfigError(f"config: {key}: `{name}` holds {datasets[name].kind}, {' or '.join(kinds)} are needed")


def check_steps(steps: Mapping[str, Mapping[str, Any]]) -> None:
    """Check the keys of every step, of those too that no arm uses.

    Raises:
        ConfigError: an unknown key, with the likely right one.
    """
    parts = {"lora": LoraConfig, "kl": KlConfig, "snapshots": SnapshotConfig}
    for name, settings in steps.items():
        _check_keys(f"steps: {name}", settings, StepConfig)
        for key, part in parts.items():
            if isinstance(settings.get(key), dict):
                _check_keys(f"steps: {name}: {key}", settings[key], part)


def _check_keys(place: str, settings: Mapping[str, Any], model: Any) -> None:
    known = sorted(model.model_fields)
    for key in settings:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"config: {place}: {key}: unknown key; {hint}")


def check_compared(experiment: "Experiment") -> None:
    """Check that contrasts and trends name arms or groups that have responses, and no arm beside its own group.

    Raises:
        ConfigError: one that is not there, or that is not evaluated, or that would be compared with itself.
    """
    arms, groups = experiment.expanded, experiment.groups
    sides = [
        (f"contrasts: `{one.name}`", side, getattr(one, side))
        for one in experiment.planned
        for side in ("treatment", "control")
    ]
    # the slopes of trends are planned as well, and are told of as trends
    slopes = {trend.name for trend in experiment.trends}
    sides += [
        (f"contrasts: `{one.name}`", "weights", name)
        for one in experiment.planned
        if one.name not in slopes
        for name in one.weights
    ]
    sides += [
        (f"trends: `{one.name}`", "points", name)
        for one in experiment.trends
        for point in one.points
        for name in (point.arm, point.control)
    ]
    for key, role, name in sides:
        check_known(f"{key}: {role}", name, [*arms, *groups], "arm")
        for member in groups.get(name or "", [name]):
            if member in arms and not arms[member].evaluate:
                raise ConfigError(f"config: {key}: `{member}` has `evaluate: false`")
    compared = [(f"contrasts: `{one.name}`", list(one.terms)) for one in experiment.planned if one.name not in slopes]
    compared += [
        (f"trends: `{one.name}`", [point.arm, point.control])
        for one in experiment.trends
        for point in one.points
        if point.control is not None
    ]
    for key, names in compared:
        for name in names:
            group = next((other for other in names if name in groups.get(other, [])), None)
            if group is not None:
                raise ConfigError(
                    f"config: {key}: `{name}` is one of the group `{group}`: it would be held against itself"
                )


def check_names(experiment: "Experiment") -> None:
    """Check that rows of the tables cannot be taken for one another, and that lineages can be folders.

    Raises:
        ConfigError: an eval set or the name of a contrast occurs twice, a domain is called as all are together, or the
            overrides of a chain make a longer name than a file system takes.
    """
    for lineage, (arm, _) in experiment.lineages.items():
        if len(lineage) > LONGEST:
            raise ConfigError(
                f"config: arms: `{arm.name}`: what its chain overrides makes a folder name of {len(lineage)}"
                f" characters, and {LONGEST} are the most ({lineage[:60]}...); put these settings into steps of"
                " their own below `steps`"
            )
    for key, names in (
        ("evaluate: sets", experiment.evaluate.sets),
        ("contrasts", [contrast.name for contrast in experiment.planned]),
    ):
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ConfigError(f"config: {key}: `{twice[0]}` occurs twice")
    for name, dataset in experiment.datasets.items():
        domain = dataset.domain or name
        if domain in RESERVED:
            raise ConfigError(
                f"config: datasets: {name}: `{domain}` is what tables call all domains; name it otherwise"
            )


def check_instruments(experiment: "Experiment") -> None:
    """Check that what is asked of judges and what they apply is the same, and that labels come from somewhere.

    Raises:
        ConfigError: a rubric of ``evaluate: instruments`` that no judge applies, or the other way round; TruthfulQA
            among them without its questions; or a judge whose labels features or a detector need, and which has no
            alignment score.
    """
    judges = experiment.judges
    applied = {rubric for judge in judges.values() for rubric in judge.rubrics}
    if "instruments" in experiment.evaluate.model_fields_set:
        wanted = experiment.evaluate.instruments
        if "truthfulqa" in wanted and experiment.evaluate.truthfulqa is None:
            raise ConfigError(
                "config: evaluate: instruments: `truthfulqa` needs questions; name a dataset of `kind: questions` as"
                " `evaluate: truthfulqa`, or leave it out here"
            )
        for rubric in RUBRICS:
            if rubric in wanted and rubric not in applied:
                raise ConfigError(f"config: evaluate: instruments: `{rubric}`: no judge has it among its `rubrics`")
            if rubric in applied and rubric not in wanted:
                holder = next(name for name, judge in judges.items() if rubric in judge.rubrics)
                raise ConfigError(
                    f"config: evaluate: instruments: judge `{holder}` applies `{rubric}`, which is not among them; name"
                    f" it here, or leave it out of `judges: {holder}: rubrics`, or remove `{holder}` with all that"
                    " needs its labels (`sae`, `detector`, `steer`)"
                )
    named = experiment.dynamics if experiment.dynamics and experiment.dynamics.judge else None
    for key, part in (("sae", experiment.sae), ("detector", experiment.detector), ("dynamics", named)):
        if part is not None and judges:
            name = part.judge or next(iter(judges))
            if LABELS not in judges[name].rubrics:
                raise ConfigError(f"config: {key}: judge `{name}`, whose labels it needs, does not apply `{LABELS}`")


def check_dynamics(experiment: "Experiment") -> None:
    """Check that the arms of ``dynamics`` can be followed, predicted and compared.

    Raises:
        ConfigError: an unknown name, an arm of another model or without what is read of it, or texts that are none.
    """
    settings = experiment.dynamics
    if settings is None:
        return
    check_known("dynamics: model", settings.model, experiment.models, "model")
    check_known("dynamics: judge", settings.judge, experiment.judges, "judge")
    settings.check_judge("dynamics", experiment.judges)
    for name in [*experiment.followed, *experiment.shifted]:
        check_known("dynamics", name, experiment.expanded, "arm")
        arm = experiment.expanded[name]
        if arm.model != settings.model or not arm.steps or not (arm.evaluate or name not in experiment.shifted):
            raise ConfigError(f"config: dynamics: `{name}` is not a trained and evaluated arm of `{settings.model}`")
    for name in experiment.followed:
        if experiment.expanded[name].steps[-1].settings.snapshots is None:
            raise ConfigError(f"config: dynamics: follow: the last step of `{name}` keeps no `snapshots`")
    if experiment.solutions and settings.narrow:
        check_known("dynamics: narrow: texts", settings.narrow.texts, experiment.datasets, "dataset")
        check_kind(experiment.datasets, "dynamics: narrow: texts", settings.narrow.texts, "texts")
