"""A batch without padding is the same batch to the loss."""

import importlib.util
import sys

import pytest
import torch

from tropism.models.base import load_base
from tropism.train.examples import Example, collate
from tropism.train.trainer import selective_loss_sum


@pytest.fixture
def levers(root, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(root / "benchmarks"), *sys.path])
    spec = importlib.util.spec_from_file_location("levers", root / "benchmarks" / "levers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_row_of_several_examples_has_their_loss_and_gradients(levers, tiny_model):
    batch = [Example(str(n), list(range(3 + n, 3 + n + size)), list(range(3 + n, 3 + n + size))) for n, size in
             enumerate((9, 4, 17))]  # fmt: skip
    sums, gradients = [], []
    for inputs in (collate(batch, pad=0), levers.packed(batch)):
        model = load_base(tiny_model)
        total = selective_loss_sum(model, inputs)
        total.backward()
        sums.append(total.detach())
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    torch.testing.assert_close(sums[1], sums[0], rtol=1e-5, atol=1e-4)
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-4, msg=name)
    assert levers.packed(batch)["input_ids"].numel() == 30
