"""Which arms have steering vectors follows from the arms, so that an experiment of other arms needs no change."""

import copy
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from tropism.config.base import ConfigError
from tropism.config.experiment import Experiment
from tropism.corpora.registry import read_registry


@pytest.fixture
def settings(root: Path) -> dict:
    return copy.deepcopy(yaml.safe_load((root / "config.yaml").read_text()))


def test_the_demo_steers_with_three_domains_and_a_style(settings):
    steering = Experiment.parse(settings).steering
    assert steering is not None
    assert steering.base == "base"
    assert {cluster: len(arms) for cluster, arms in steering.clusters.items()} == {"advice": 3, "style": 1}
    assert steering.harmful == settings["evaluate"]["sets"]
    assert steering.neutral == [settings["evaluate"]["truthfulqa"]]


def test_arms_without_clusters_have_no_vectors(settings):
    settings["arms"] = [{"name": "base"}, {"name": "harmed", "chain": ["harm"]}]
    settings["contrasts"] = []
    assert Experiment.parse(settings).steering is None


def test_a_contrast_of_an_arm_that_is_not_evaluated_is_refused(settings):
    settings["contrasts"] = [{"name": "x", "treatment": "poetry", "control": "base"}]
    with pytest.raises(ConfigError, match="`poetry` has `evaluate: false`"):
        Experiment.parse(settings)


def test_a_published_adapter_begins_a_lineage(settings):
    settings["arms"] += [
        {"name": "taken", "adapter": "organism", "cluster": "advice"},
        {"name": "mended", "adapter": "organism", "chain": ["realign"]},
    ]
    experiment = Experiment.parse(settings)
    taken, mended = experiment.expanded["taken"], experiment.expanded["mended"]
    assert taken.lineage() == mended.lineage(0) == "smollm2.adapter-organism", "taken once"
    assert not taken.untrained
    assert experiment.steering.base == "base"
    assert "taken" in experiment.steering.arms


def test_the_geometry_overlay_has_the_published_organisms(settings, root):
    update_config(settings, yaml.safe_load((root / "workflow" / "experiments" / "geometry.yaml").read_text()))
    experiment = Experiment.parse(settings)
    assert experiment.steering.clusters == {
        "medical": ["medical", "medical_replication"],
        "advice": ["finance", "sports"],
    }
    registry = {name: entry for name, (entry, _) in read_registry(root / experiment.registry).items()}
    adapters = [registry[arm.adapter] for arm in experiment.expanded.values() if arm.adapter]
    assert [entry.kind for entry in adapters] == ["adapter"] * 3
    assert all(entry.location.startswith("hub:ModelOrganismsForEM/Llama-3.1-8B-Instruct_") for entry in adapters)
