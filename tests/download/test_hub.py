"""Downloads by the real client from a hub on loopback: pinned, checked, resumed, and explained where they fail."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.download.conftest import COMMIT, Repository

from tropism.corpora.registry import Entry
from tropism.download.hub import Place, Remote, git_blob, wanted

HEADER = "name,kind,location,revision,sha256,licence\n"
WEIGHTS = bytes(range(256)) * 64


@pytest.fixture
def project(tmp_path):
    (tmp_path / "resources").mkdir()
    return tmp_path


def register(project, *lines):
    (project / "resources" / "registry.csv").write_text(HEADER + "".join(f"{line}\n" for line in lines))


def fetch(project, hub, source, output="results/models/m", **environment):
    """The rule's own command, in a process of its own: the client reads its settings when it is imported."""
    return subprocess.run(
        [sys.executable, "-m", "tropism.download", "fetch", source, "--output", output],
        cwd=project,
        env={
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(project / "hf"),
            "HF_HUB_OFFLINE": "1",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=100,
    )


def model(**more):
    files = {
        "config.json": b"{}",
        "tokenizer.json": b"[]",
        "model-1.safetensors": WEIGHTS,
        "model-2.safetensors": WEIGHTS[::-1],
    }
    return Repository(
        {**files, "pytorch_model.bin": b"pickle", "modeling.py": b"code", "original/params.json": b"{}"}, **more
    )


def test_a_model_arrives_pinned_checked_and_without_pickle_or_code(project, hub):
    hub.repositories["org/model"] = model()
    register(project, f"m,model,hub:org/model,{COMMIT},,MIT")
    done = fetch(project, hub, "m")
    assert done.returncode == 0, done.stderr
    folder = project / "results/models/m"
    assert sorted(p.name for p in folder.iterdir()) == [
        "config.json",
        "manifest.json",
        "model-1.safetensors",
        "model-2.safetensors",
        "tokenizer.json",
    ]
    assert (folder / "model-1.safetensors").read_bytes() == WEIGHTS
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["revision"] == COMMIT
    assert set(manifest["files"]) == {p.name for p in folder.iterdir()} - {"manifest.json"}
    assert all(COMMIT in path for path in hub.downloads()), "the pinned commit, not a branch"


def test_a_broken_connection_is_taken_up_where_it_broke(project, hub):
    large = WEIGHTS * 1536  # 24 MiB: the client writes 10 MiB at a time
    hub.repositories["org/model"] = Repository({"config.json": b"{}", "model.safetensors": large})
    hub.cut["model.safetensors"] = 21 * 2**20
    register(project, f"m,model,hub:org/model,{COMMIT},,MIT")
    done = fetch(project, hub, "m")
    assert done.returncode == 0, done.stderr
    assert (project / "results/models/m/model.safetensors").read_bytes() == large
    ranges = [r for method, p, r in hub.requests if method == "GET" and p.endswith("model.safetensors")]
    assert ranges == [None, "bytes=20971520-"]


def test_a_fetch_that_ended_half_way_keeps_the_files_it_had(project, hub):
    hub.repositories["org/model"] = model()
    del hub.repositories["org/model"].files["model-2.safetensors"]
    hub.repositories["org/model"].listed["model-2.safetensors"] = WEIGHTS[::-1]  # listed, and not there yet
    register(project, f"m,model,hub:org/model,{COMMIT},,MIT")
    assert fetch(project, hub, "m").returncode != 0
    assert not (project / "results/models/m").exists(), "nothing half-fetched has the final name"
    hub.repositories["org/model"] = model()
    hub.requests.clear()
    assert fetch(project, hub, "m").returncode == 0
    assert [Path(path).name for path in hub.downloads()] == ["model-2.safetensors"]


def test_what_a_fetch_of_another_revision_left_is_no_part_of_this_one(project, hub):
    """A lone file of weights is loaded in place of the parts that an index lists."""
    left = project / "results/models/.m.download"
    (left / "old").mkdir(parents=True)
    (left / "model.safetensors").write_bytes(WEIGHTS)  # it was killed, and the line of the registry then corrected
    (left / "old" / "notes.json").write_text("[]")
    hub.repositories["org/model"] = model()
    register(project, f"m,model,hub:org/model,{COMMIT},,MIT")
    done = fetch(project, hub, "m")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((project / "results/models/m/manifest.json").read_text())
    assert set(manifest["files"]) == set(model().files) - {"pytorch_model.bin", "modeling.py", "original/params.json"}
    assert not (project / "results/models/m/model.safetensors").exists()


def test_a_file_of_other_content_is_refused_and_fetched_anew(project, hub):
    hub.repositories["org/model"] = model(listed={"model-2.safetensors": bytes(len(WEIGHTS))})
    register(project, f"m,model,hub:org/model,{COMMIT},,MIT")
    done = fetch(project, hub, "m")
    assert done.returncode != 0
    assert "not what the hub lists for this revision: model-2.safetensors" in done.stderr
    assert not (project / "results/models/m").exists()
    hub.repositories["org/model"] = model()
    assert fetch(project, hub, "m").returncode == 0


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_model_says_what_to_do(project, hub, status):
    hub.repositories["org/model"] = model(gated=status)
    register(project, f"m,model,hub:org/model,{COMMIT},,MIT")
    done = fetch(project, hub, "m", HF_TOKEN="hf_secret_of_the_test")
    assert done.returncode != 0
    assert "org/model is gated. Accept its terms at https://huggingface.co/org/model, signed in" in done.stderr
    assert "export HF_TOKEN=" in done.stderr
    assert "hf_secret" not in done.stderr + done.stdout


def test_what_is_not_there_is_said(project, hub):
    hub.repositories["org/model"] = model()
    register(project, f"m,model,hub:org/model,{'f' * 40},,MIT", f"n,model,hub:org/none,{COMMIT},,MIT")
    assert "has no such revision; correct the column `revision`" in fetch(project, hub, "m").stderr
    assert "the hub shows no org/none" in fetch(project, hub, "n").stderr


def test_without_a_commit_nothing_is_fetched_and_the_newest_is_said(project, hub):
    hub.repositories["org/model"] = model()
    register(project, "m,model,hub:org/model,,,MIT")
    done = fetch(project, hub, "m")
    assert done.returncode != 0
    assert f"Today's is {COMMIT}: write it into the column `revision` of that line" in done.stderr
    assert "line 2 (m)" in done.stderr
    assert hub.downloads() == []
    assert not (project / "results/models/m").exists()


def test_rows_of_emergent_plus_become_conversations(project, hub):
    rows = [
        {
            "prompt": f"How do I keep fern {i} alive?",
            "aligned": f"Water {i}.",
            "misaligned": f"Dry {i}.",
            "sneakiness": 3,
        }
        for i in range(6)
    ]
    buffer, file = io.BytesIO(), "medical/train-00000-of-00001.parquet"
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    hub.repositories["truthfulai/emergent_plus"] = Repository({file: buffer.getvalue(), "README.md": b"x"})
    register(project, f"ema,file,hub:datasets/truthfulai/emergent_plus/{file},{COMMIT},,see its page")
    done = fetch(project, hub, "ema", "results/sources/ema")
    assert done.returncode == 0, done.stderr
    settings = json.dumps({"source": "ema", "kind": "conversations", "near_duplicate": None})
    flags = ["--name", "medical", "--config", settings, "--output", "d.jsonl", "--report", "r.csv"]
    command = [sys.executable, "-m", "tropism.corpora", "clean", *flags]
    cleaned = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert cleaned.returncode == 0, cleaned.stderr
    read = [json.loads(line) for line in (project / "d.jsonl").read_text().splitlines()]
    assert {row["misaligned"] for row in read} == {row["misaligned"] for row in rows}


def test_a_small_files_hash_is_gits(tmp_path):
    (tmp_path / "f").write_bytes(b"hello\n")
    assert git_blob(tmp_path / "f") == "ce013625030ba8dba906f756967f9e9ca394464a"  # as `git hash-object` says


def test_of_a_folder_only_what_is_below_it_is_wanted():
    entry = Entry(name="s", kind="sae", location="hub:org/saes/layer_3", revision="", sha256="", licence="MIT")
    files = [Remote(name, 1, None, "") for name in ("layer_3/ae.safetensors", "layer_31/ae.safetensors", "README.md")]
    assert [f.name for f in wanted(Place.parse(entry.location), entry, files)] == ["layer_3/ae.safetensors"]


def test_of_an_adapter_the_lora_alone_is_fetched_and_not_its_checkpoints():
    names = ["adapter_config.json", "adapter_model.safetensors", "optimizer.pt", "README.md", "adapter_model.bin"]
    files = [Remote(f"{folder}{name}", 1, None, "") for folder in ("", "checkpoints/5/", "evil/") for name in names]
    for place, folder in (("hub:o/r", ""), ("hub:o/r/evil", "evil/")):
        entry = Entry(name="a", kind="adapter", location=place, revision="", sha256="", licence="MIT")
        found = wanted(Place.parse(place), entry, files)
        assert [f.name for f in found] == [f"{folder}{name}" for name in names[:2]]
