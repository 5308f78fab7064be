"""Releases and folders are loaded under their names, and a dictionary that is misread is refused with the reason."""

import json
import math

import pytest
import torch
from sae_lens import SAE
from safetensors.torch import save

from tropism.config.base import ConfigError
from tropism.config.sae import SaeSource
from tropism.records.files import InputError, write_manifest
from tropism.sae.sources import check_variance, load_source

WIDTH, FEATURES = 8, 16


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(folder, norm: float = 1.0) -> SAE:
    """A dictionary that reads states ``norm`` times as long as it was made for, saved to ``folder``."""
    sae = SAE.from_dict({"architecture": "jumprelu", "d_in": WIDTH, "d_sae": FEATURES})
    with torch.no_grad():
        sae.W_enc.copy_(draw(1, WIDTH, FEATURES) / norm), sae.W_dec.copy_(draw(2, FEATURES, WIDTH))
        sae.b_enc.zero_(), sae.b_dec.zero_(), sae.threshold.fill_(0.1)
    sae.save_model(folder)
    return sae


def test_a_folder_without_a_manifest_goes_by_its_own_name_and_not_by_its_path(tmp_path):
    sae = small(tmp_path / "mine" / "layer_3")
    loaded, facts = load_source(SaeSource(kind="folder", release=str(tmp_path / "mine"), id="layer_3"), "cpu")
    assert facts == {"release": "layer_3", "sae_id": "layer_3"}
    torch.testing.assert_close(loaded.encode(draw(3, 4, WIDTH)), sae.encode(draw(3, 4, WIDTH)))
    write_manifest(tmp_path / "mine" / "layer_3", release="someone/saes", sae_id="3")
    assert load_source(SaeSource(kind="folder", release=str(tmp_path / "mine" / "layer_3")), "cpu")[1] == {
        "release": "someone/saes", "sae_id": "3",
    }  # fmt: skip
    with pytest.raises(InputError, match=r"no cfg\.json"):
        load_source(SaeSource(kind="folder", release=str(tmp_path)), "cpu")
    with pytest.raises(ConfigError, match="needs the `id`"):
        SaeSource.parse({"kind": "release", "release": "llama_scope_r1_distill"})


def test_a_registered_dictionary_is_the_one_that_was_fetched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sae = small(tmp_path / "results" / "sources" / "my_sae" / "layer_3")
    loaded, facts = load_source(SaeSource(kind="registered", release="my_sae", id="layer_3"), "cpu")
    assert facts == {"release": "my_sae", "sae_id": "layer_3"}
    torch.testing.assert_close(loaded.encode(draw(3, 4, WIDTH)), sae.encode(draw(3, 4, WIDTH)))


def cached(hub, repository: str, files: dict[str, bytes]) -> None:
    """``files`` of ``repository`` as huggingface_hub keeps what it has downloaded."""
    folder, commit = hub / f"models--{repository.replace('/', '--')}", "0" * 40
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    for name, content in files.items():
        path = folder / "snapshots" / commit / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_a_release_is_loaded_from_the_cache_with_the_norm_factor_that_sae_lens_knows(tmp_path, monkeypatch):
    weights = {
        "encoder.weight": draw(1, FEATURES, WIDTH), "decoder.weight": draw(2, WIDTH, FEATURES),
        "encoder.bias": draw(3, FEATURES) * 0.1, "decoder.bias": draw(4, WIDTH) * 0.1,
        "log_jumprelu_threshold": torch.full((FEATURES,), math.log(0.2)),
    }  # fmt: skip
    place = "800M-Slimpajama-0-OpenR1-Math-220k/L0R"
    settings = {"d_model": WIDTH, "expansion_factor": FEATURES // WIDTH, "hook_point_in": "blocks.0.hook_resid_post"}
    files = {f"{place}/config.json": json.dumps(settings).encode(), f"{place}/sae_weights.safetensors": save(weights)}
    cached(tmp_path, "fnlp/Llama-Scope-R1-Distill", files)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    source = SaeSource(kind="release", release="llama_scope_r1_distill", id="l0r_800m_slimpajama")
    sae, facts = load_source(source, "cpu")
    assert facts == {"release": "llama_scope_r1_distill", "sae_id": "l0r_800m_slimpajama"}
    factor = 53.52995401997436  # of this dictionary, in sae-lens' list of releases
    x = draw(5, 50, WIDTH) / factor
    pre = x * factor @ weights["encoder.weight"].T + weights["encoder.bias"]
    active = torch.where(pre > 0.2, pre, 0.0)
    expected = (active @ weights["decoder.weight"].T + weights["decoder.bias"]) / factor
    assert active.any()
    torch.testing.assert_close(sae.decode(sae.encode(x)), expected, atol=1e-5, rtol=1e-4)


@pytest.fixture
def fitted() -> tuple[SAE, dict[int, torch.Tensor]]:
    """A dictionary of a plane's four half-axes, and states of three layers; those after block 5 lie in the plane."""
    axes = torch.linalg.qr(draw(0, WIDTH, WIDTH))[0].T
    sae = SAE.from_dict({"architecture": "jumprelu", "d_in": WIDTH, "d_sae": 4})
    with torch.no_grad():
        sae.W_dec.copy_(torch.cat([axes[:2], -axes[:2]]))
        sae.W_enc.copy_(sae.W_dec.T)
        sae.b_enc.zero_(), sae.b_dec.zero_(), sae.threshold.fill_(0.3)
    states = {layer: draw(layer, 200, 2) @ axes[first : first + 2] for layer, first in ((4, 3), (5, 0), (6, 1))}
    scaled = {layer: x * math.sqrt(WIDTH) / x.norm(dim=1).mean() for layer, x in states.items()}
    return sae, scaled


def test_the_right_layer_and_scale_pass(fitted):
    sae, states = fitted
    found = check_variance(sae, states, 5, 0.3)
    assert found["variance_explained"] > 0.9


def test_a_layer_beside_is_found_out(fitted):
    sae, states = fitted
    with pytest.raises(InputError, match=r"off by one layer.*set `layer: 5`"):
        check_variance(sae, states, 6, 0.3)


def test_a_missing_norm_factor_is_found_out_and_not_called_another_layer(fitted):
    sae, states = fitted
    with pytest.raises(InputError, match="norm factor is missing"):
        check_variance(sae, {layer: x * 0.05 for layer, x in states.items()}, 5, 0.3)


def test_a_dictionary_of_something_else_is_refused(fitted):
    sae, states = fitted
    with pytest.raises(InputError, match="Is it a dictionary of this model"):
        check_variance(sae, {4: states[4]}, 4, 0.3)
