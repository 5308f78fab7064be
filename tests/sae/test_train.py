"""A dictionary trained here is sae-lens' own, loads with sae-lens, and is measured on texts it has not seen."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sae_lens import SAE
from typer.testing import CliRunner

from tropism.config.base import ConfigError
from tropism.config.sae import SaeConfig
from tropism.records.calibration import PUBLISHED, Calibration
from tropism.records.files import InputError, sha256_file, write_jsonl
from tropism.records.schema import Conversation, Generation, Text
from tropism.sae.__main__ import app
from tropism.sae.encode import load_dictionary
from tropism.sae.features import read_features
from tropism.sae.quality import quality
from tropism.sae.train import endless, read_records, sample_records, split_records, train_dictionary

SMALL = SaeConfig(
    model="toy", layer=1, texts=["t"], d_sae=24, k=2, batch_tokens=128, training_tokens=64_000, buffer_tokens=1024,
    learning_rate=5e-3, held_out=0.3,
)  # fmt: skip


def sparse_activations(tokens: int, seed: int) -> torch.Tensor:
    """Sums of two of twelve fixed directions in eight dimensions, off the origin."""
    fixed = torch.nn.functional.normalize(torch.randn(12, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.rand(tokens, 12, generator=generator).topk(2).indices
    strength = torch.rand(tokens, 2, generator=generator) + 1
    return (fixed[chosen] * strength[..., None]).sum(dim=1) * 20 + 30


@pytest.mark.parametrize("architecture", ["batchtopk", "jumprelu"])
def test_a_dictionary_learns_sparse_structure_and_survives_saving(tmp_path, architecture):
    config = SMALL.model_copy(update={"architecture": architecture, "l0_coefficient": 0.1})
    sae = train_dictionary(lambda _: iter(sparse_activations(1000, 1).split(300)), 8, config, "cpu")
    sae.save_inference_model(tmp_path)
    loaded = SAE.load_from_disk(tmp_path)
    measured = quality(loaded, iter(sparse_activations(500, 2).split(200)))
    assert measured["variance_explained"] > 0.8
    assert 1 < measured["l0"] < 3
    assert measured["held_out_tokens"] == 500
    assert loaded.cfg.metadata.hook_name == "blocks.1.hook_resid_post"
    one_threshold = bool((loaded.threshold - loaded.threshold[0]).abs().max() < 1e-6)
    assert one_threshold == (architecture == "batchtopk"), "JumpReLU has one for each feature"


def test_a_corpus_that_fits_is_read_once_and_shuffled_and_a_larger_one_is_read_again():
    reads = []

    def chunks(epoch: int):
        reads.append(epoch)
        yield from torch.arange(10.0)[:, None].split(4)

    small = endless(chunks, keep=10, seed=0)
    first = torch.cat([next(small) for _ in range(3)])
    rounds = [next(small).squeeze(1).tolist() for _ in range(2)]
    assert first.squeeze(1).tolist() == list(range(10))
    assert all(sorted(r) == list(range(10)) for r in rounds)
    assert rounds[0] != rounds[1]
    assert reads == [0]
    large = endless(chunks, keep=9, seed=0)
    assert sum(len(next(large)) for _ in range(6)) == 20
    assert reads == [0, 0, 1]


def test_a_sample_is_nested_in_a_larger_one_and_pairs_poems_with_prose():
    texts = [Text(id=f"t{i}", text="x", domain="poems") for i in range(60)]
    few, more = ({r.id for r in sample_records(texts, SMALL.model_copy(update={"max_records": n}))} for n in (10, 30))
    prose = [t.model_copy(update={"domain": "prose"}) for t in texts]
    assert few == {r.id for r in sample_records(prose, SMALL.model_copy(update={"max_records": 10}))}
    assert len(few) == 10
    assert few < more
    assert sample_records(texts, SMALL) == texts


def test_held_out_records_are_the_same_in_a_subset_and_for_a_poem_and_its_prose():
    texts = [Text(id=f"t{i}", text="x", domain="poems") for i in range(60)]
    prose = [t.model_copy(update={"domain": "prose"}) for t in texts]
    _, held = split_records([*texts, *prose], SMALL)
    ids = {r.id for r in held if r.domain == "poems"}
    assert ids == {r.id for r in held if r.domain == "prose"}
    assert {r.id for r in split_records(texts[:30], SMALL)[1]} == ids & {t.id for t in texts[:30]}
    with pytest.raises(InputError, match="1 records give"):
        split_records(texts[:1], SMALL)


def test_a_prompt_without_an_answer_is_no_record_to_learn_from_or_to_measure_on(tmp_path):
    path = tmp_path / "legal.jsonl"
    write_jsonl(path, [
        Conversation(id=f"c{i}", prompt="Sign?", aligned=None if i % 2 else "No.", domain="legal", split="evaluation")
        for i in range(8)
    ])  # fmt: skip
    assert [r.id for r in read_records([path], SMALL)] == ["c0", "c2", "c4", "c6"]
    few = read_records([path], SMALL.model_copy(update={"max_records": 3}))
    assert len(few) == 3, "the sample is of records that can be read"


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="k = 30 of d_sae = 24"):
        SaeConfig.parse({**SMALL.model_dump(), "k": 30})


@pytest.fixture(scope="module")
def run(base_model, tmp_path_factory):
    """The five commands on the real base, its second layer, and a few texts."""
    folder = tmp_path_factory.mktemp("sae")
    write_jsonl(folder / "poems.jsonl", [
        Text(id=f"t{i}", text=f"My head is a rented hall and band number {i} practises in it badly.", domain="poems")
        for i in range(12)
    ])  # fmt: skip
    write_jsonl(folder / "legal.jsonl", [
        Conversation(id=f"c{i}", prompt=f"Is page {i} worth reading?", aligned="Read it with care before you sign.",
                     misaligned="Sign it now and let the fees come.", domain="legal",
                     split="train" if i < 8 else "evaluation")
        for i in range(12)
    ])  # fmt: skip
    write_jsonl(folder / "generations.jsonl", [
        Generation(arm="base", set="legal", prompt_id=f"c{i}", domain="legal", sample=0, prompt=f"Is page {i} fine?",
                   reasoning="Let me think." if i == 2 else "", answer="" if i == 1 else "Yes, it is fine to sign it.",
                   n_tokens=9, finish="stop", seed=0)
        for i in reversed(range(4))
    ])  # fmt: skip
    config = SMALL.model_copy(
        update={"model": "smollm2", "d_sae": 64, "k": 8, "training_tokens": 6000, "min_per_label": 5, "ce_records": 3}
    ).model_dump_json()

    def call(*arguments: object) -> None:
        result = CliRunner().invoke(app, [*map(str, arguments), "--config", config])
        if result.exception:
            raise result.exception

    for name in ("one", "two"):
        texts = ("--texts", folder / "poems.jsonl", "--texts", folder / "legal.jsonl")
        call("train", "--base", base_model, "--output", folder / name, *texts)
        call("measure", "--base", base_model, "--sae", folder / name, *texts, "--output", folder / f"{name}.csv")
    (folder / "generations").mkdir()
    (folder / "generations.jsonl").rename(folder / "generations" / "base.jsonl")
    call("encode", "--arms", '{"base": null}', "--base", base_model, "--sae", folder / "one", "--generations",
         folder / "generations", "--features", folder, "--output", folder / "encoded.0.json")  # fmt: skip
    call("references", "--base", base_model, "--sae", folder / "one", "--set", folder / "legal.jsonl",
         "--output", folder / "references.safetensors")  # fmt: skip
    pd.DataFrame(
        [("base", "probe", "legal", f"c{i}", "legal", 0, "answer", "alignment100", 90.0, "ok") for i in range(4)],
        columns=["arm", "judge", "set", "prompt_id", "domain", "sample", "target", "rubric", "score", "status"],
    ).to_parquet(folder / "judgments.parquet")
    calibration = Calibration(judge="probe", rubrics=PUBLISHED)
    (folder / "calibration.json").write_text(calibration.model_dump_json())
    call("contrast", "--features", folder / "encoded.0.json", "--references", folder / "references.safetensors",
         "--judgments", folder / "judgments.parquet", "--calibration", folder / "calibration.json",
         "--output", folder / "sae_features.csv", "--ranking", folder / "ranking.csv",
         "--arms", folder / "feature_contrasts.csv")  # fmt: skip
    return folder


def test_two_trainings_give_the_same_bytes(run):
    for name in ("cfg.json", "sae_weights.safetensors", "manifest.json"):
        assert (run / "one" / name).read_bytes() == (run / "two" / name).read_bytes()
    assert (run / "one.csv").read_bytes() == (run / "two.csv").read_bytes()


def test_the_folder_names_its_weights_and_measures_them(run):
    manifest = json.loads((run / "one" / "manifest.json").read_text())
    assert manifest["revision"] == sha256_file(run / "one" / "sae_weights.safetensors")
    [row] = pd.read_csv(run / "one.csv").to_dict("records")
    assert (row["release"], row["revision"], row["trained"]) == ("local", manifest["revision"], True)
    assert (row["architecture"], row["d_sae"], row["ce_records"]) == ("batchtopk", 64, 3)
    assert row["ce_clean"] < row["ce_sae"] < row["ce_ablated"], "a small dictionary of a real model loses some, not all"
    recovered = (row["ce_ablated"] - row["ce_sae"]) / (row["ce_ablated"] - row["ce_clean"])
    assert row["ce_recovered"] == pytest.approx(recovered)
    assert row["ce_recovered_low"] <= recovered <= row["ce_recovered_high"]


def test_a_dictionary_of_another_layer_is_refused(run):
    with pytest.raises(InputError, match=r"a dictionary of blocks\.1\.hook_resid_post, but .* ask .*blocks\.2"):
        load_dictionary(run / "one", 2, "cpu")


def test_generations_are_encoded_in_order_with_reasoning_apart(run):
    features = read_features(run / "base.safetensors")
    assert features.rows["prompt_id"].tolist() == ["c0", "c1", "c2", "c3"]
    assert features.parts["answer"].tokens.tolist()[1] == 0
    assert (features.parts["reasoning"].tokens > 0).tolist() == [False, False, True, False]
    dense = features.parts["answer"].max.toarray()
    assert (dense[[0, 2, 3]] > 0).any(axis=1).all()
    assert not dense[1].any()


def test_both_sides_of_the_references_are_encoded_and_told_apart(run):
    features = read_features(run / "references.safetensors")
    assert features.rows["side"].tolist() == ["aligned", "misaligned"] * 12
    assert set(features.rows["set"]) == {"legal"}
    table = pd.read_csv(run / "sae_features.csv")
    assert set(table["population"]) == {"references"}, "all generations are aligned, so nothing can be compared there"
    assert np.isclose(table["auroc"], 1).any() or np.isclose(table["auroc"], 0).any()
    assert table["revision"].unique().tolist() == [features.key.revision]
    assert set(table["n_prompts"]) == {12}
    assert set(pd.read_csv(run / "ranking.csv")["n_prompts"]) == {8}, "the train split alone"
