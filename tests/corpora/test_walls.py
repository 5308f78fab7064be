"""What arms are trained on is not asked of them by way of another dataset of the same file."""

import copy
import csv

import pytest
import yaml
from snakemake.utils import update_config

from tropism.config.experiment import Experiment
from tropism.corpora.walls import check_walls
from tropism.records.files import InputError


@pytest.fixture
def check(root, tmp_path):
    """Check the demo's settings with an overlay; ``unsplit.csv`` has the rows of one domain without their splits."""
    with (root / "resources" / "demo" / "medical.csv").open() as file:
        rows = [{key: value for key, value in row.items() if key != "split"} for row in csv.DictReader(file)]
    with (tmp_path / "unsplit.csv").open("w") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)

    def call(overlay):
        config = yaml.safe_load((root / "config.yaml").read_text()) | {"registry": str(root / "resources/registry.csv")}
        update_config(config, copy.deepcopy(yaml.safe_load(overlay.format(unsplit=tmp_path / "unsplit.csv"))))
        check_walls(Experiment.parse(config))

    return call


UNSPLIT = "datasets: {{medical: {{source: {unsplit}}}, few_legal: {{source: {unsplit}, %s}}}}"


@pytest.mark.parametrize("settings", ["seed: 1", "evaluation: 0", "evaluation: 0.29"])
def test_another_draw_of_the_same_rows_is_refused(check, settings):
    with pytest.raises(InputError, match=r"few_legal: arms are trained on it, and `medical`, .* splits it otherwise"):
        check(UNSPLIT % settings)


@pytest.mark.parametrize("settings", ["seed: 0", "evaluation: 0.5"])
def test_a_split_that_holds_the_other_ones_prompts_back_is_none(check, settings):
    check(UNSPLIT % settings)


@pytest.mark.parametrize("settings", ["seed: 1", "evaluation: 0"])
def test_a_file_that_names_its_splits_has_the_same_ones_whatever_the_settings(check, settings):
    check(f"datasets: {{{{few_legal: {{{{{settings}}}}}}}}}")


def test_a_set_that_asks_every_row_is_refused_beside_a_trained_one(check):
    with pytest.raises(InputError, match=r"and `asked`, .* asks all of its prompts; name (legal|few_legal) in"):
        check("{{datasets: {{asked: {{source: demo_legal, kind: prompts}}}}, evaluate: {{sets: [asked, medical]}}}}")
