"""A stage that was killed makes, when it is started again, the bytes of an undisturbed run."""

import shutil

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

RESULTS = "results/trimmed"
# the stage to kill, and what it has to make again
STAGES = {
    "clean_dataset": ["datasets/legal.jsonl"],
    "annotate_texts": ["spans/medical.jsonl"],
    "mask_texts": ["variants/medical.metaphor.jsonl"],
    "train_step": [
        "lineages/smollm2.poetry-poems-original-s0.harm-medical-metaphor-s0/adapter/adapter_model.safetensors"
    ],
    "sample_responses": ["generations/harmed.jsonl"],
    "train_judge": ["judges/probe/probe.safetensors", "judges/probe/card.json"],
    "judge_generations": ["judgments/probe/harmed.parquet"],
    "score_likelihoods": ["likelihoods/harmed.parquet"],
    "estimate_rates": ["tables/misalignment.csv"],
    "train_sae": ["sae/sae_weights.safetensors"],
    "encode_responses": ["features/encoded.0.json"],
    "train_detector": ["tables/detector.csv"],
    "draw_figure": ["figures/misalignment.svg"],
}


# what a stage keeps beside its outputs, so as not to make it again
KEPT = {"encode_responses": "features/*"}


@pytest.mark.parametrize("rule", STAGES)
def test_a_stage_that_was_killed_ends_in_the_same_bytes(project, rule):
    made = {name: (project.results / name).read_bytes() for name in STAGES[rule]}
    targets = tuple(f"{RESULTS}/{name}" for name in made)
    # a job that ended before the kill left whole files; then it is killed earlier
    for part in (1.0, 0.5, 0.25):
        for path in (project.results / name for name in made):
            path.unlink(missing_ok=True)
        for path in project.results.glob(KEPT.get(rule, "nothing")):
            path.unlink()
        project.kill_in(rule, targets, part)
        project.snakemake("--unlock", targets=targets)
        left = {name: content for name, content in made.items() if (project.results / name).exists()}
        for name, content in left.items():
            assert (project.results / name).read_bytes() == content, f"{name} is half-written under its final name"
        if len(left) < len(made):
            break
    assert len(left) < len(made), "no kill was early enough"
    project.snakemake(targets=targets)
    for name, content in made.items():
        assert (project.results / name).read_bytes() == content, name
    shutil.rmtree(project.folder)
