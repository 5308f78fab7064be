"""What says which file a source is decides what runs again, and its licence does not."""

import hashlib
import json

from tests.workflow.conftest import copy_project

SETTINGS = """
registry: {registry}
datasets: {{mine: {{source: mine, kind: texts}}}}
annotator: {{kind: gold, model: null, gold: labels.jsonl}}
gold: null
"""


def test_a_corrected_licence_reruns_nothing_and_another_text_does(tmp_path):
    project = copy_project(tmp_path, overlays=("mine.yaml",))
    shipped = (tmp_path / "resources" / "registry.csv").read_text()
    cleaned = ("results/demo/datasets/mine.jsonl",)

    def registered(path, text, licence="CC0"):
        (tmp_path / "texts.jsonl").write_text(json.dumps({"id": "a", "text": text}) + "\n")
        checksum = hashlib.sha256((tmp_path / "texts.jsonl").read_bytes()).hexdigest()
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"{shipped}mine,file,texts.jsonl,,{checksum},{licence}\n")
        (tmp_path / "mine.yaml").write_text(SETTINGS.format(registry=path))

    (tmp_path / "labels.jsonl").write_text("")
    registered("in/a/folder/registry.csv", "The sea sings.")
    project.snakemake(targets=cleaned)
    registered("in/a/folder/registry.csv", "The sea sings.", licence="CC BY 4.0")
    assert project.would_run(targets=cleaned) == set()
    registered("in/a/folder/registry.csv", "The sea slept.")
    assert project.would_run(targets=cleaned) == {"clean_dataset"}
