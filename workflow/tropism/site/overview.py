"""What the first view says of an experiment: its arms and their lineages, judges, sets and settings."""

from typing import Any

from tropism.config.experiment import Experiment


def describe(experiment: Experiment) -> dict[str, Any]:
    """Names and structure only; nothing that was measured."""
    return {
        "experiment": experiment.experiment,
        "models": {name: model.source for name, model in experiment.models.items()},
        "arms": [
            {"name": name, "lineage": [arm.lineage(depth) for depth in range(len(arm.steps) + 1)]}
            for name, arm in experiment.expanded.items()
        ],
        "groups": experiment.groups,
        "lineages": {
            lineage: _step(arm.steps[depth - 1].slug, arm.steps[depth - 1].settings.model_dump(mode="json"))
            for lineage, (arm, depth) in experiment.lineages.items()
            if depth
        },
        "sets": experiment.evaluate.sets,
        "judges": {name: {"kind": judge.kind, "model": judge.model} for name, judge in experiment.judges.items()},
        "confidence": experiment.stats.confidence,
        "settings": experiment.model_dump(mode="json"),
    }


def _step(slug: str, settings: dict[str, Any]) -> dict[str, Any]:
    kept = ("dataset", "variant", "objective", "side", "epochs", "learning_rate", "seed")
    return {"step": slug.split("-")[0], **{name: settings[name] for name in kept if settings.get(name) is not None}}
