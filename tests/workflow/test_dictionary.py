"""A dictionary on disk is an input: another one in its place is loaded, and what follows is made anew."""

from tests.workflow.conftest import copy_project

MADE = (
    "results/demo/sae/manifest.json",
    "results/demo/sae/sae_weights.safetensors",
    "results/demo/sae/cfg.json",
    "results/demo/datasets/poems.jsonl",
    "results/demo/datasets/poems.corpus.csv",
    "results/models/smollm2/manifest.json",
    "results/models/smollm2/model.safetensors",
)


def test_another_dictionary_in_its_folder_is_loaded_again(tmp_path):
    project = copy_project(tmp_path, overlays=("mine.yaml",))
    (tmp_path / "mine.yaml").write_text("sae: {texts: [poems], source: {kind: folder, release: theirs, id: layer}}\n")
    files = [tmp_path / "theirs" / "layer" / name for name in ("cfg.json", "sae_weights.safetensors")]
    for file in (*files, *(tmp_path / name for name in MADE)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
    project.snakemake("--touch", targets=MADE[:1])
    assert project.would_run(targets=MADE[:1]) == set()
    for file in files:
        file.write_text('{"another": 1}')
        assert project.would_run(targets=MADE[:1]) == {"train_sae"}, file
        project.snakemake("--touch", targets=MADE[:1])
