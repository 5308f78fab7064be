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
        seen.update(moved=any((w != seen["begun"][n]).any() for n, w in upper.named_parameters() if "lora_B" in n))
        assert not {text.document for text in held} & {text.document for pool, _ in pools for text in pool}
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
    assert seen["moved"]
    assert max(seen["scores"]) - min(seen["scores"]) > 0.05


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
    assert seen["moved"]
    left = torch.linalg.svdvals(whole)[4:].square().sum().sqrt()
    assert float(torch.linalg.norm(2 * b @ a - whole)) == pytest.approx(
        float(left), abs=1e-5
    )  # nothing nearer has rank 4


def test_factors_of_the_blocks_that_stay_are_numbered_anew_and_cut_to_the_nearest_of_the_rank(scripts):
    torch.manual_seed(0)
    modules = [f"layers.{block}.{name}" for block in (0, 1, 2, 10) for name in ("self_attn.k_proj", "mlp.up_proj")]
    factors = {module: (torch.randn(6, 9), torch.randn(7, 6)) for module in modules}
    found = scripts.shrink.cut(factors, [1, 3, 11], 4)
    assert set(found) == {f"layers.{place}.{n}" for place in range(3) for n in ("self_attn.k_proj", "mlp.up_proj")}
    for place, block in enumerate((0, 2, 10)):
        for name, rank in (("self_attn.k_proj", 4), ("mlp.up_proj", 2)):
            a, b = factors[f"layers.{block}.{name}"]
            small_a, small_b = found[f"layers.{place}.{name}"]
            assert small_a.shape == (rank, 9)
            lost = torch.linalg.svdvals(b @ a)[rank:].square().sum().sqrt()
            assert float(torch.linalg.norm(b @ a - small_b @ small_a)) == pytest.approx(float(lost), rel=1e-4)


def test_what_cannot_be_shrunk_is_refused(scripts, corpus, tiny_model):
    large, texts, cache = corpus / "large", corpus / "texts.jsonl", corpus / "cache"
    scripts.train.main(corpus, tiny_model, large, cache, "1,2", 2, **SIZES)
    texts.write_text('{"text": "Hope is a lamp."}\n{"words": 1}\n')

    def shrink(blocks):
        scripts.shrink.main(corpus, tiny_model, large, [texts], corpus / "small", cache, blocks)

    with pytest.raises(InputError, match=r"texts\.jsonl, line 2: neither"):
        shrink("1")
    for blocks in ("2,1", "1,1", "0,1", "1,3"):
        with pytest.raises(InputError, match="not some of the blocks 1 to 2"):
            shrink(blocks)
    card = json.loads((large / "probe.json").read_text())
    (large / "probe.json").write_text(json.dumps({**card, "base": {"name": "another", "sha256": "0"}}))
    with pytest.raises(InputError, match=r"not the base of the probe in .* \(another\)"):
        shrink("1")
    (large / "probe.json").write_text(json.dumps({**card, "unmasked": 1}))
    with pytest.raises(InputError, match="look both ways"):
        shrink("1")


def test_what_was_read_of_some_texts_is_not_taken_for_others(scripts, corpus, tiny_model):
    from rendering import Rendered, read_features

    from tropism.annotate.features import Reader

    reader, folder = Reader(tiny_model, [1, 2]), corpus / "cache"

    def read(words, base="a"):
        (text,) = read_features(reader, base, [Rendered(words, [], [], ["X"] * len(words.split()), "d")], folder)
        return text.features

    first = read("ab cd")
    assert torch.equal(read("ab cd"), first)
    assert len(list(folder.iterdir())) == 1
    assert not torch.equal(read("ab ce"), first)
    read("ab cd", base="b")
    assert len(list(folder.iterdir())) == 3


def test_the_blocks_that_are_dropped_first_cost_the_labels_least(scripts, corpus, tiny_model, capsys):
    import drop

    scripts.train.main(corpus, tiny_model, corpus / "large", corpus / "cache", "1,2", 2, **SIZES)
    drop.main(corpus, tiny_model, corpus / "large", 1)
    assert "left: 1\n" in capsys.readouterr().out


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
