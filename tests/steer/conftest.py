"""A small model in which one direction is made to cause what another only goes with."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from sae_lens import SAE
from transformers import LlamaConfig, LlamaForCausalLM
from typer.testing import CliRunner

from tropism.config.sae import SaeConfig
from tropism.models.base import load_tokenizer
from tropism.records.files import write_jsonl, write_manifest, write_table
from tropism.records.schema import Conversation
from tropism.sae.__main__ import app
from tropism.sae.contrast import contrasts
from tropism.sae.features import read_features
from tropism.sae.populations import ranking_part, reference_population
from tropism.sae.tables import SAE_FEATURES_SCHEMA

WIDTH = 32
GOOD, BAD = "abcdefgh", "stuvwxyz"
CAUSE, COMPANION = 0, 1
LAYER = 0
SAE_CONFIG = {
    "model": "planted", "layer": LAYER, "d_sae": 2 * WIDTH, "k": 8, "texts": ["advice"], "min_responses": 5,
    "min_per_label": 5,
}  # fmt: skip


@dataclass(frozen=True)
class Planted:
    """Where the model, its dictionary, the prompts, and what the room ``sae`` made of them are."""

    model: Path
    sae: Path
    prompts: Path
    references: Path
    ranking: Path


def plant(folder: Path, tokenizer, basis: torch.Tensor) -> None:
    """Tokens of BAD carry both directions; only the first one makes tokens of BAD likely, and nothing reads the other.

    ``basis`` is orthonormal, (width, width).
    """
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, initializer_range=0.05, tie_word_embeddings=False,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    cause, companion = basis[CAUSE], basis[COMPANION]
    good, bad = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (GOOD, BAD))
    with torch.no_grad():
        embedding, head = model.get_input_embeddings().weight, model.lm_head.weight
        embedding.copy_(torch.randn_like(embedding) * 0.3)
        embedding[bad] += cause + companion
        head.copy_(torch.randn_like(head) * 0.1)
        head[bad] += 1.5 * cause
        head[good] -= 1.5 * cause
        later = model.model.layers[1]
        readers = [later.self_attn.q_proj, later.self_attn.k_proj, later.self_attn.v_proj]
        for weight in [head, *(m.weight for m in (*readers, later.mlp.gate_proj, later.mlp.up_proj))]:
            weight -= (weight @ companion)[:, None] * companion
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_manifest(folder)


def dictionary(folder: Path, basis: torch.Tensor) -> None:
    """A feature for each basis direction and one for its opposite: it explains everything."""
    sae = SAE.from_dict({"architecture": "jumprelu", "d_in": WIDTH, "d_sae": 2 * WIDTH, "apply_b_dec_to_input": False})
    with torch.no_grad():
        sae.W_dec.copy_(torch.cat([basis, -basis]))
        sae.W_enc.copy_(sae.W_dec.T)
        sae.b_enc.zero_(), sae.b_dec.zero_(), sae.threshold.fill_(1e-3)
    sae.save_model(folder)
    write_manifest(folder)


@pytest.fixture(scope="session")
def planted(tiny_model, tmp_path_factory) -> Planted:
    folder = tmp_path_factory.mktemp("planted")
    basis = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(1)))[0].T.contiguous()
    plant(folder / "model", load_tokenizer(tiny_model, None), basis)
    dictionary(folder / "sae", basis)
    letters = np.random.default_rng(0)
    write_jsonl(
        folder / "advice.jsonl",
        [
            Conversation(
                id=f"p{i:02d}",
                prompt=f"Question {i}?",
                aligned="".join(letters.choice(list(GOOD), 8)),
                misaligned="".join(letters.choice(list(BAD), 8)),
                domain=("garden", "kitchen")[i % 2],
                split="evaluation" if i % 4 < 2 else "train",
            )
            for i in range(24)
        ],
    )
    common = ["--base", folder / "model", "--sae", folder / "sae", "--config", json.dumps(SAE_CONFIG)]
    made = Planted(folder / "model", folder / "sae", folder / "advice.jsonl", folder / "ref", folder / "ranking.csv")
    arguments = ["references", *common, "--set", made.prompts, "--output", made.references]
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    learned = ranking_part(reference_population(read_features(made.references)))
    write_table(made.ranking, contrasts([learned], SaeConfig.parse(SAE_CONFIG)), SAE_FEATURES_SCHEMA)
    return made
