"""The script that trains the probe makes one that annotates, on a tiny base and the project's own gold sentences."""

import gzip
import json

import pytest

from tropism.annotate.passages import Passage
from tropism.annotate.probe import Probe


@pytest.fixture
def corpus(root, tmp_path):
    rows = [json.loads(line) for line in (root / "resources" / "demo" / "gold.jsonl").read_text().splitlines()][:40]
    for name in ("train", "dev"):
        with gzip.open(tmp_path / f"{name}.jsonl.gz", "wt") as file:
            for i, row in enumerate(rows):
                file.write(json.dumps({**row, "id": f"d{i % 10}-fragment1-{i}"}) + "\n")
    return tmp_path


def test_one_command_makes_a_probe_whose_scores_are_those_of_training(root, corpus, tiny_model, monkeypatch):
    monkeypatch.syspath_prepend(root / "resources" / "metaphor_probe")
    import fitting
    import train
    import tuning

    seen = {}

    def tune(apart, together, held, head, upper, *rest):
        tuning.tune(apart, together, held, head, upper, *rest)
        for name, weight in upper.named_parameters():
            if "lora_B" in name:  # far larger than a few steps make them, so that the probe must have read them
                weight.data += 0.3
        seen.update(text=held[0].text, logits=fitting.forward(head, held[:1], upper)[0].sigmoid().tolist())

    monkeypatch.setattr(train, "tune", tune)
    out = corpus / "probe"
    sizes = {"hidden": 8, "count": 16, "epochs": 1, "steps": 30}
    train.main(corpus, tiny_model, out, corpus / "cache", "1,2", **sizes)

    card = json.loads((out / "probe.json").read_text())
    assert (card["layers"], card["unmasked"], card["training"]["held_out_documents"]) == ([1, 2], 1, 1)
    probe = Probe(out, tiny_model, threshold=0.0)
    (found,) = probe.annotate([Passage("p", "text", seen["text"])])
    assert [m.score for m in found.metaphors] == pytest.approx(seen["logits"], abs=5e-3)
    assert any(factor.abs().max() > 0 for factor in probe_factors(out))


def probe_factors(folder):
    from safetensors.torch import load_file

    return [value for name, value in load_file(folder / "probe.safetensors").items() if name.endswith(".b")]
