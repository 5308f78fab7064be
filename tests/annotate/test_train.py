"""The scripts that train the probe make one that annotates, on a tiny base and the project's own gold sentences."""

import gzip
import json
from types import SimpleNamespace

import pytest
import torch

from tropism.annotate.head import load_head
from tropism.annotate.passages import Passage
from tropism.annotate.probe import Probe
from tropism.records.files import InputError


@pytest.fixture
def corpus(root, tmp_path):
    rows = [json.loads(line) for line in (root / "resources" / "demo" / "gold.jsonl").read_text().splitlines()][:40]
    for name in ("train", "dev"):
        with gzip.open(tmp_path / f"{name}.jsonl.gz", "wt") as file:
            for i, row in enumerate(rows):
                file.write(json.dumps({**row, "id": f"d{i % 10}-fragment1-{i}"}) + "\n")
    return tmp_path


@pytest.fixture
def scripts(root, monkeypatch):
    monkeypatch.syspath_prepend(root / "resources" / "metaphor_probe")
    import fitting
    import shrink
    import train
    import tuning

    return SimpleNamespace(train=train, shrink=shrink, tuning=tuning, fitting=fitting)


SIZES = {"hidden": 8, "count": 16, "epochs": 1, "steps": 30}


def watch(scripts, script, monkeypatch, seen):
    """Have ``script`` tell ``seen`` what it trained on, and the scores that the trained weights give a text."""

    def tune(pools, held, head, upper, *rest):
        seen.update(
            begun={name: weight.detach().clone() for name, weight in upper.named_parameters() if "lora" in name}
        )
        scripts.tuning.tune(pools, held, head, upper, *rest)
        for name, weight in upper.named_parameters():
            if "lora_B" in name:  # far larger than a few steps make them, so that the probe must have read them
                weight.data += 0.3
        scores = scripts.fitting.forward(head, held[:1], upper)[0].sigmoid().tolist()
        seen.update(pools=pools, text=held[0].text, scores=scores)

    monkeypatch.setattr(script, "tune", tune)


def scores_of(probe, text):
    (found,) = probe.annotate([Passage("p", "text", text)])
    return [m.score for m in found.metaphors]


@pytest.mark.parametrize(("layers", "unmasked"), [("1,2", 1), ("1,2", 2)])
def test_one_command_makes_a_probe_whose_scores_are_those_of_training(
    scripts, corpus, tiny_model, monkeypatch, layers, unmasked
):
    seen, out = {}, corpus / "probe"
    watch(scripts, scripts.train, monkeypatch, seen)
    scripts.train.main(corpus, tiny_model, out, corpus / "cache", layers, unmasked, half=False, **SIZES)

    card = json.loads((out / "probe.json").read_text())
    assert (card["layers"], card["unmasked"], card["training"]["held_out_documents"]) == ([1, 2], unmasked, 1)
    assert scores_of(Probe(out, tiny_model, threshold=0.0), seen["text"]) == pytest.approx(seen["scores"], abs=1e-2)
    assert any(factor.abs().max() > 0 for factor in probe_factors(out))


def probe_factors(folder):
    from safetensors.torch import load_file

    return [value for name, value in load_file(folder / "probe.safetensors").items() if name.endswith(".b")]


def test_a_small_probe_is_some_blocks_of_a_large_one_and_learns_what_that_finds_in_texts_without_labels(
    scripts, corpus, tiny_model, monkeypatch
):
    large, out = corpus / "large", corpus / "small"
    scripts.train.main(corpus, tiny_model, large, corpus / "cache", "1,2", 2, **SIZES)
    texts = corpus / "texts.jsonl"
    poem = "Hope is a lamp in the rain; the lease isn't read.\n"
    messages = [{"role": "user", "content": "Can I skip it?"}, {"role": "assistant", "content": "```code```"}]
    rows = [{"id": "p", "text": poem * 3 + "The night walks home."}, {"messages": messages}]
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    seen = {}
    watch(scripts, scripts.shrink, monkeypatch, seen)
    scripts.shrink.main(corpus, tiny_model, large, [texts], out, corpus / "cache", "2", steps=30, half=False)

    (apart, _), (_, _), (others, _) = seen["pools"]
    teacher = Probe(large, tiny_model, threshold=0.0)
    for text in [apart[0], *others]:
        assert text.taught == pytest.approx(scores_of(teacher, text.text), abs=2e-4)
        assert len(text.unit_pos) == len(text.taught)
    words = " ".join(text.text for text in others).split()
    assert words.count("lamp") == 1  # said three times, taught once
    assert not any("code" in word for word in words)

    card = json.loads((out / "probe.json").read_text())
    assert (card["blocks"], card["layers"], card["unmasked"]) == ([2], [0, 1], 1)
    assert scores_of(Probe(out, tiny_model, threshold=0.0), seen["text"]) == pytest.approx(seen["scores"], abs=1e-2)
    a, b = (next(w for n, w in seen["begun"].items() if f"q_proj.lora_{part}" in n) for part in "AB")
    _, factors = load_head(large / "probe.safetensors", 96, 8, len(card["tags"]))
    whole = factors["layers.1.self_attn.q_proj"][1] @ factors["layers.1.self_attn.q_proj"][0]
    left = torch.linalg.svdvals(whole)[4:].square().sum().sqrt()
    assert float(torch.linalg.norm(2 * b @ a - whole)) == pytest.approx(
        float(left), abs=1e-5
    )  # nothing nearer has rank 4


def test_a_probe_whose_blocks_do_not_all_look_both_ways_is_not_shrunk(scripts, corpus, tiny_model):
    large = corpus / "large"
    scripts.train.main(corpus, tiny_model, large, corpus / "cache", "1,2", 1, **SIZES)
    with pytest.raises(InputError, match="look both ways"):
        scripts.shrink.main(corpus, tiny_model, large, [], corpus / "small", corpus / "cache", "1")


def test_a_trusted_teacher_is_followed_where_it_contradicts_the_labels(scripts, corpus, tiny_model):
    from rendering import Rendered

    pieces = SimpleNamespace(ranges=[(0, 1), (1, 2)])
    text = Rendered("a b", [(0, 1), (2, 3)], [1, 0], ["NOUN", "VERB"], "d", pieces=pieces, tokens=[(0, 1), (1, 2)])
    agrees, differs = torch.tensor([3.0, -3.0]), torch.tensor([-3.0, 3.0])
    tags = torch.zeros(2, 2)

    def loss(logits, trust):
        return float(scripts.fitting.loss_of(logits, tags, [text], ["NOUN", "VERB"], trust))

    alone = loss(agrees, 0.5), loss(differs, 0.5)
    assert alone[0] < alone[1]  # no teacher: the labels
    text.taught = [0.0, 1.0]
    assert loss(agrees, 0.0) == pytest.approx(alone[0])
    assert loss(differs, 1.0) < loss(agrees, 1.0)
    without_labels = Rendered("a b", [], [], ["NOUN", "VERB"], "d", pieces=pieces, taught=[0.0, 1.0])
    assert float(scripts.fitting.loss_of(differs, tags, [without_labels], ["NOUN", "VERB"], 0.5)) == pytest.approx(
        loss(differs, 1.0)
    )
