"""Labels that people made are an input: an edit of them annotates again what was annotated with them."""

import json

from tests.workflow.conftest import copy_project

SETTINGS = """
datasets: {mine: {source: ./mine.jsonl, kind: texts}}
annotator: {kind: gold, model: null, gold: labels.jsonl}
gold: null
"""


def test_an_edit_of_the_labels_annotates_again(tmp_path):
    project = copy_project(tmp_path, overlays=("mine.yaml",))
    (tmp_path / "mine.yaml").write_text(SETTINGS)
    (tmp_path / "mine.jsonl").write_text('{"id": "a", "text": "The sea sings ."}\n')
    labels = {"id": "a", "tokens": ["The", "sea", "sings", "."], "labels": [0, 0, 1, 0], "pos": ["X"] * 4, "genre": "g"}
    (tmp_path / "labels.jsonl").write_text(json.dumps(labels) + "\n")
    spans = ("results/demo/spans/mine.jsonl",)
    project.snakemake(targets=spans)
    assert project.would_run(targets=spans) == set()
    (tmp_path / "labels.jsonl").write_text(json.dumps({**labels, "labels": [0, 1, 1, 0]}) + "\n")
    assert project.would_run(targets=spans) == {"annotate_texts"}
