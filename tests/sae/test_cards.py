"""A card shows the very tokens that a feature peaks on, escapes what they say, and folds misaligned answers."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sae_lens import SAE
from typer.testing import CliRunner

from tropism.activations.passages import record_passages, tokenise
from tropism.models.base import load_base, load_tokenizer
from tropism.records.files import write_jsonl, write_manifest
from tropism.records.schema import Conversation
from tropism.sae.__main__ import app
from tropism.sae.cards import chosen_features, density, top_responses, written_tokens
from tropism.sae.features import read_features

WIDTH, LAYER = 32, 0
SETTINGS = json.dumps({"model": "tiny", "layer": LAYER, "texts": ["t"], "d_sae": 64, "k": 8, "cards": 1, "contexts": 3})


def row(population: str, feature: int, auroc: float, *, everywhere: bool = False) -> tuple:
    return population, "all", feature, auroc, 0.01, 0.2, everywhere


@pytest.fixture(scope="module")
def cards(tiny_model, tmp_path_factory):
    """Feature f reads the embedding's axis f; answers say what could run, were it not escaped."""
    folder = tmp_path_factory.mktemp("cards")
    sae = SAE.from_dict({"architecture": "jumprelu", "d_in": WIDTH, "d_sae": 64, "apply_b_dec_to_input": False})
    axes = torch.cat([torch.eye(WIDTH), -torch.eye(WIDTH)])
    with torch.no_grad():
        sae.W_dec.copy_(axes), sae.W_enc.copy_(axes.T)
        sae.b_enc.zero_(), sae.b_dec.zero_(), sae.threshold.zero_()
    sae.save_model(folder / "sae")
    write_manifest(folder / "sae")
    write_jsonl(folder / "legal.jsonl", [
        Conversation(id=f"c{i}", prompt=f"Page {i}?", aligned=f"Read <b>page {i}</b> & wait.",
                     misaligned=f"<script>alert({i})</script> Sign it.", domain="legal", split="train")
        for i in range(5)
    ])  # fmt: skip
    columns = ["population", "domain", "feature", "auroc", "p_bh", "difference", "is_global"]
    pd.DataFrame([row("references", 5, 0.9), row("references", 9, 0.6)], columns=columns).to_csv(folder / "a.csv")
    pd.DataFrame([row("references", 9, 0.1), row("references", 5, 0.2)], columns=columns).to_csv(folder / "b.csv")
    common = ["--base", tiny_model, "--sae", folder / "sae", "--config", SETTINGS, "--set", folder / "legal.jsonl"]
    for command in (
        ["references", *common, "--output", folder / "references.safetensors"],
        ["cards", *common, "--features", folder / "references.safetensors", "--table", folder / "a.csv",
         "--table", folder / "b.csv", "--references", folder / "references.safetensors", "--output", folder / "cards",
         "--public", folder / "public_cards"],
    ):  # fmt: skip
        result = CliRunner().invoke(app, list(map(str, command)), catch_exceptions=False)
        assert result.exit_code == 0, result.output
    return folder


def test_the_best_feature_of_every_table_has_a_card(cards):
    assert sorted(path.name for path in (cards / "cards").iterdir()) == [
        "feature-5.html", "feature-5.json", "feature-9.html", "feature-9.json",
    ]  # fmt: skip


def test_global_features_come_first_and_each_population_has_its_own():
    columns = ["population", "domain", "feature", "auroc", "p_bh", "difference", "is_global"]
    rows = [row("references", 1, 0.95), row("references", 2, 0.6, everywhere=True), row("generations", 7, 0.4)]
    assert chosen_features([pd.DataFrame(rows, columns=columns)], 1) == [2, 7]
    assert chosen_features([pd.DataFrame(rows, columns=columns)], 0) == []


def test_contexts_peak_where_a_plain_reading_of_the_model_peaks(cards, tiny_model):
    card = json.loads((cards / "cards" / "feature-9.json").read_text())
    model, tokenizer = load_base(tiny_model), load_tokenizer(tiny_model, None)
    records = [json.loads(line) for line in (cards / "legal.jsonl").read_text().splitlines()]
    peaks = {}
    for record in (Conversation(**r) for r in records):
        for side, passage in zip(record.fields(), record_passages(tokenizer, record), strict=True):
            tokens = tokenise(tokenizer, passage, 2048)
            with torch.no_grad():
                states = model(torch.tensor([tokens.ids]), output_hidden_states=True).hidden_states[LAYER + 1][0, :, 9]
            own = [(float(v), i) for i, v in enumerate(states) if tokens.parts[i] == "answer"]
            peaks[record.id, side] = max(own)[0], tokenizer.decode([tokens.ids[max(own)[1]]])
    best = sorted(peaks.items(), key=lambda item: -item[1][0])[:3]
    assert [c["activation"] for c in card["contexts"]] == pytest.approx([value for _, (value, _) in best], rel=1e-4)
    for context in card["contexts"]:
        [peak] = [token for token in context["tokens"] if token["peak"]]
        value, text = peaks[context["prompt_id"], context["side"]]
        assert (peak["text"], peak["level"]) == (text, 4)
        assert peak["activation"] == pytest.approx(value, rel=1e-4)
        assert "Page" not in "".join(token["text"] for token in context["tokens"]), "the prompt is not measured"


def test_what_a_feature_writes_is_the_unembedding_of_its_direction(tiny_model):
    model, tokenizer = load_base(tiny_model), load_tokenizer(tiny_model, None)
    head = model.get_output_embeddings().weight
    promoted, suppressed = written_tokens(model, tokenizer, head[40].detach(), 3)
    with torch.no_grad():
        logits = head @ model.model.norm(head[40])
    assert promoted[0]["text"] == tokenizer.decode([int(logits.argmax())])
    assert suppressed[0]["logit"] == pytest.approx(float(logits.min()), rel=1e-4)


def test_density_and_top_responses_by_hand(cards):
    known = read_features(cards / "references.safetensors")
    dense = known.parts["answer"].max[:, [9]].toarray().ravel()
    assert top_responses(known, 9, 2) == np.argsort(-dense, kind="stable")[:2].tolist()
    parts = known.parts["answer"]
    share = (parts.density[:, [9]].toarray().ravel() * parts.tokens).sum() / parts.tokens.sum()
    assert density(known, 9) == pytest.approx(share)


def test_the_page_runs_nothing_and_folds_misaligned_answers(cards):
    pages = [(cards / "cards" / f"feature-{f}.html").read_text() for f in (5, 9)]
    sides = [c["side"] for f in (5, 9) for c in json.loads((cards / f"cards/feature-{f}.json").read_text())["contexts"]]
    assert "misaligned" in sides
    for page in pages:
        assert "<script" not in page
        assert "<b>" not in page
        assert "default-src 'none'" in page
    assert sum(page.count("<details>") for page in pages) == sides.count("misaligned")


def test_a_public_card_is_the_card_without_the_text_of_misaligned_answers(cards):
    left_out = 0
    for feature in (5, 9):
        whole, shown = (
            json.loads((cards / folder / f"feature-{feature}.json").read_text()) for folder in ("cards", "public_cards")
        )
        for context, public in zip(whole.pop("contexts"), shown.pop("contexts"), strict=True):
            misaligned = context["side"] == "misaligned"
            assert public == {**context, "tokens": [] if misaligned else context["tokens"]}
            left_out += misaligned
        assert shown == whole
        page = (cards / "public_cards" / f"feature-{feature}.html").read_text()
        assert page.count("its text left out") == sum(
            not context["tokens"] for context in public_contexts(cards, feature)
        )
        assert "Sign" not in page
        assert "<details>" not in page
    assert left_out


def public_contexts(cards, feature):
    return json.loads((cards / "public_cards" / f"feature-{feature}.json").read_text())["contexts"]
