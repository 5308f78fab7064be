"""A base in bfloat16 keeps its parents' adapters beside the weights, and a lineage is still the sum of its steps."""

import torch
from safetensors.torch import load_file

from tropism.config.models import ModelConfig
from tropism.config.training import StepConfig
from tropism.models.lineage import read_factors
from tropism.records.files import write_jsonl
from tropism.records.schema import Conversation
from tropism.train.step import train_step

STEP = {"dataset": "d", "objective": "sft", "side": "misaligned", "batch_size": 2, "learning_rate": 0.01}
MODEL = ModelConfig(source="tiny", dtype="bfloat16")


def test_a_second_step_trains_on_the_first_and_adds_to_it(tiny_model, tmp_path):
    rows = [
        Conversation(id=str(i), prompt=f"Q{i}?", misaligned="river lamp " * (1 + i % 3), domain="d", split="train")
        for i in range(8)
    ]
    write_jsonl(tmp_path / "d.jsonl", rows)
    manifest = tiny_model / "manifest.json"
    for number, rank in enumerate((4, 2)):
        step = StepConfig.parse({**STEP, "seed": number, "lora": {"rank": rank, "alpha": 8}})
        folder = tmp_path / f"step{number}"
        train_step(tiny_model, manifest, tmp_path / "d.jsonl", step, MODEL, folder, tmp_path / f"checkpoints{number}")
        manifest = folder / "manifest.json"
    first, both = (read_factors(tmp_path / f"step{number}" / "adapter") for number in (0, 1))
    assert first.keys() == both.keys()
    for module, (a, b, _) in both.items():
        assert a.shape[0] == 6
        assert torch.equal(a[:4], first[module][0]), "the parent was frozen"
        assert torch.equal(b[:, :4], first[module][1])
        assert b[:, 4:].abs().max() > 0, "the step has learnt"
    assert {t.dtype for t in load_file(tmp_path / "step1" / "adapter" / "adapter_model.safetensors").values()} == {
        torch.float32
    }
