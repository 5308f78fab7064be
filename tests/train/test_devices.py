"""A lone training uses the one device it has taken, however many are visible."""

import pytest
import torch

from tropism.config.training import StepConfig
from tropism.train.arguments import arguments
from tropism.train.distributed import Split

STEP = StepConfig.parse({"dataset": "d", "objective": "causal", "batch_size": 2, "gradient_accumulation": 8})


@pytest.fixture
def two_devices(monkeypatch):
    """Two GPUs, of which the second is this process's; gives the one that is current."""
    current = [1]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: current[0])
    monkeypatch.setattr(
        torch.cuda, "set_device", lambda d: current.__setitem__(0, d if isinstance(d, int) else d.index)
    )
    return current


def test_a_lone_process_trains_on_its_own_device_alone(two_devices, tmp_path):
    found = arguments(STEP, tmp_path, Split.of(STEP))
    assert found.n_gpu == 1
    assert found.train_batch_size == found.per_device_train_batch_size == 2
    assert found.device == torch.device("cuda", 1)
    assert two_devices == [1], "what was claimed stays this process's current one"
