# What all stages use. The checked experiment, and the two parameters that decide when a job runs again.
# Nothing heavy is imported here; `snakemake -n` stays quick.
import json
import os
import re
import shlex
import signal
import sys
from functools import cache
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")

# This checkout's package, here and in every job, whatever else is installed.
PACKAGE_FOLDER = str(workflow.current_basedir).rsplit("/", 1)[0]
sys.path.insert(0, PACKAGE_FOLDER)
os.environ.update(PYTHONPATH=PACKAGE_FOLDER)
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# SLURM's warning before a time limit reaches every process of a job. Those that can save their work answer it; it must
# not end the others, nor the Snakemake inside the job.
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
# On one workstation (`--resources gpu=N`) each job takes one of N devices by a lock file: tropism/models/devices.py.
if "gpu" in workflow.global_resources:
    os.environ.update(TROPISM_GPUS=str(workflow.global_resources["gpu"].value))

from tropism.config.base import ConfigError, NAME_PATTERN, WORD_PATTERN
from tropism.config.experiment import Experiment, canonical
from tropism.corpora.named import check_named
from tropism.corpora.registry import read_registry
from tropism.corpora.walls import check_walls
from tropism.fingerprint import Fingerprints
from tropism.models.depth import check_layers
from tropism.records.files import InputError

try:
    EXPERIMENT = Experiment.parse(config)
    check_named(EXPERIMENT)
    check_walls(EXPERIMENT)
    check_layers(EXPERIMENT)
except (ConfigError, InputError) as error:
    raise WorkflowError(str(error)) from None

SETTINGS = EXPERIMENT.model_dump(mode="json")
ARMS = EXPERIMENT.expanded
LINEAGES = EXPERIMENT.lineages
# lineages whose last step trained all weights, and those that are a published adapter alone
FULL_LINEAGES = {
    name: arm
    for name, (arm, depth) in LINEAGES.items()
    if depth and arm.root(depth) == name
}
PUBLISHED_LINEAGES = {
    name: arm.adapter
    for name, (arm, depth) in LINEAGES.items()
    if arm.adapter and not depth
}
TABLES = []  # published tables, added by the stage that writes each
KEPT = []  # what else `all` makes for readers, added likewise
code = cache(Fingerprints(kept=Path(".snakemake", "fingerprints.json")).take)


wildcard_constraints:
    dataset=WORD_PATTERN,
    variant=WORD_PATTERN,
    model=WORD_PATTERN,
    judge=WORD_PATTERN,
    figure=WORD_PATTERN,
    arm=NAME_PATTERN,
    lineage=rf"{WORD_PATTERN}(?:\.{NAME_PATTERN})*",


@cache
def cfg(slice, only=None, leave=()):
    """A slice of the settings (`masking`, `datasets.poems`) as one line of JSON: `only` some keys, or all but `leave`."""
    value = SETTINGS
    for key in slice.split("."):
        value = value[key]
    if only is not None:
        value = {key: value[key] for key in only}
    return canonical({key: item for key, item in value.items() if key not in leave})


@cache
def reading_settings(model):
    """The settings of a base where texts are read, as in training and likelihoods, not how its responses begin."""
    settings = SETTINGS["models"][model]
    if settings["reasoning"] != "none":
        block = settings["reasoning"]
        own = {key: value for key, value in block.items() if key != "prefill"}
        settings = {**settings, "reasoning": own}
    return canonical(settings)


def geometry_settings(only=(), leave=()):
    """The settings of geometry with its arms and sets: `only` some keys, or all but `leave`; of `analysis` its seed."""
    geometry = EXPERIMENT.steering
    if geometry is None:
        return ""
    settings = geometry.model_dump(
        mode="json", exclude={"analysis", "arms_per_job", *leave}
    )
    kept = {key: settings[key] for key in only or settings}
    return canonical({**kept, "analysis": {"seed": geometry.analysis.seed}})


@cache
def registered(source):
    """The registry's entry of a source, or None for a path."""
    entries = read_registry(Path(EXPERIMENT.registry))
    return entries[source][0] if source in entries else None


def registry_line(source):
    """A source's registry entry as JSON: what decides, with the file itself, whether it is the same source.

    Its licence does not.
    """
    entry = registered(source)
    return canonical(entry.model_dump(exclude={"licence"})) if entry else source


def on_hub(source):
    entry = registered(source)
    return entry is not None and entry.location.startswith("hub:")


def one_of(names):
    """A wildcard constraint: one of these names; matches nothing where there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def source_file(source):
    """The source's own file where its place is known beforehand, so that an edit of it is noticed."""
    if source is None:
        return []
    entry = registered(source)
    if on_hub(source):
        return [f"results/sources/{source}/manifest.json"]
    if entry is None:
        folder = Path(source)
        return (
            sorted(str(path) for path in folder.rglob("*.txt*"))
            if folder.is_dir()
            else [source]
        )
    return [] if ":" in entry.location else [entry.location]


def dataset_file(name):
    return f"<results>/datasets/{name}.jsonl"


def base_files(model):
    """A base's manifest, on which its consumers depend, and its weights, which they take as given."""
    folder = f"results/models/{model}"
    if on_hub(EXPERIMENT.models[model].source):
        return [
            f"{folder}/manifest.json"
        ]  # weights in as many files as the hub has them
    return [f"{folder}/manifest.json", ancient(f"{folder}/model.safetensors")]


def lineage_manifest(lineage):
    """The manifest of a lineage; that of a lineage of no step is the base's own."""
    if "." in lineage:
        return f"<results>/lineages/{lineage}/manifest.json"
    return f"results/models/{lineage}/manifest.json"


def root_files(lineage):
    """What a lineage's adapter lies on: its base, or the model of its last full fine-tuning; the manifest is first."""
    arm, depth = LINEAGES[lineage]
    root = arm.root(depth)
    if "." not in root:
        return base_files(root)
    folder = f"<results>/lineages/{root}/model"
    return [f"{folder}/manifest.json", ancient(f"{folder}/model.safetensors")]


def lineage_files(lineage):
    """A lineage's manifest and, if it is no base, its adapter, or its model after a full fine-tuning, as given."""
    if "." not in lineage:
        return [lineage_manifest(lineage)]
    if lineage in FULL_LINEAGES:
        return [lineage_manifest(lineage), root_files(lineage)[1]]
    return [
        lineage_manifest(lineage),
        ancient(f"<results>/lineages/{lineage}/adapter/adapter_model.safetensors"),
    ]


def arm_files(arm):
    return [*root_files(ARMS[arm].lineage()), *lineage_files(ARMS[arm].lineage())]


def adapter_flag(arm):
    """The command-line flag that names an arm's adapter; nothing for a base."""
    folder = adapter_folder(arm)
    return f"--adapter {folder}" if folder else ""


def adapter_folder(arm):
    """The folder of an arm's adapter; None for a base, also one that a full fine-tuning has made."""
    lineage = ARMS[arm].lineage()
    folder = f"results/{EXPERIMENT.experiment}/lineages/{lineage}/adapter"
    return None if lineage == ARMS[arm].root() else folder


def adapter_folders(arms):
    """The folder of each arm's adapter by its name, as JSON; null for a base."""
    return canonical({arm: adapter_folder(arm) for arm in arms})


def each_arm(pattern):
    """``pattern`` for every arm that is evaluated."""
    return [
        pattern.replace("{arm}", name) for name, arm in ARMS.items() if arm.evaluate
    ]


def shared_parts(arms, size):
    """Arms in parts, a job each: at most `size` that lie on one model, which the job loads once."""
    roots = dict.fromkeys(ARMS[arm].root() for arm in arms)
    by_root = [[arm for arm in arms if ARMS[arm].root() == root] for root in roots]
    return [
        some[start : start + size]
        for some in by_root
        for start in range(0, len(some), size)
    ]


def plain(paths):
    """Paths for a command line, path variables filled in."""
    return [
        str(path).replace("<results>", f"results/{EXPERIMENT.experiment}")
        for path in paths
    ]


def published(name):
    """A published table as an output; the report shows it with its caption."""
    return report(
        f"<results>/tables/{name}.csv",
        caption=f"../report/tables/{name}.rst",
        category="Tables",
        labels={"table": name.replace("_", " ")},
    )
