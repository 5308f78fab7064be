"""A training that a signal stops saves where it is, says so by its status, and goes on to the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from safetensors.torch import load_file
from tests.train.test_train import MODEL, STEP, dataset, run  # noqa: F401  # the fixture is used by name
from transformers import TrainerCallback

from tropism.train import step as training
from tropism.train.signals import STOPPED, Stopped

OUTPUTS = ("adapter/adapter_model.safetensors", "adapter/adapter_config.json", "training.csv", "manifest.json")


class SignalAt(TrainerCallback):
    """Sends this process a signal within an optimiser step, between its micro-batches, or at its end."""

    def __init__(self, step, number, between=False):
        self.step, self.number, self.between = step, number, between

    def on_substep_end(self, args, state, control, **kwargs):
        if self.between and state.global_step == self.step - 1:
            os.kill(os.getpid(), self.number)

    def on_step_begin(self, args, state, control, **kwargs):
        if not self.between and state.global_step == self.step - 1:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(
    ("stops", "number", "between"),
    [
        ((1,), signal.SIGTERM, False),
        ((3,), signal.SIGUSR1, True),  # the first epoch ends within the fourth step
        ((4,), signal.SIGUSR1, False),
        ((2, 5), signal.SIGTERM, True),
    ],
)
def test_a_stopped_training_goes_on_to_the_same_bytes(
    tiny_model,
    dataset,  # noqa: F811
    tmp_path,
    monkeypatch,
    stops,
    number,
    between,
):
    whole = run(tiny_model, dataset, tmp_path / "whole", checkpoint_every=100)
    build = training.SelectiveTrainer
    for stop in stops:
        monkeypatch.setattr(
            training,
            "SelectiveTrainer",
            lambda stop=stop, **a: build(**{**a, "callbacks": [*a["callbacks"], SignalAt(stop, number, between)]}),
        )
        with pytest.raises(Stopped, match=f"after step {stop} of"):
            run(tiny_model, dataset, tmp_path / "stopped", checkpoint_every=100)
        assert [p.name for p in (tmp_path / "stopped" / "checkpoints").glob("checkpoint-*")][-1:] != []
    monkeypatch.setattr(training, "SelectiveTrainer", build)
    resumed = run(tiny_model, dataset, tmp_path / "stopped", checkpoint_every=100)
    for name in OUTPUTS[:3]:
        assert (whole / name).read_bytes() == (resumed / name).read_bytes(), name
    assert json.loads((resumed / "speed.json").read_text())["resumed_at_step"] == stops[-1], "not from the start"


def test_a_signal_in_the_last_step_ends_nothing(tiny_model, dataset, tmp_path, monkeypatch):  # noqa: F811
    build = training.SelectiveTrainer
    whole = run(tiny_model, dataset, tmp_path / "whole")
    last = sum(1 for _ in (whole / "training.csv").open()) - 1
    monkeypatch.setattr(
        training,
        "SelectiveTrainer",
        lambda **a: build(**{**a, "callbacks": [*a["callbacks"], SignalAt(last, signal.SIGTERM)]}),
    )
    done = run(tiny_model, dataset, tmp_path / "signalled")
    assert (whole / OUTPUTS[0]).read_bytes() == (done / OUTPUTS[0]).read_bytes()


def test_a_checkpoint_of_an_output_embeddings_lora_holds_its_factors_alone(tiny_model, dataset, tmp_path, monkeypatch):  # noqa: F811
    changes = {"checkpoint_every": 100, "lora": STEP.lora.model_copy(update={"targets": ("q_proj", "lm_head")})}
    whole = run(tiny_model, dataset, tmp_path / "whole", **changes)
    build = training.SelectiveTrainer
    stop = SignalAt(2, signal.SIGTERM)
    monkeypatch.setattr(training, "SelectiveTrainer", lambda **a: build(**{**a, "callbacks": [*a["callbacks"], stop]}))
    with pytest.raises(Stopped):
        run(tiny_model, dataset, tmp_path / "stopped", **changes)
    [saved] = (tmp_path / "stopped").rglob("adapter_model.safetensors")
    kept = load_file(saved)
    assert any("lm_head" in name for name in kept)
    assert [name for name in kept if "lora_" not in name] == []
    monkeypatch.setattr(training, "SelectiveTrainer", build)
    resumed = run(tiny_model, dataset, tmp_path / "stopped", **changes)
    assert (whole / OUTPUTS[0]).read_bytes() == (resumed / OUTPUTS[0]).read_bytes()


def test_signals_mean_again_what_they_meant_after_training(tiny_model, dataset, tmp_path):  # noqa: F811
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]
    run(tiny_model, dataset, tmp_path)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)] == before


def command(tiny_model, dataset, folder, processes=1, **changes):  # noqa: F811
    step = STEP.model_copy(update=changes)
    return [
        *(sys.executable, "-m", "tropism.train", "step", str(dataset), "--base", str(tiny_model)),
        *("--parent", str(tiny_model / "manifest.json"), "--config", step.model_dump_json()),
        *("--model-config", MODEL.model_dump_json(), "--threads", "1", "--processes", str(processes)),
        *("--checkpoints", str(folder / "checkpoints"), "--output", str(folder / "lineage")),
    ]


def stop_after_first_checkpoint(arguments, folder, number):
    """Start a training, signal it as soon as its first checkpoint is there, give back its status and what it said."""
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    while not (folder / "checkpoints" / "checkpoint-1" / "trainer_state.json").is_file():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    return process.returncode, said


def test_the_command_says_by_its_status_that_it_has_to_go_again(tiny_model, dataset, tmp_path):  # noqa: F811
    arguments = command(tiny_model, dataset, tmp_path, epochs=8, checkpoint_every=1)
    status, said = stop_after_first_checkpoint(arguments, tmp_path, signal.SIGUSR1)
    assert status == STOPPED, said
    assert "memory for each of 1 process(es), estimated" in said
    assert "goes on from there" in said
    assert not (tmp_path / "lineage").exists()
    again = subprocess.run(arguments, stderr=subprocess.PIPE, text=True)
    assert again.returncode == 0, again.stderr
    whole = command(tiny_model, dataset, tmp_path / "whole", epochs=8, checkpoint_every=1)
    subprocess.run(whole, check=True, stderr=subprocess.DEVNULL)
    for name in OUTPUTS:
        assert (tmp_path / "lineage" / name).read_bytes() == (tmp_path / "whole" / "lineage" / name).read_bytes(), name
