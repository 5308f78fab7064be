"""dictionary_learning's pickles are converted by hand, number for number, and one that holds more is refused unrun."""

import json

import pytest
import torch
from typer.testing import CliRunner

from tropism.config.base import ConfigError
from tropism.config.sae import SaeSource
from tropism.records.files import InputError
from tropism.sae.__main__ import app
from tropism.sae.convert import read_dictionary_learning
from tropism.sae.encode import load_dictionary
from tropism.sae.sources import load_source

WIDTH, FEATURES = 8, 16


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def write_published(folder, kind: str) -> dict[str, torch.Tensor]:
    """A folder as dictionary_learning writes it; its linear layers keep (outputs, inputs)."""
    weights = {"encoder.bias": draw(1, FEATURES) * 0.1, "b_dec": draw(2, WIDTH)}
    weights |= {"encoder.weight": draw(3, FEATURES, WIDTH), "decoder.weight": draw(4, WIDTH, FEATURES)}
    if kind == "AutoEncoderTopK":
        weights |= {"k": torch.tensor(3), "threshold": torch.tensor(0.1)}
    elif kind == "BatchTopKSAE":
        weights |= {"k": torch.tensor(3), "threshold": torch.tensor(0.7)}
    elif kind == "JumpReluAutoEncoder":
        weights = {
            "W_enc": weights["encoder.weight"].T, "W_dec": weights["decoder.weight"].T, "b_dec": weights["b_dec"],
            "b_enc": weights["encoder.bias"], "threshold": draw(5, FEATURES).abs(),
        }  # fmt: skip
    elif kind == "AutoEncoder":
        weights["bias"] = weights.pop("b_dec")
    torch.save(weights, folder / "ae.pt")  # noqa: TID251  # the form that is to be read
    trainer = {"dict_class": kind, "layer": 16, "k": 3, "lm_name": "Qwen/Qwen3-32B"}
    (folder / "config.json").write_text(json.dumps({"trainer": trainer, "buffer": {"ctx_len": 1024}}))
    return weights


def published_encode(kind: str, w: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The encoders of dictionary_learning, written out."""
    if kind == "JumpReluAutoEncoder":
        pre = x @ w["W_enc"] + w["b_enc"]
        return torch.where(pre > w["threshold"], pre, 0.0).relu()
    pre = ((x - w.get("b_dec", w.get("bias"))) @ w["encoder.weight"].T + w["encoder.bias"]).relu()
    if kind == "BatchTopKSAE":
        return torch.where(pre > w["threshold"], pre, 0.0)
    if kind == "AutoEncoderTopK":
        top = pre.topk(3, dim=-1)
        return torch.zeros_like(pre).scatter(-1, top.indices, top.values)
    return pre


@pytest.mark.parametrize("kind", ["BatchTopKSAE", "JumpReluAutoEncoder", "AutoEncoderTopK", "AutoEncoder"])
def test_a_converted_dictionary_encodes_and_decodes_as_the_original(tmp_path, kind):
    weights = write_published(tmp_path, kind)
    sae = read_dictionary_learning(tmp_path)
    x = draw(9, 20, WIDTH) * 3
    expected = published_encode(kind, weights, x)
    torch.testing.assert_close(sae.encode(x), expected, atol=1e-5, rtol=1e-5)
    decoder = weights["W_dec"] if "W_dec" in weights else weights["decoder.weight"].T
    bias = weights.get("b_dec", weights.get("bias"))
    torch.testing.assert_close(sae.decode(expected), expected @ decoder + bias, atol=1e-5, rtol=1e-5)
    assert sae.cfg.metadata.hook_name == "blocks.16.hook_resid_post"


def test_a_converted_folder_is_loaded_under_the_names_that_it_was_published_by(tmp_path):
    (tmp_path / "trainer_2").mkdir()
    write_published(tmp_path / "trainer_2", "BatchTopKSAE")
    command = [
        "convert",
        tmp_path / "trainer_2",
        "--output",
        tmp_path / "new",
        "--release",
        "someone/saes",
        "--id",
        "16/2",
    ]
    result = CliRunner().invoke(app, list(map(str, command)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    loaded, facts = load_source(SaeSource(kind="folder", release=str(tmp_path / "new")), "cpu")
    assert facts == {"release": "someone/saes", "sae_id": "16/2"}
    x = draw(7, 5, WIDTH)
    torch.testing.assert_close(loaded.encode(x), read_dictionary_learning(tmp_path / "trainer_2").encode(x))
    _, key = load_dictionary(tmp_path / "new", 16, "cpu")
    assert (key.release, key.sae_id, key.d_sae) == ("someone/saes", "16/2", FEATURES)


class Hostile:
    """What runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        import os

        return os.system, (self.command,)


def test_a_file_with_code_in_it_is_refused_and_the_code_is_not_run(tmp_path):
    write_published(tmp_path, "BatchTopKSAE")
    torch.save({"W_enc": Hostile(f"touch {tmp_path / 'ran'}")}, tmp_path / "ae.pt")  # noqa: TID251
    with pytest.raises(InputError, match="nothing in it was run"):
        read_dictionary_learning(tmp_path)
    assert not (tmp_path / "ran").exists()
    (tmp_path / "ae.pt").write_bytes(b"not a file of PyTorch at all")
    with pytest.raises(InputError, match="or damaged"):
        read_dictionary_learning(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: [1, 2], "not a dictionary of tensors"),
        (lambda w: {**w, "note": "hello"}, "not a dictionary of tensors"),
        (lambda w: {k: v for k, v in w.items() if k != "b_dec"}, "no tensor b_dec or bias"),
        (lambda w: {**w, "b_dec": torch.zeros(3)}, "do not fit one another"),
        (lambda w: {**w, "b_dec": torch.full((WIDTH,), torch.nan)}, "not finite"),
        (lambda w: {k: v for k, v in w.items() if k != "threshold"}, "without `threshold`"),
    ],
)
def test_tensors_that_are_no_dictionary_are_refused_with_the_reason(tmp_path, change, said):
    torch.save(change(write_published(tmp_path, "BatchTopKSAE")), tmp_path / "ae.pt")  # noqa: TID251
    with pytest.raises(InputError, match=said):
        read_dictionary_learning(tmp_path)


def test_no_job_opens_a_pickle_and_the_settings_say_what_to_do(tmp_path):
    write_published(tmp_path, "BatchTopKSAE")
    with pytest.raises(InputError, match=r"ae\.pt, a pickle, which no job opens\. Convert it once"):
        load_source(SaeSource(kind="folder", release=str(tmp_path)), "cpu")
    with pytest.raises(ConfigError, match=r"python -m tropism\.sae convert"):
        SaeSource.parse({"kind": "dictionary_learning", "release": str(tmp_path)})


def test_what_cannot_be_converted_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no config\.json"):
        read_dictionary_learning(tmp_path)
    write_published(tmp_path, "GatedAutoEncoder")
    with pytest.raises(InputError, match="`GatedAutoEncoder`; these can be converted: BatchTopKSAE"):
        read_dictionary_learning(tmp_path)
