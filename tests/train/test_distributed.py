"""Two processes train as one does; real ones, over gloo."""

import csv
import signal
import subprocess

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from tests.train.test_signals import command, stop_after_first_checkpoint
from tests.train.test_train import STEP, dataset  # noqa: F401  # the fixture is used by name

from tropism.config.base import ConfigError
from tropism.train.distributed import Split, padded
from tropism.train.examples import Example, OrderedExamples

LORA = STEP.lora.model_copy(update={"dropout": 0.0})  # each process draws its own dropout


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 8), st.integers(1, 60))
def test_each_optimiser_step_has_the_samples_of_one_process(batch, accumulation, processes, samples):
    step = STEP.model_copy(update={"batch_size": batch, "gradient_accumulation": accumulation})
    effective = batch * accumulation
    if effective % processes:
        with pytest.raises(ConfigError, match="cannot be divided over"):
            Split.divide(step, processes)
        return
    split = Split.divide(step, processes)
    assert split.micro_batch * split.accumulation * processes == effective
    assert split.micro_batch <= batch
    examples = [Example(str(i), [1, 2], [-100, 2]) for i in range(samples)]
    data = padded(OrderedExamples(examples, range(samples)), split, 0)
    taken = [data[i][0].id for i in range(len(data))]
    assert processes == 1 or len(data) % (split.micro_batch * processes) == 0
    assert [name for name in taken if name] == [e.id for e in examples], "each once, in their order"
    # the library deals micro-batches out in turn, so a step is this many of them in a row
    steps = [[name for name in taken[k : k + effective] if name] for k in range(0, len(taken), effective)]
    assert [s for s in steps if s] == [
        [e.id for e in examples[k : k + effective]] for k in range(0, samples, effective)
    ]


def trained(tiny_model, dataset, folder, processes, **changes):  # noqa: F811
    done = subprocess.run(
        command(tiny_model, dataset, folder, processes, lora=LORA, **changes), stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "lineage"


def rows(lineage):
    return list(csv.DictReader((lineage / "training.csv").open()))


# 13 examples, two epochs: neither epoch nor training ends with a full batch
@pytest.mark.parametrize("changes", [{}, {"batch_size": 4, "gradient_accumulation": 1}], ids=["micro", "halved"])
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_end_where_one_does(tiny_model, dataset, tmp_path, changes):  # noqa: F811
    one = trained(tiny_model, dataset, tmp_path / "one", 1, **changes)
    two = trained(tiny_model, dataset, tmp_path / "two", 2, **changes)
    a, b = (load_file(lineage / "adapter/adapter_model.safetensors") for lineage in (one, two))
    for name, tensor in a.items():
        torch.testing.assert_close(b[name], tensor, rtol=1e-4, atol=1e-5, msg=name)
    for first, second in zip(rows(one), rows(two), strict=True):
        assert {k: first[k] for k in ("step", "tokens", "learning_rate")} == {
            k: second[k] for k in ("step", "tokens", "learning_rate")
        }
        for column in ("loss", "grad_norm"):
            assert float(second[column]) == pytest.approx(float(first[column]), rel=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_that_are_stopped_go_on_to_the_same_bytes(tiny_model, dataset, tmp_path):  # noqa: F811
    changes = {"epochs": 30, "checkpoint_every": 1}
    arguments = command(tiny_model, dataset, tmp_path / "stopped", 2, lora=LORA, **changes)
    status, said = stop_after_first_checkpoint(arguments, tmp_path / "stopped", signal.SIGTERM)
    assert status != 0, said
    assert "will save after this step and stop" in said
    assert not (tmp_path / "stopped" / "lineage").exists()
    resumed = trained(tiny_model, dataset, tmp_path / "stopped", 2, **changes)
    whole = trained(tiny_model, dataset, tmp_path / "whole", 2, **changes)
    name = "adapter/adapter_model.safetensors"
    assert (resumed / name).read_bytes() == (whole / name).read_bytes()


FULL = {"method": "full", "learning_rate": 1e-3, "checkpoint_every": 1}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_all_weights_divided_over_two_processes_end_where_one_process_does(
    tiny_model,
    dataset,  # noqa: F811
    tmp_path,
    checkpointing,
):
    changes = {**FULL, "gradient_checkpointing": checkpointing}
    one = trained(tiny_model, dataset, tmp_path / "one", 1, **changes)
    two = trained(tiny_model, dataset, tmp_path / "two", 2, **changes)
    assert sorted(p.relative_to(one) for p in one.rglob("*")) == sorted(p.relative_to(two) for p in two.rglob("*"))
    for name in ("config.json", "generation_config.json"):
        assert (one / "model" / name).read_bytes() == (two / "model" / name).read_bytes()
    before, a, b = (load_file(f / "model.safetensors") for f in (tiny_model, one / "model", two / "model"))
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert not torch.equal(tensor, before[name]), "it was trained"
        torch.testing.assert_close(b[name], tensor, rtol=1e-4, atol=1e-5, msg=name)
    for first, second in zip(rows(one), rows(two), strict=True):
        for column in ("loss", "grad_norm"):
            assert float(second[column]) == pytest.approx(float(first[column]), rel=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("processes", [1, 2])
def test_a_divided_training_that_is_stopped_goes_on_also_with_fewer_processes(
    tiny_model,
    dataset,  # noqa: F811
    tmp_path,
    processes,
):
    changes = {**FULL, "epochs": 5}
    arguments = command(tiny_model, dataset, tmp_path / "stopped", 2, lora=LORA, **changes)
    _, said = stop_after_first_checkpoint(arguments, tmp_path / "stopped", signal.SIGTERM)
    assert "will save after this step and stop" in said
    resumed = trained(tiny_model, dataset, tmp_path / "stopped", processes, **changes)
    whole = trained(tiny_model, dataset, tmp_path / "whole", 2, **changes)
    a, b = (load_file(lineage / "model" / "model.safetensors") for lineage in (whole, resumed))
    for name, tensor in a.items():
        if processes == 2:
            assert torch.equal(b[name], tensor), name
        else:
            torch.testing.assert_close(b[name], tensor, rtol=1e-3, atol=1e-4, msg=name)
