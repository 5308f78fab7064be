"""Datasets of one source, some trained on and some asked: no prompt may be both.

A dataset's own two splits share no prompt. Of two datasets they agree where the file names its splits, or where both
draw them by one seed and the one that is trained on keeps as large a share for evaluation: a smaller share is part of a
larger one.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from tropism.config.datasets import DatasetConfig
from tropism.corpora.registry import locate
from tropism.corpora.sources import read_source
from tropism.records.files import InputError

if TYPE_CHECKING:
    from tropism.config.experiment import Experiment


def check_walls(experiment: "Experiment") -> None:
    """Check that no eval set holds prompts that another dataset of the same source gives to training.

    Raises:
        InputError: naming both datasets.
    """
    steps = [step.settings for arm in experiment.expanded.values() for step in arm.steps if step.settings.side]
    read = [name for step in steps for name in (step.dataset, *(step.kl.datasets if step.kl else []))]
    registry = Path(experiment.registry)
    for name in dict.fromkeys(read):
        for asked in experiment.evaluate.sets:
            one, other = experiment.datasets[name], experiment.datasets[asked]
            if name == asked or one.source != other.source:
                continue
            place = f"config: datasets: {name}: arms are trained on it, and `{asked}`, an eval set of the same source,"
            if other.kind == "prompts":
                raise InputError(f"{place} asks all of its prompts; name {name} in `evaluate: sets` instead")
            drawn_alike = one.seed == other.seed and one.evaluation >= other.evaluation
            if not drawn_alike and not all(_names_splits(data, registry) for data in (one, other)):
                raise InputError(
                    f"{place} splits it otherwise, since the file does not name the split of every row: they would be"
                    f" asked what they were trained on; give both the same `seed`, and {name}"
                    f" `evaluation: {other.evaluation:g}` or more"
                )


def _names_splits(data: DatasetConfig, registry: Path) -> bool:
    """Whether every row of a dataset's file names its split; no where the file is not here yet."""
    try:
        rows = read_source(locate(data.source, registry), data.columns, data.ignore)
    except InputError:
        return False  # to be fetched by a job, or told of when it is cleaned
    return all(row.values.get("split") for row in rows)
