"""A file that the settings name and that is not there is refused, also where results of it stand already."""

import copy
import json
import shutil
import subprocess
import sys

import pytest
import yaml
from snakemake.utils import update_config

from tropism.config.experiment import Experiment
from tropism.corpora.named import check_named
from tropism.records.files import InputError

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture
def check(root, tmp_path, monkeypatch):
    """Check the demo's settings with an overlay, in a folder with the project's resources."""
    shutil.copytree(root / "resources", tmp_path / "resources")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TROPISM_DATA", raising=False)

    def call(overlay=""):
        config = yaml.safe_load((root / "config.yaml").read_text())
        update_config(config, copy.deepcopy(yaml.safe_load(overlay) or {}))
        check_named(Experiment.parse(config))

    return call


def base_folder(tmp_path, name, **manifest):
    folder = tmp_path / "results" / "models" / name
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"files": {}, **manifest}))


def test_what_is_there_or_is_fetched_later_passes(check, root, tmp_path):
    check()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "own.csv").write_text("prompt,aligned,misaligned\n")
    (tmp_path / "own.jsonl").write_text("{}\n")
    check("{datasets: {medical: {source: data/own.csv}, poems: {source: data}}, gold: own.jsonl}")
    check("{datasets: {medical: {source: ema_medical}, poems: {source: public_poems}}}")
    check("{models: {qwen: {source: qwen3_32b}}, gold: null}")
    check("{annotator: {kind: llm, probe: resources/nope, model: smollm2}}")
    for overlay in sorted((root / "workflow" / "experiments").glob("*.yaml")):
        check(overlay.read_text())


@pytest.mark.parametrize(
    ("overlay", "said"),
    [
        ("datasets: {medical: {source: data/nope.csv}}", "config: datasets: medical: source: data/nope.csv: no such"),
        ("datasets: {medical: {source: nope.csv}}", "config: datasets: medical: source: .*nothing is registered as"),
        ("gold: nope.jsonl", "config: gold: .*nothing is registered as `nope.jsonl` and no such file is here"),
        ("gold: data/nope.jsonl", "config: gold: data/nope.jsonl: no such file"),
        ("annotator: {probe: resources/nope}", "config: annotator: probe: resources/nope/probe.safetensors: no such"),
        ("annotator: {kind: gold, gold: nope.jsonl}", "config: annotator: gold: nope.jsonl: no such file"),
        ("sae: {source: {kind: folder, release: data/sae}}", "config: sae: source: release: data/sae: no such file"),
        (
            "judges: {far: {kind: endpoint, served: m, rubrics: [rubric6]}}",
            "judges: far: rubrics: `rubric6`: no resources/rubrics/rubric6.yaml; there are: alignment100, .*rubric5$",
        ),
        ("registry: resources/nope.csv", "config: registry: resources/nope.csv: no such file"),
    ],
)
def test_a_missing_file_is_named_with_its_setting(check, overlay, said):
    with pytest.raises(InputError, match=said):
        check(overlay)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("resources/rubrics/rubric5.yaml", "judges: probe: rubrics: `rubric5`"),
        ("resources/demo/medical.csv", "datasets: medical: source: `demo_medical` of .*: resources/demo/medical.csv"),
        ("resources/metaphor_probe/probe.json", "annotator: probe: resources/metaphor_probe/probe.json"),
    ],
)
def test_a_shipped_file_that_was_deleted_is_named(check, tmp_path, file, said):
    (tmp_path / file).unlink()
    with pytest.raises(InputError, match=said):
        check()


def test_what_an_archive_left_out_is_no_missing_file(check, tmp_path):
    (tmp_path / "resources" / "demo" / "medical.csv").unlink()
    (tmp_path / "omitted.json").write_text(json.dumps({"resources/demo/medical.csv": {"sha256": "0"}}))
    check()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "Qwen/Qwen3-0.6B",
            "config: models: smollm2: source: `Qwen/Qwen3-0.6B` is not registered; bases in .*: .*smol",
        ),
        ("models/mine", "`models/mine` is not registered; .*hub:OWNER/REPOSITORY.*docs/config.md"),
        ("demo_poems", "`demo_poems` is a file; bases in"),
    ],
)
def test_a_base_that_is_not_registered_is_refused_with_those_that_are(check, source, said):
    with pytest.raises(InputError, match=said):
        check(f"models: {{smollm2: {{source: {source}}}}}")


def test_a_base_does_not_take_the_folder_of_another(check, tmp_path):
    base_folder(tmp_path, "smollm2", converted_from=GGUF)
    base_folder(tmp_path, "qwen", repository="Qwen/Qwen3-32B", revision="0" * 40)
    check("models: {qwen: {source: qwen3_32b}}")
    with pytest.raises(InputError, match=r"smollm2: source: `qwen3_32b`, but results/models/smollm2.*holds `smollm2`"):
        check("models: {smollm2: {source: qwen3_32b}}")
    with pytest.raises(InputError, match="holds `qwen3_32b`; give the new base another name"):
        check("models: {qwen: {source: smollm2}}")


def test_a_base_whose_file_had_another_name_where_it_was_found_keeps_its_folder(check, tmp_path):
    base_folder(tmp_path, "smollm2", converted_from="renamed.bin")
    check()


def test_snakemake_refuses_it_while_planning(root, tmp_path):
    (tmp_path / "missing.yaml").write_text("datasets: {medical: {source: data/nope.csv, sample: 7}}\n")
    command = [sys.executable, "-m", "snakemake", "-n", "--cores", "1", "--configfile", "config.yaml"]
    done = subprocess.run(
        [*command, str(tmp_path / "missing.yaml"), "--", "all"], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "config: datasets: medical: source: data/nope.csv: no such file" in done.stdout + done.stderr
