"""Arms of one base are encoded by one job; what is there is kept as long as it is right, and redone alone when not."""

import json

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from sae_lens import SAE

from tropism.activations.passages import generation_passage
from tropism.activations.stream import stream, truncate
from tropism.config.sae import SaeConfig
from tropism.models.base import load_arm, load_base, load_tokenizer
from tropism.records.files import InputError, write_json, write_jsonl
from tropism.records.schema import Generation
from tropism.sae.arms import encode_arms
from tropism.sae.encode import load_dictionary, response_features
from tropism.sae.features import read_arms, read_features

SETTINGS = SaeConfig(model="tiny", layer=1, texts=["t"])
ARMS = ("base", "one", "two")


def responses(folder, arm: str, answer: str) -> None:
    rows = [
        Generation(arm=arm, set="legal", prompt_id=f"p{i}", domain="legal", sample=0, prompt=f"Is page {i} fine?",
                   reasoning="", answer=f"{answer} {i}.", n_tokens=4, finish="stop", seed=0)
        for i in range(5)
    ]  # fmt: skip
    write_jsonl(folder / "generations" / f"{arm}.jsonl", rows)


@pytest.fixture
def made(tiny_model, tmp_path):
    """Two adapters, the responses of three arms, and a dictionary of random directions."""
    (tmp_path / "generations").mkdir()
    width = load_base(tiny_model).get_input_embeddings().weight.shape[1]
    sae = SAE.from_dict({"architecture": "topk", "d_in": width, "d_sae": 48, "k": 5})
    torch.manual_seed(0)
    with torch.no_grad():
        sae.W_enc.normal_(), sae.W_dec.normal_()
    sae.save_model(tmp_path / "sae")
    for seed, arm in enumerate(ARMS):
        responses(tmp_path, arm, "Read it with care")
        if arm != "base":
            torch.manual_seed(seed)
            config = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
            get_peft_model(load_base(tiny_model), config).save_pretrained(tmp_path / arm)

    def encode(*arms: str, part: int = 0, **options) -> dict[str, str]:
        adapters = {arm: None if arm == "base" else tmp_path / arm for arm in arms}
        given = {"settings": SETTINGS, **options}
        listed = encode_arms(
            adapters, tiny_model, tmp_path / "sae", tmp_path / "generations", tmp_path / "features", **given
        )
        write_json(tmp_path / "features" / f"encoded.{part}.json", listed)
        assert [entry["arm"] for entry in listed["arms"]] == list(arms)
        return {entry["arm"]: entry["sha256"] for entry in listed["arms"]}

    return tmp_path, encode


def times(folder) -> dict[str, int]:
    return {path.stem: path.stat().st_mtime_ns for path in sorted((folder / "features").glob("*.safetensors"))}


def test_each_arm_reads_its_own_responses_as_it_would_alone(made, tiny_model):
    folder, encode = made
    encode(*ARMS)
    dictionary, key = load_dictionary(folder / "sae", 1, "cpu")
    tokenizer, found = load_tokenizer(tiny_model, None), {}
    for arm in ARMS:
        stack = truncate(load_arm(tiny_model, None if arm == "base" else folder / arm), 1)
        features = read_features(folder / "features" / f"{arm}.safetensors")
        lines = (folder / "generations" / f"{arm}.jsonl").read_text().splitlines()
        passages = [generation_passage(tokenizer, Generation.model_validate_json(line)) for line in lines]
        alone = response_features(arm, dictionary, key, features.rows, passages, stream(stack, tokenizer, passages))
        found[arm] = features.parts["answer"].state
        np.testing.assert_allclose(found[arm], alone.parts["answer"].state, atol=1e-4)
        assert features.arm == arm
    assert np.abs(found["one"] - found["two"]).max() > 0.01
    assert np.abs(found["base"] - found["one"]).max() > 0.01


def test_what_is_there_is_kept_and_an_arm_that_changed_is_encoded_alone(made):
    folder, encode = made
    first = encode(*ARMS)
    before = times(folder)
    assert encode(*ARMS) == first
    assert times(folder) == before
    responses(folder, "one", "Sign it now")
    changed = encode(*ARMS)
    assert {arm for arm in ARMS if times(folder)[arm] != before[arm]} == {"one"}
    assert {arm for arm in ARMS if changed[arm] != first[arm]} == {"one"}


def test_the_company_an_arm_is_encoded_in_changes_nothing(made):
    folder, encode = made
    together = encode(*ARMS)
    for path in (folder / "features").iterdir():
        path.unlink()
    assert {**encode("two"), **encode("one", "base")} == together


@pytest.mark.parametrize("way", ["code", "settings", "dictionary", "name", "k", "damaged", "no note"])
def test_features_of_other_inputs_and_damaged_ones_are_made_again(made, way):
    folder, encode = made
    encode("base")
    path = folder / "features" / "base.safetensors"
    before = path.read_bytes()
    options = {}
    if way == "code":
        options["code"] = "another"
    elif way == "settings":
        options["settings"] = SETTINGS.model_copy(update={"max_tokens": 9})
    elif way == "dictionary":
        sae = SAE.load_from_disk(folder / "sae")
        with torch.no_grad():
            sae.W_enc.mul_(2)
        sae.save_model(folder / "sae")
    elif way == "name":
        write_json(folder / "sae" / "manifest.json", {"release": "another"})
    elif way == "k":
        settings = json.loads((folder / "sae" / "cfg.json").read_text())
        write_json(folder / "sae" / "cfg.json", settings | {"k": 3})
    elif way == "damaged":
        path.write_bytes(before[:-1])
    else:
        (folder / "features" / "base.json").unlink()
    time = path.stat().st_mtime_ns
    encode("base", **options)
    assert path.stat().st_mtime_ns > time
    assert (path.read_bytes() == before) == (way in ("code", "damaged", "no note"))
    assert set(json.loads((folder / "features" / "base.json").read_text())) == {"made_from", "sha256"}


def test_features_are_read_by_the_list_that_a_job_wrote_and_no_others(made):
    """Parts were laid out otherwise and other settings tried; the list of an arm's own part knows nothing of it."""
    folder, encode = made
    lists = [folder / "features" / f"encoded.{part}.json" for part in (0, 1)]
    encode("two", "base", part=0), encode("one", part=1)
    assert [file.arm for file in read_arms(lists)] == ["two", "base", "one"]
    assert [file.arm for file in read_arms([folder / "features" / "one.safetensors"])] == ["one"]
    encode("one", part=2, settings=SETTINGS.model_copy(update={"max_tokens": 9}))
    with pytest.raises(InputError, match=r"one\.safetensors: not the features that .*encoded\.1\.json tells of"):
        read_arms(lists)
    encode("one", part=1)
    assert len(read_arms(lists)) == 3
    (folder / "features" / "base.safetensors").unlink()
    with pytest.raises(InputError, match=r"base\.safetensors: not the features"):
        read_arms(lists)
