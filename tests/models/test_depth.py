"""A layer that the base does not have is refused while planning, where the base is there to be asked."""

import copy
import json

import pytest
import yaml
from snakemake.utils import update_config

from tropism.config.base import ConfigError
from tropism.config.experiment import Experiment
from tropism.models.depth import check_layers


@pytest.fixture
def check(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results" / "models" / "smollm2"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"num_hidden_layers": 30}))

    def call(overlay):
        config = yaml.safe_load((root / "config.yaml").read_text())
        update_config(config, copy.deepcopy(yaml.safe_load(overlay)))
        check_layers(Experiment.parse(config))

    return call


@pytest.mark.parametrize(
    "overlay",
    [
        "sae: {layer: %d}",
        "dynamics: {layers: [10, %d]}",
        "geometry: {layers: [%d]}",
        "judges: {probe: {layer: %d}}",
    ],
)
def test_the_last_layer_passes_and_the_next_does_not(check, overlay):
    last = {"geom": 28, "judg": 30}.get(overlay[:4], 29)
    check(overlay % last)
    with pytest.raises(
        ConfigError, match=rf"layers?: {last + 1}: `smollm2` has 30 blocks; here \d to {last} can be read"
    ):
        check(overlay % (last + 1))


def test_of_a_base_that_is_not_here_or_does_not_say_nothing_is_said(check, tmp_path):
    (tmp_path / "results" / "models" / "smollm2" / "config.json").write_text("")
    check("sae: {layer: 99}")
