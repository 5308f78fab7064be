"""A rule runs again when its meaning changed, and only then.

Meaning is settings, code and data. Times of files, comments, formatting and the place of the checkout are not.
"""

import os
import shutil
import time

import pytest
import yaml

OVERLAY = "tests/workflow/trimmed.yaml"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

# what follows what; a room's own rules come first
TABLES = {"estimate_rates", "contrast_arms", "contrast_features", "train_detector"}
AFTER_JUDGMENTS = TABLES | {"draw_figure"}
AFTER_GENERATION = AFTER_JUDGMENTS | {"sample_responses", "judge_generations", "encode_responses"}
AFTER_TRAINING = AFTER_GENERATION | {"train_step", "tabulate_training", "score_likelihoods"}
AFTER_MASKING = AFTER_TRAINING | {"mask_texts", "tabulate_masking"}
AFTER_ANNOTATION = AFTER_MASKING | {"annotate_texts", "score_annotator"}

CODE_EDITS = {
    "annotate/quality.py": AFTER_ANNOTATION,
    "mask/variants.py": AFTER_MASKING,
    "train/examples.py": AFTER_TRAINING,
    "generate/__main__.py": AFTER_GENERATION,
    "likelihood/__main__.py": {"score_likelihoods", "estimate_rates", "contrast_arms", "draw_figure"},
    "judge/__main__.py": {"train_judge", "judge_generations", "tabulate_judges"} | AFTER_JUDGMENTS,
    "stats/__main__.py": {"estimate_rates", "contrast_arms", "draw_figure"},
    "detect/__main__.py": {"train_detector", "draw_figure"},
    "figures/canvas.py": {"draw_figure"},
}

SETTING_EDITS = {
    "masking: {placeholder: '[...]'}": AFTER_MASKING,
    "steps: {harm: {seed: 3}}": AFTER_TRAINING,
    "evaluate: {temperature: 0.9}": AFTER_GENERATION,
    "judges: {probe: {seed: 7}}": {"train_judge", "judge_generations", "tabulate_judges"} | AFTER_JUDGMENTS,
    "stats: {seed: 9}": {"estimate_rates", "contrast_arms", "draw_figure"},
    "detector: {ks: [10]}": {"train_detector", "draw_figure"},
    "sae: {alpha: 0.2}": {"contrast_features", "draw_figure"},
}


def overlay(project, text):
    path = project.folder / "edit.yaml"
    path.write_text(text)
    return (OVERLAY, "edit.yaml")


def test_a_second_run_does_nothing_and_says_so_soon(project):
    begin = time.monotonic()
    assert "Nothing to be done" in project.snakemake()
    assert time.monotonic() - begin < 15  # 5 s on an idle machine; benchmarks/ measures it


def test_touching_every_file_reruns_nothing(project):
    now = time.time()
    for path in sorted(project.folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and ".snakemake" not in path.parts:
            os.utime(path, (now, now))
    assert project.would_run() == set()


def test_a_fresh_clone_with_results_and_records_reruns_nothing(project, finished, tmp_path):
    clone = tmp_path / "elsewhere"
    shutil.copytree(project.folder, clone, symlinks=True, copy_function=shutil.copyfile)  # new times everywhere
    assert type(project)(clone).would_run() == set()


def test_comments_and_formatting_rerun_nothing(project):
    for path in (project.folder / "workflow" / "tropism").rglob("*.py"):
        path.write_text("# a comment\n" + path.read_text() + "\n\n# another\n")
    assert project.would_run() == set()


@pytest.mark.parametrize("file", CODE_EDITS)
def test_an_edit_of_a_room_reruns_it_and_what_follows(project, file):
    path = project.folder / "workflow" / "tropism" / file
    path.write_text(path.read_text().replace("\nfrom ", "\nEDITED = 1\nfrom ", 1))
    assert "EDITED" in path.read_text()
    assert project.would_run() == CODE_EDITS[file]


@pytest.mark.parametrize("text", SETTING_EDITS)
def test_an_edit_of_a_setting_reruns_what_uses_it_and_what_follows(project, text):
    assert project.would_run(config=overlay(project, text)) == SETTING_EDITS[text]


def test_an_edit_of_the_rubric_reruns_judgments_and_says_why(project):
    rubric = project.folder / "resources" / "rubrics" / "rubric5.yaml"
    content = yaml.safe_load(rubric.read_text())
    rubric.write_text(rubric.read_text().replace(str(content["version"]), "99", 1))
    printed = project.snakemake("--dry-run")
    assert project.rules_of(printed) == {"judge_generations"} | AFTER_JUDGMENTS
    assert "Updated input files: resources/rubrics/rubric5.yaml" in printed


def test_an_edit_of_a_text_reruns_what_reads_it(project):
    config = overlay(project, "datasets: {legal: {evaluation: 0.31, sample: 23}}")
    assert "train_step" not in project.would_run(config=config)
    assert {"clean_dataset", "sample_responses", "train_judge"} <= project.would_run(config=config)


def test_two_settings_that_swap_values_are_noticed(project):
    first = overlay(project, "steps: {harm: {seed: 1, epochs: 2}}")
    project.snakemake("--touch", config=first)
    assert "train_step" in project.would_run(config=first)
    lineage = project.results / "lineages"
    assert lineage.is_dir()
    second = overlay(project, "steps: {harm: {seed: 2, epochs: 1}}")
    assert "train_step" in project.would_run(config=second)
