"""What the README says is true of the tree: its files, its commands, its examples, its numbers."""

import copy
import re
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from tropism.config.experiment import Experiment
from tropism.figures.summary import summarise


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


def test_every_file_that_it_links_or_names_is_there(root, readme):
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", readme)
    named = re.findall(r"`((?:workflow|resources|docs|envs|benchmarks)/[\w./-]+)`", readme)
    assert linked
    assert [name for name in linked + named if not (root / name).exists()] == []


def test_its_make_commands_exist(root, readme):
    targets = set(re.findall(r"^([\w-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^    )make ([\w-]+)", readme, re.MULTILINE)) <= targets


@pytest.mark.parametrize("number", [0, 1])
def test_its_examples_are_valid_settings(root, readme, number):
    example = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)[number])
    config = yaml.safe_load((root / "config.yaml").read_text())
    update_config(config, copy.deepcopy(example))
    config["contrasts"] = example.get("contrasts", [])
    assert len(Experiment.parse(config).expanded) > 1


def test_its_sweep_over_seeds_names_them_as_repeats(root, readme):
    example = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)[1])
    config = yaml.safe_load((root / "config.yaml").read_text())
    update_config(config, example)
    groups = Experiment.parse(config).groups
    assert groups["poetry-medical"] == [f"poetry-medical-s{seed}" for seed in range(3)]
    assert len(groups) == 6


def test_its_results_are_those_of_the_committed_run(root, readme):
    block = re.search(r"```text\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    computed = summarise(root / "docs" / "demo", "base").strip().split("\n\n")[0]
    assert block[1].strip() == computed


def test_every_stage_is_a_room(root, readme):
    rows = re.findall(r"^\| `(\w+)` \| ", readme.split("## Stages")[1].split("## ")[0], re.MULTILINE)
    assert all((root / "workflow" / "tropism" / room).exists() for room in rows)
    assert "detect" in rows
