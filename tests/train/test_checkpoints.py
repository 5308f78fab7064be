"""What a training has reached is never lost: not in its last moments, and not when its output is deleted after."""

import json
import os
import shutil

import pytest
from tests.train.test_train import KillAt, dataset, run  # noqa: F401  # the fixture is used by name
from tests.train.test_train import Killed as Gone

from tropism.train import checkpoints, step


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class Killed(Exception):  # noqa: N818  # it is no error
    """Stands for SIGKILL."""


def killed(*_, **__):
    raise Killed


def no_more_steps(monkeypatch):
    """From here on a training that begins is an error."""
    monkeypatch.setattr(step.SelectiveTrainer, "training_step", killed)


@pytest.mark.parametrize(
    ("place", "method"),
    [
        ((step, "publish"), "lora"),
        ((step, "write_json"), "lora"),
        ((step, "write_json"), "full"),
        ((step, "publish_finished"), "lora"),
        ((checkpoints, "_link"), "full"),
    ],
)
def test_killed_at_its_end_it_repeats_no_step(tiny_model, dataset, tmp_path, monkeypatch, place, method):  # noqa: F811
    whole = run(tiny_model, dataset, tmp_path / "whole", method=method)
    with monkeypatch.context() as patch:
        patch.setattr(*place, killed)
        with pytest.raises(Killed):
            run(tiny_model, dataset, tmp_path / "killed", method=method)
    assert not (tmp_path / "killed" / "lineage").exists()
    no_more_steps(monkeypatch)
    again = contents(run(tiny_model, dataset, tmp_path / "killed", method=method))
    expected = contents(whole)
    assert again.keys() == expected.keys()
    for name in expected.keys() - {"speed.json"}:
        assert again[name] == expected[name], name


def test_an_output_that_snakemake_deletes_after_the_training_is_put_back(tiny_model, dataset, tmp_path, monkeypatch):  # noqa: F811
    before = contents(run(tiny_model, dataset, tmp_path))
    shutil.rmtree(tmp_path / "lineage")
    old = (tiny_model / "manifest.json").stat().st_mtime - 1000
    for path in (tmp_path / "checkpoints").rglob("*"):
        os.utime(path, (old, old))
    no_more_steps(monkeypatch)
    lineage = run(tiny_model, dataset, tmp_path)
    assert contents(lineage) == before
    for path in lineage.rglob("*"):
        assert path.stat().st_mtime > (tiny_model / "manifest.json").stat().st_mtime, "newer than its inputs"


def test_the_kept_result_takes_no_room_where_the_output_is(tiny_model, dataset, tmp_path):  # noqa: F811
    lineage = run(tiny_model, dataset, tmp_path)
    name = "adapter/adapter_model.safetensors"
    assert (lineage / name).samefile(tmp_path / "checkpoints" / "finished" / name)


def test_without_hard_links_the_result_is_copied(tiny_model, dataset, tmp_path, monkeypatch):  # noqa: F811
    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    lineage = run(tiny_model, dataset, tmp_path)
    assert contents(lineage) == contents(tmp_path / "checkpoints" / "finished")


def test_other_settings_train_anew(tiny_model, dataset, tmp_path):  # noqa: F811
    before = contents(run(tiny_model, dataset, tmp_path))
    after = contents(run(tiny_model, dataset, tmp_path, seed=1))
    assert before["adapter/adapter_model.safetensors"] != after["adapter/adapter_model.safetensors"]


def test_another_version_of_a_library_trains_anew(tiny_model, dataset, tmp_path, monkeypatch):  # noqa: F811
    run(tiny_model, dataset, tmp_path)
    monkeypatch.setattr(step, "version", lambda name: "99")
    no_more_steps(monkeypatch)
    with pytest.raises(Killed):
        run(tiny_model, dataset, tmp_path)


def test_a_kept_result_that_was_changed_is_not_used(tiny_model, dataset, tmp_path):  # noqa: F811
    before = contents(run(tiny_model, dataset, tmp_path))
    losses = tmp_path / "lineage" / "training.csv"
    with losses.open("a") as file:  # an edit in place reaches the kept one, which is the same file
        file.write("99\n")
    after = contents(run(tiny_model, dataset, tmp_path))
    assert after["training.csv"] == before["training.csv"]
    assert json.loads(after["speed.json"])["resumed_at_step"] == 0


@pytest.mark.parametrize("name", ["manifest.json", "speed.json"])
def test_a_kept_result_that_a_lost_node_left_empty_is_not_used(tiny_model, dataset, tmp_path, name):  # noqa: F811
    before = contents(run(tiny_model, dataset, tmp_path))
    shutil.rmtree(tmp_path / "lineage")
    (tmp_path / "checkpoints" / "finished" / name).write_bytes(b"")
    after = contents(run(tiny_model, dataset, tmp_path))
    assert after["manifest.json"] == before["manifest.json"]
    assert json.loads(after["speed.json"])["resumed_at_step"] == 0


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "optimizer.safetensors", "random.json"])
def test_a_checkpoint_that_a_lost_node_left_cut_off_is_passed_over(tiny_model, dataset, tmp_path, monkeypatch, name):  # noqa: F811
    whole = contents(run(tiny_model, dataset, tmp_path / "whole"))
    build = step.SelectiveTrainer
    with monkeypatch.context() as patch:
        patch.setattr(step, "SelectiveTrainer", lambda **a: build(**{**a, "callbacks": [*a["callbacks"], KillAt(5)]}))
        with pytest.raises(Gone):
            run(tiny_model, dataset, tmp_path / "lost")
    kept = tmp_path / "lost" / "checkpoints" / "checkpoint-4" / name
    kept.write_bytes(kept.read_bytes()[: kept.stat().st_size // 2])
    after = contents(run(tiny_model, dataset, tmp_path / "lost"))
    assert json.loads(after["speed.json"])["resumed_at_step"] == 2
    assert {n: b for n, b in after.items() if n != "speed.json"} == {
        n: b for n, b in whole.items() if n != "speed.json"
    }
