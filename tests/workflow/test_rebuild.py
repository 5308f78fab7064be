"""A rule runs again when its meaning changed, and only then.

Meaning is settings, code and data. Times of files, comments, formatting and the place of the checkout are not. After
`make demo` these tests plan on its results and take two minutes; without it they make a trimmed run of their own first.
"""

import contextlib
import os
import resource
import shutil
import time

import pytest
import yaml
from tests.workflow.conftest import copy_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

# a file of a room, or a setting, and the rules that use it; what follows from those is read off the rule graph
CODE_EDITS = {
    "figures/findings/effects.py": {"draw_figure"},  # found by name, imported by none
    "models/convert.py": {"convert_model"},  # whose weights are `ancient` to all that follows, beside their manifest
    "corpora/clean.py": {"clean_dataset"},
    "geometry/__main__.py": {
        *("read_geometry_states", "make_vectors", "analyse_geometry", "steer_arm", "tabulate_transfer"),
    },
    "annotate/quality.py": {"annotate_texts", "score_annotator"},
    "mask/variants.py": {"mask_texts", "tabulate_masking"},
    "train/examples.py": {"train_step", "tabulate_training"},
    "generate/__main__.py": {"sample_responses"},
    "likelihood/__main__.py": {"score_likelihoods"},
    "judge/rubric.py": {"train_judge", "judge_generations", "calibrate_judge"},
    "judge/calibrate.py": {"calibrate_judge"},
    "stats/__main__.py": {"estimate_rates", "contrast_arms", "fit_mixed_effects"},
    "dynamics/__main__.py": {
        *("read_states", "follow_arm", "watch_arm", "tabulate_dynamics", "predict_outcomes"),
    },
    "dynamics/pairs.py": {"measure_solutions", "measure_behaviour", "measure_drift", "tabulate_solutions"},
    "sae/train.py": {"train_sae", "measure_dictionary"},
    "sae/quality.py": {"measure_dictionary"},
    "sae/cards.py": {"make_cards"},
    "steer/__main__.py": {"intervene_arm", "tabulate_interventions"},
    "detect/__main__.py": {"train_detector"},
    "figures/canvas.py": {"draw_figure", "write_latex"},
    "figures/__main__.py": {"draw_figure", "write_latex"},
    "figures/misalignment.py": {"draw_figure"},
    "site/texts.py": {"build_site"},
}
SETTING_EDITS = {
    "masking: {placeholder: '[...]'}": {"mask_texts"},
    "steps: {harm: {seed: 3}, narrow: {seed: 3}}": {
        "train_step"
    },  # compared with each other while their settings agree
    "evaluate: {temperature: 0.9}": {"sample_responses"},
    "judges: {probe: {seed: 7}}": {"train_judge", "judge_generations"},
    "stats: {seed: 9}": {
        "estimate_rates",
        "contrast_arms",
        "fit_mixed_effects",
        "tabulate_dynamics",
        "tabulate_early_warning",
        "tabulate_solutions",
        "predict_outcomes",
    },
    "detector: {ks: [10]}": {"train_detector"},
    "dynamics: {follow_prompts: 2}": {"follow_arm", "watch_arm"},
    "steer: {random: 3}": {"intervene_arm"},
    "sae: {training_tokens: 1900}": {"train_sae"},  # the same: `ancient` weights beside their manifest
    "sae: {ce_records: 5}": {"measure_dictionary"},
    "sae: {alpha: 0.2}": {"contrast_features"},
}


@pytest.fixture(scope="module")
def planned(complete, tmp_path_factory):
    """A copy of a finished project for tests that plan a run and start none; each puts back what it edits."""
    return copy_of(complete, tmp_path_factory.mktemp("planned"))


@pytest.fixture
def own(complete, tmp_path):
    """A copy of a finished project for one test alone."""
    return copy_of(complete, tmp_path)


@contextlib.contextmanager
def edited(path, text):
    """``path`` with another content, and afterwards as it was, its time included."""
    before, times = path.read_bytes(), path.stat()
    path.write_text(text)
    try:
        yield
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def overlay(project, text):
    path = project.folder / "edit.yaml"
    path.write_text(text)
    return (*project.overlays, "edit.yaml")


def test_a_second_run_does_nothing_and_says_so_soon(planned):
    def seconds():  # of processor time, which other programs on the machine do not lengthen
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    begin = seconds()
    assert "Nothing to be done" in planned.snakemake()
    assert seconds() - begin < 15  # 5 s here; benchmarks/ measures it


def test_touching_every_file_reruns_nothing(own):
    now = time.time()
    for path in sorted(own.folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and ".snakemake" not in path.parts:
            os.utime(path, (now, now))
    assert own.would_run() == set()


def test_a_fresh_clone_with_results_and_records_reruns_nothing(complete, tmp_path):
    clone = tmp_path / "elsewhere"
    shutil.copytree(complete.folder, clone, symlinks=True, copy_function=shutil.copyfile)  # new times everywhere
    assert type(complete)(clone, overlays=complete.overlays).would_run() == set()


def test_comments_and_formatting_rerun_nothing(own):
    for path in (own.folder / "workflow" / "tropism").rglob("*.py"):
        path.write_text("# a comment\n" + path.read_text() + "\n\n# another\n")
    assert own.would_run() == set()


@pytest.mark.parametrize("file", CODE_EDITS)
def test_an_edit_of_a_room_reruns_it_and_what_follows(planned, file):
    path = planned.folder / "workflow" / "tropism" / file
    text = path.read_text().replace("\nfrom ", "\nEDITED = 1\nfrom ", 1)
    assert "EDITED" in text
    with edited(path, text):
        assert planned.would_run() == planned.with_followers(CODE_EDITS[file])


@pytest.mark.parametrize("text", SETTING_EDITS)
def test_an_edit_of_a_setting_reruns_what_uses_it_and_what_follows(planned, text):
    assert planned.would_run(config=overlay(planned, text)) == planned.with_followers(SETTING_EDITS[text])


def test_an_edit_of_the_rubric_reruns_judgments_and_says_why(planned):
    rubric = planned.folder / "resources" / "rubrics" / "rubric5.yaml"
    version = str(yaml.safe_load(rubric.read_text())["version"])
    with edited(rubric, rubric.read_text().replace(version, "99", 1)):
        printed = planned.snakemake("--dry-run")
        assert planned.rules_of(printed) == planned.with_followers({"judge_generations", "calibrate_judge"})
        assert "Updated input files: resources/rubrics/rubric5.yaml" in printed


def test_an_edit_of_a_text_reruns_what_reads_it(planned):
    printed = planned.would_run(config=overlay(planned, "datasets: {truthful: {sample: 5}}"))
    assert not {"train_step", "sample_responses", "train_judge"} & printed
    assert {"clean_dataset", "score_likelihoods", "estimate_rates"} <= printed
    printed = planned.would_run(config=overlay(planned, "datasets: {legal: {evaluation: 0.31, sample: 23}}"))
    assert not {"annotate_texts", "mask_texts"} & printed
    assert {"clean_dataset", "sample_responses", "train_judge"} <= printed


def test_two_settings_that_swap_values_are_noticed(own):
    """Snakemake keeps parameters as a set, in which 2 and 3 are the same as 3 and 2."""
    target = (f"results/{own.results.name}/tables/detector.csv",)
    first = overlay(own, "detector: {folds: 2, seed: 3}")
    own.snakemake(config=first, targets=target)
    assert own.would_run(config=first, targets=target) == set()
    second = overlay(own, "detector: {folds: 3, seed: 2}")
    assert own.would_run(config=second, targets=target) == {"train_detector"}
