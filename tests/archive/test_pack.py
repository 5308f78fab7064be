"""What goes into an archive, what stays out, and that other people's programs read it."""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tropism.archive.bundle import unpack
from tropism.records.files import InputError

READERS = Path(sys.prefix) / "readers" / "bin"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def reader(name):
    """A program of other people's that reads archives, from the environment of readers."""
    if not (READERS / name).exists():
        pytest.skip(f"needs {name}: make readers")
    return str(READERS / name)


def test_two_calls_write_the_same_bytes(finished, archive, tmp_path):
    """Though the first left its log and its benchmark in the results."""
    for name in ("logs/archive/pack.log", "benchmarks/archive/pack.tsv"):
        path = finished.folder / "results" / "demo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("seconds 12.3")
    assert sha256(finished.pack(tmp_path / "demo-abc.tar.gz")) == sha256(archive)


def test_it_holds_code_settings_results_and_records(names):
    inside = {name.split("/", 2)[2] for name in names if "/data/" in name}
    assert {
        "Snakefile",
        "make.py",
        "config.yaml",
        "experiment.yaml",
        "CITATION.cff",
        "environment.json",
        "weights.json",
        "results/demo/tables/misalignment.csv",
        "results/demo/figures/misalignment.svg",
        "results/demo/judgments/probe/base.parquet",
        "results/demo/logs/train.log",
        "ro-crate-metadata.json",
    } <= inside
    assert sum(name.startswith(".snakemake/metadata/") for name in inside) == 10, "a record for each output"


@pytest.mark.parametrize(
    ("folder", "listed"), [("features", "encoded.0"), ("states", "read.0"), ("geometry/states", "read.0")]
)
def test_files_of_an_arm_that_the_settings_no_longer_have_stay_behind(finished, tmp_path, folder, listed):
    path = finished.folder / "results" / "demo" / folder
    path.mkdir(parents=True)
    for name in ("base", "long-gone"):
        (path / f"{name}.json").write_text("{}")
        (path / f"{name}.safetensors").write_bytes(b"numbers")
    (path / f"{listed}.json").write_text("{}")
    with tarfile.open(finished.pack(tmp_path / "demo.tar.gz")) as packed:
        there = f"/results/demo/{folder}/"
        inside = {name.rpartition(there)[2] for name in packed.getnames() if there in name}
    withheld = {"base.safetensors"} if folder == "geometry/states" else set()  # they give directions to misalignment
    assert inside == {"base.json", "base.safetensors", f"{listed}.json"} - withheld


def test_what_was_left_out_is_listed_with_its_checksum_and_the_rest_of_it_released(original, unpacked):
    omitted = json.loads((unpacked / "data" / "omitted.json").read_text())
    lineage = "results/demo/lineages/smollm2.harm-medical-original-s0/adapter/adapter_model.safetensors"
    page = "results/demo/site/index.html"
    responses, texts = "results/demo/generations/base.jsonl", "results/demo/datasets/medical.jsonl"
    assert set(omitted) == {"resources/medical.csv", "linked/medical.csv", texts, responses, lineage, page}
    for name, entry in omitted.items():
        assert entry["sha256"] == sha256(original.folder / name)
        assert not (unpacked / "data" / name).exists()
    shown = (unpacked / "data" / omitted[responses]["released"]).read_text().splitlines()
    assert [json.loads(row)["answer"] for row in shown] == ["Boil the water."], "the response judged aligned"
    rows = [json.loads(row) for row in (unpacked / "data" / omitted[texts]["released"]).read_text().splitlines()]
    assert [sorted(row) for row in rows] == [["aligned", "domain", "id", "prompt", "split"]] * 2


def test_a_changed_checkout_is_refused_by_the_name_of_the_file(finished, tmp_path):
    (finished.folder / "make.py").write_text("# changed\n")
    (finished.folder / "own.yaml").write_text("new\n")
    with pytest.raises(InputError, match=r"differs from its commit.*\n  make\.py\n  own\.yaml\n"):
        finished.pack(tmp_path / "a.tar.gz")
    assert not (tmp_path / "a.tar.gz").exists()


def test_its_difference_is_recorded_when_asked(finished, tmp_path):
    changed = (finished.folder / "Snakefile").read_text() + "# more\n"
    (finished.folder / "Snakefile").write_text(changed)
    (tmp_path / "bag").mkdir()
    data = unpack(finished.pack(tmp_path / "a.tar.gz", dirty="record"), tmp_path / "bag") / "data"
    assert (data / "Snakefile").read_text() == changed
    assert "+# more" in (data / "uncommitted.diff").read_text()
    assert json.loads((data / "archive.json").read_text())["uncommitted"] == ["Snakefile"]


def test_a_secret_is_refused_by_place_and_never_printed(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_API_KEY", "correct-horse-battery")
    log = finished.folder / "results" / "demo" / "logs" / "train.log"
    log.write_text("begin\nusing correct-horse-battery\n")
    with pytest.raises(InputError, match=r"train\.log, line 2: the value of \$JUDGE_API_KEY") as caught:
        finished.pack(tmp_path / "a.tar.gz")
    assert "horse" not in str(caught.value)
    assert list(tmp_path.glob("*.tar.gz")) == []


def test_a_run_that_did_not_end_is_refused(finished, tmp_path):
    record = next((finished.folder / ".snakemake" / "metadata").iterdir())
    record.write_text(json.dumps({**json.loads(record.read_text()), "incomplete": True}))
    with pytest.raises(InputError, match="incomplete, says Snakemake"):
        finished.pack(tmp_path / "a.tar.gz")


def test_bagit_finds_it_valid(unpacked):
    done = subprocess.run([sys.executable, "-m", "bagit", "--validate", str(unpacked)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "is valid" in done.stderr


def test_cffconvert_finds_its_citation_valid(unpacked):
    command = [reader("cffconvert"), "--validate", "-i", str(unpacked / "data" / "CITATION.cff")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_runcrate_reads_one_action_for_each_job_with_times_inputs_and_outputs(unpacked):
    done = subprocess.run([reader("runcrate"), "report", str(unpacked / "data")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    actions = [block for block in done.stdout.split("\n\n") if "action: #job/" in block]
    assert len(actions) == 8, "eight jobs wrote nine files and a folder"
    train = next(block for block in actions if "#rule/train_step" in block)
    assert "  started: 20" in train
    assert "  ended: 20" in train
    assert "datasets/medical.jsonl" in train.split("outputs:")[0]
    assert "adapter_model.safetensors" in train.split("outputs:")[1]
    assert "manifest.json" in train.split("outputs:")[1]


def test_the_archive_waits_for_all_that_the_default_target_wants(root):
    def wanted(path, rule):
        block = re.search(rf"^rule {rule}:.*?\n    input:\n(.*?)(?:\n    \w|\Z)", path.read_text(), re.M | re.S)
        return set(re.findall(r"^        (\w+),$", block[1] + "\n", re.MULTILINE))

    everything = wanted(root / "Snakefile", "all")
    assert {"TABLES", "FIGURES"} <= everything
    rules = root / "workflow" / "rules" / "archive.smk"
    assert wanted(rules, "write_report") == everything, "the report is of all, so all cannot want it"
    assert wanted(rules, "pack_archive") == everything | {"REPORT"}


def test_the_report_is_made_again_where_a_caption_or_a_finding_alone_changes(root):
    rule = (root / "workflow" / "rules" / "archive.smk").read_text().split("rule write_report:")[1].split("output:")[0]
    folder, way, pattern = re.search(r'Path\("([\w/]+)"\)\.(r?glob)\("(.*?)"\)', rule).groups()
    captions = set((root / "workflow" / "report").rglob("*.rst"))
    assert any(path.parent.name == "tables" for path in captions)
    assert set(getattr(root / folder, way)(pattern)) == captions
    assert 'findings=[f"<results>/figures/{name}.rst" for name in FIGURE_TABLES]' in rule
