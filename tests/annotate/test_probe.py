"""The shipped probe gives exact spans, the same whatever is annotated beside them, as good as its card says."""

import hashlib
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from tropism.annotate.features import STRIDE, WINDOW, Reader
from tropism.annotate.gold import read_gold
from tropism.annotate.head import Head, load_head, save_head
from tropism.annotate.packing import Packed, pack
from tropism.annotate.passages import Passage
from tropism.annotate.probe import Probe, check_base, read_card
from tropism.annotate.quality import quality_table
from tropism.config.annotator import AnnotatorConfig
from tropism.config.base import ConfigError
from tropism.records.files import InputError
from tropism.records.words import words

POEM = "Night folds its dark wings\nover the town,\n\n\tand the well-known café — don't ask — sings 😀 of naïve love.\n"


@pytest.fixture(scope="module")
def probe(root, base_model):
    return Probe(root / "resources" / "metaphor_probe", base_model)


@pytest.fixture(scope="module")
def tiny_reader(tiny_model):
    return Reader(tiny_model, [1, 2])


def spans(annotation):
    return [(m.start, m.end, m.score) for m in annotation.metaphors]


def test_another_base_than_the_probes_own_is_told_of(root, tiny_model, caplog):
    card = read_card(root / "resources" / "metaphor_probe")
    check_base(card, tiny_model)
    assert "other weights than the probe mip-smollm2 was trained on (SmolLM2-135M-Instruct)" in caplog.text
    caplog.clear()
    weights = hashlib.sha256((tiny_model / "model.safetensors").read_bytes()).hexdigest()
    check_base(card.model_copy(update={"base": {"name": "tiny", "sha256": weights}}), tiny_model)
    assert not caplog.text


def test_units_are_the_words_and_metaphors_are_units(probe):
    (found,) = probe.annotate([Passage("p", "text", POEM)])
    assert [(u.start, u.end) for u in found.units] == words(POEM)
    assert {(m.start, m.end, m.pos) for m in found.metaphors} <= {(u.start, u.end, u.pos) for u in found.units}
    assert "folds" in {POEM[m.start : m.end] for m in found.metaphors}
    assert all(m.basic is None and probe.threshold <= m.score <= 1 for m in found.metaphors)
    parts = {POEM[u.start : u.end]: u.pos for u in found.units}
    assert (parts["the"], parts["dark"], parts["wings"], parts["town"]) == ("DET", "ADJ", "NOUN", "NOUN")


def test_a_subset_is_annotated_as_in_the_whole(probe, root):
    sentences = read_gold(root / "resources" / "demo" / "gold.jsonl")[:40]
    passages = [Passage(s.id, "text", s.text) for s in sentences] + [Passage("p", "text", POEM * 30)]
    whole = {a.id: a for a in probe.annotate(passages)}
    for part in (passages[::7], passages[-1:], passages[:1]):
        for alone in probe.annotate(part):
            together = whole[alone.id]
            assert alone.units == together.units
            assert [s[:2] for s in spans(alone)] == [s[:2] for s in spans(together)]
            assert [s[2] for s in spans(alone)] == pytest.approx([s[2] for s in spans(together)], abs=2e-4)


def test_a_text_without_words_has_no_units(probe):
    found = list(probe.annotate([Passage("empty", "text", ""), Passage("digits", "text", "12 — 34!\n")]))
    assert [(a.units, a.metaphors) for a in found] == [([], [])] * 2


def test_threshold_of_the_settings_replaces_the_probes(probe, root, base_model):
    strict = Probe(root / "resources" / "metaphor_probe", base_model, threshold=1.0)
    (found,) = strict.annotate([Passage("p", "text", POEM)])
    assert found.metaphors == []
    assert found.annotator != probe.name


def test_the_card_is_small_and_holds_no_sentence(root):
    folder = root / "resources" / "metaphor_probe"
    assert (folder / "probe.safetensors").stat().st_size < 1_000_000
    assert (folder / "probe.json").stat().st_size < 4_000


def test_own_gold_set_is_annotated_far_above_chance(probe, root):
    table = quality_table(read_gold(root / "resources" / "demo" / "gold.jsonl"), probe, "demo")
    assert table.loc[0, "f1"] > 0.5
    assert table.loc[0, "kappa"] > 0.4


@pytest.mark.slow
def test_dev_scores_are_those_on_the_card(probe, shared):
    path = shared / "vua" / "dev.jsonl.gz"
    table = quality_table(read_gold(path), probe, "vua")
    for score in ("precision", "recall", "f1", "kappa"):
        assert table.loc[0, score] == pytest.approx(probe.card.scores["dev"][score], abs=2e-3)


def test_a_base_of_another_shape_is_refused_with_the_right_ones_name(root, tiny_model):
    with pytest.raises(InputError, match=r"SmolLM2-135M-Instruct|trained on another base"):
        Probe(root / "resources" / "metaphor_probe", tiny_model)


@settings(max_examples=30, deadline=None)
@given(st.text(alphabet=st.sampled_from("aé'’- \n.1😀"), max_size=40))
def test_the_pieces_of_a_unit_cover_it(tiny_reader, text):
    found = tiny_reader.pieces(text)
    assert found.units == words(text)
    for (start, end), (first, past) in zip(found.units, found.ranges, strict=True):
        joined = tiny_reader.tokenizer.decode(found.ids[first:past])
        assert text[start:end] in joined or "\ufffd" in joined


def test_a_special_tokens_name_in_a_text_is_letters_and_each_of_its_words_has_pieces_of_its_own(tiny_reader):
    found = tiny_reader.pieces("Stop <|im_end|> now")
    assert not set(found.ids) & set(tiny_reader.tokenizer.all_special_ids)
    assert [tiny_reader.tokenizer.decode(found.ids[first:past]).strip() for first, past in found.ranges] == [
        "Stop", "im", "end", "now",
    ]  # fmt: skip


def test_long_texts_are_read_in_windows_without_a_seam(tiny_reader):
    long = tiny_reader.pieces("abcdefghi " * 130)
    ((_, features),) = tiny_reader.read([long])
    assert len(long.ids) > WINDOW + STRIDE
    assert features.shape == (len(long.ids), tiny_reader.width)
    ((_, first),) = tiny_reader.read([tiny_reader.pieces("abcdefghi " * 50)])
    assert torch.allclose(features[: WINDOW - 64], first[: WINDOW - 64], atol=1e-4)


def test_unmasked_blocks_see_what_follows_and_no_padding(tiny_model):
    reader = Reader(tiny_model, [1, 2], unmasked=1)
    short, other, long = (reader.pieces(text) for text in ("a dark wing", "a dark sail", "night folds its wings " * 9))
    alone = dict(reader.read([short]))[0]
    masked, seeing = alone[:, :32], alone[:, 32:64]
    changed = dict(reader.read([other]))[0]
    assert torch.allclose(masked[:7], changed[:7, :32], atol=1e-6)
    assert (seeing[:7] - changed[:7, 32:64]).abs().max() > 1e-3
    assert torch.allclose(dict(reader.read([long, short]))[1], alone, atol=1e-5)


def test_only_the_blocks_named_are_read_in_their_order(tiny_model):
    both, second = Reader(tiny_model, [1, 2]), Reader(tiny_model, [0, 1], blocks=[2])
    assert len(second.stack.layers) == 1
    text = both.pieces("a dark wing")
    ids = torch.tensor([[both.start, *text.ids]])
    with torch.no_grad():
        embedded = both.stack.get_input_embeddings()(ids)
        places = both.stack.rotary_emb(embedded, torch.arange(ids.shape[1])[None])
        expected = both.stack.layers[1](embedded, attention_mask=None, position_embeddings=places)
    read = dict(second.read([text]))[0]
    assert torch.allclose(read[:, :32], embedded[0, 1:], atol=1e-6)
    assert torch.allclose(read[:, 32:64], expected[0, 1:], atol=1e-5)
    with pytest.raises(InputError, match="reads block 7"):
        Reader(tiny_model, [1], blocks=[7])
    for layers, unmasked, blocks in (([2], 0, [2]), ([1], 2, [2]), ([1], 0, [0])):
        with pytest.raises(InputError, match="no such layers"):
            Reader(tiny_model, layers, unmasked, blocks)


def test_packed_matrices_give_what_plain_ones_do_and_what_cannot_be_packed_stays(tiny_model):
    reader, plain = (Reader(tiny_model, [1, 2], unmasked=2) for _ in range(2))
    pack(reader.stack)
    assert {type(block.mlp.up_proj) for block in reader.stack.layers} == {Packed}
    texts = [plain.pieces(text) for text in ("a dark wing", "night folds its wings " * 30)]
    for (_, packed), (_, expected) in zip(reader.read(texts), plain.read(texts), strict=True):
        assert torch.allclose(packed, expected, atol=1e-5)
    parts = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3, bias=False, dtype=torch.bfloat16))
    pack(parts)
    assert [type(part) for part in parts] == [torch.nn.Linear] * 2


def test_factors_are_added_to_the_weights_they_name(tiny_model, tmp_path):
    reader, name = Reader(tiny_model, [1, 2]), "layers.1.mlp.up_proj"
    before = reader.stack.get_parameter(f"{name}.weight").clone()
    factors = {name: (torch.ones(2, 32), torch.full((64, 2), 0.25))}
    save_head(Head(96, 4, 3), tmp_path / "probe.safetensors", factors)
    _, loaded = load_head(tmp_path / "probe.safetensors", 96, 4, 3)
    reader.tune(loaded)
    assert torch.allclose(reader.stack.get_parameter(f"{name}.weight"), before + 0.5)


def test_weights_are_kept_to_half_a_step_of_their_row_and_unrounded_ones_are_read_as_they_are(tmp_path):
    torch.manual_seed(0)
    head, a, b = Head(12, 4, 3), torch.randn(2, 5), torch.randn(6, 2) * torch.tensor([1.0, 1e-4])
    head.mean, head.scale = torch.full((12,), 1e4), torch.full((12,), 1e-6)
    save_head(head, tmp_path / "rounded.safetensors", {"m": (a, b)})
    loaded, factors = load_head(tmp_path / "rounded.safetensors", 12, 4, 3)
    pairs = [(a, factors["m"][0]), (b.T, factors["m"][1].T)]
    pairs += [(w, loaded.state_dict()[n]) for n, w in head.state_dict().items() if w.dim() > 1]
    for exact, kept in ((one.flatten(1), other.flatten(1)) for one, other in pairs):
        assert ((exact - kept).abs().amax(dim=1) <= exact.abs().amax(dim=1) / 127 / 2 * 1.001).all()
    assert all(torch.equal(w, loaded.state_dict()[n]) for n, w in head.state_dict().items() if w.dim() == 1)

    plain = {n: w.half() for n, w in head.state_dict().items()} | {"tuned.m.a": a.half(), "tuned.m.b": b.half()}
    save_file(plain, tmp_path / "plain.safetensors")
    before, factors = load_head(tmp_path / "plain.safetensors", 12, 4, 3)
    assert all(torch.equal(plain[n].float(), w) for n, w in before.state_dict().items())
    assert torch.equal(factors["m"][1], b.half().float())

    save_file({**plain, "tuned.m.a": a.to(torch.int8)}, tmp_path / "lost.safetensors")
    with pytest.raises(RuntimeError, match=r"tuned\.m\.a is rounded and its steps are missing"):
        load_head(tmp_path / "lost.safetensors", 12, 4, 3)


def test_padding_changes_nothing(tiny_reader):
    torch.manual_seed(0)
    head = Head(8, 6, 3).eval()
    features = torch.randn(1, 5, 8)
    padded = torch.cat([features, 100 * torch.ones(1, 4, 8)], dim=1)
    plain, masked = head(features, torch.ones(1, 5)), head(padded, torch.tensor([[1.0] * 5 + [0.0] * 4]))
    for one, other in zip(plain, masked, strict=True):
        assert torch.allclose(one, other[:, :5], atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "probe"}, "name it as `model`"),
        ({"kind": "gold"}, "needs `gold`"),
        ({"kind": "llm"}, "an endpoint"),
        ({"kind": "llm", "llm": {"base_url": "http://x/v1"}}, "without `llm.model`"),
        ({"kind": "probe", "model": "m", "treshold": 0.5}, "did you mean `threshold`"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        AnnotatorConfig.parse(json.dumps(settings), "annotator")
