"""A run that was killed in any stage ends, when it is started again, in the bytes of an undisturbed one."""

import shutil

import pytest

pytestmark = pytest.mark.slow

# the stage to kill, and what has to be gone for it to run again
STAGES = {
    "clean_dataset": ["datasets/legal.jsonl"],
    "annotate_texts": ["spans/medical.jsonl"],
    "mask_texts": ["variants/medical.metaphor.jsonl"],
    "train_step": ["lineages"],
    "sample_responses": ["generations/harmed.jsonl"],
    "train_judge": ["judges"],
    "judge_generations": ["judgments"],
    "score_likelihoods": ["likelihoods/base.parquet"],
    "estimate_rates": ["tables/misalignment.csv"],
    "train_sae": ["sae"],
    "encode_responses": ["features"],
    "train_detector": ["tables/detector.csv"],
    "draw_figure": ["figures"],
}


@pytest.mark.parametrize("rule", STAGES)
def test_a_run_killed_in_a_stage_ends_in_the_same_bytes(project, rule):
    whole = project.outputs()
    for name in STAGES[rule]:
        path = project.results / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    project.kill_in(rule)
    project.snakemake("--unlock")
    project.snakemake("--rerun-incomplete")
    again = project.outputs()
    assert again.keys() == whole.keys()
    assert [name for name in whole if again[name] != whole[name]] == []
