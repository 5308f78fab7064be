"""The demo's workflow, every stage of it and trimmed, from texts to page on a real SLURM."""

import os
import shutil
import signal
from collections import Counter

import pytest
from tests.slurm.conftest import OVERLAY, ClusterProject
from tests.slurm.test_faults import at_work, recover, same_training
from tests.workflow.conftest import copy_or_link

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(3600)]

# Beside the profile's own groups: what shares an allocation here, since most of a job so small is its start.
GROUPS = {
    rule: group
    for group, rules in {
        "instruments": "train_judge train_sae measure_dictionary encode_references score_annotator",
        "thresholds": "calibrate_judge tabulate_thresholds",
        "samples": "sample_responses",
        "likelihoods": "score_likelihoods read_states",
        "vectors": "read_geometry_states make_vectors steer_arm",
        "solutions": "measure_solutions follow_arm",
        "judgments": "judge_generations",
        "rates": "estimate_rates contrast_arms fit_mixed_effects predict_outcomes measure_behaviour measure_drift",
        "labelled": "contrast_features train_detector save_detector",
        "features": "intervene_arm make_cards watch_arm",
        "last": "analyse_geometry tabulate_dynamics tabulate_interventions tabulate_early_warning tabulate_transfer"
        " tabulate_solutions",
    }.items()
    for rule in rules.split()
}
# made once more without SLURM
RATES = ("results/small/tables/misalignment.csv", "results/small/tables/contrasts.csv")


@pytest.fixture(scope="module")
def untouched(cluster, trained, tmp_path_factory):
    """A copy of the project in which nothing is made but the base, until the first test has made all of it."""
    nothing = shutil.ignore_patterns("small", ".snakemake")
    folder = tmp_path_factory.mktemp("whole") / "copy"
    shutil.copytree(trained.folder, folder, symlinks=True, copy_function=copy_or_link, ignore=nothing)
    project = ClusterProject(folder, cluster)
    yield project
    project.end()


def test_the_whole_workflow_outlives_a_killed_snakemake(untouched, trained):
    rules = untouched.would_run(config=(OVERLAY,))
    assert {"train_step", "intervene_arm", "follow_arm", "steer_arm", "measure_solutions", "build_site"} <= rules
    process = untouched.submit("all", groups=GROUPS)
    at_work(untouched, process, seconds=1500)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert " RUNNING" in recover(untouched), "jobs outlived their Snakemake"
    untouched.finish(untouched.submit("all", groups=GROUPS), 3000)
    same_training(untouched, trained)
    states = Counter(untouched.cluster.states(untouched.folder))
    assert states.keys() == {"CANCELLED", "COMPLETED"}, "no job failed"
    assert states["CANCELLED"] <= 3, "as many as ran side by side"
    slurm = untouched.results.parent / "slurm"
    kinds = {path.relative_to(slurm).parts[0] for path in slurm.rglob("*.log")}
    assert {
        "group_texts_clean_dataset",
        "group_masks_mask_texts",
        "group_figures_draw_figure",
        "rule_train_step",
    } <= kinds
    assert "Nothing to be done" in untouched.finish(untouched.submit("all", groups=GROUPS))


def test_its_rates_are_those_of_a_run_without_slurm(untouched, trained, tmp_path):
    if not (untouched.results / "tables").is_dir():
        pytest.skip("the run on SLURM came to no end")
    shutil.copytree(trained.folder, tmp_path / "local", symlinks=True, copy_function=copy_or_link)
    local = ClusterProject(tmp_path / "local", untouched.cluster)
    local.snakemake("--set-threads", "annotate_texts=1", config=(OVERLAY,), targets=RATES)
    expected, made = local.outputs(), untouched.outputs()
    assert {"spans/medical.jsonl", "generations/harmed.jsonl", "tables/misalignment.csv"} <= expected.keys()
    assert [name for name, content in expected.items() if made[name] != content] == []
