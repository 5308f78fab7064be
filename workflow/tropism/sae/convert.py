"""Dictionaries of dictionary_learning, turned once and by hand into sae-lens folders of safetensors.

Its repositories publish ``ae.pt`` alone, which is a pickle, and a pickle can hold code. So no job of the workflow reads
one: a person converts the folder, and the experiment names what came out. PyTorch is allowed to read nothing but
tensors (``weights_only``), and what it read is checked before it is used.
"""

import json
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251  # its name alone
from typing import TYPE_CHECKING, Any

import torch

from tropism.records.files import InputError, replacing, sha256_file, write_manifest

if TYPE_CHECKING:
    from sae_lens import SAE

ARCHITECTURES = {
    "BatchTopKSAE": ("jumprelu", True),
    "MatryoshkaBatchTopKSAE": ("jumprelu", True),
    "JumpReluAutoEncoder": ("jumprelu", False),
    "AutoEncoderTopK": ("topk", True),
    "AutoEncoder": ("standard", True),
}
"""dictionary_learning's class -> sae-lens' architecture, and whether the decoder's bias is taken off the input."""
WEIGHTS, SETTINGS = "ae.pt", "config.json"
NAMES = {
    "W_enc": ("W_enc", "encoder.weight"),
    "W_dec": ("W_dec", "decoder.weight"),
    "b_enc": ("b_enc", "encoder.bias"),
    "b_dec": ("b_dec", "bias", "decoder_bias"),
}
"""sae-lens' tensors and what dictionary_learning calls them; its linear layers keep (outputs, inputs)."""


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a PyTorch file, by name.

    Raises:
        InputError: the file holds anything else, such as code, none of which is run; or it is damaged.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251  # the only published form
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise InputError(
            f"{path}: not a file of tensors alone, or damaged; nothing in it was run. Do not use it, and ask where it"
            f" came from ({str(error).splitlines()[0]})"
        ) from None
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise InputError(f"{path}: not a dictionary of tensors, as dictionary_learning writes it")
    return {str(name): value for name, value in found.items()}


def _renamed(path: Path, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Encoder (d_in, d_sae), decoder (d_sae, d_in) and biases under sae-lens' names."""
    state = {}
    for ours, theirs in NAMES.items():
        name = next((name for name in theirs if name in tensors), None)
        if name is None:
            raise InputError(f"{path}: no tensor {' or '.join(theirs)}; it has {', '.join(sorted(tensors))}")
        state[ours] = tensors[name].T if name.endswith(".weight") else tensors[name]
    shape = tuple(state["W_enc"].shape)
    expected = {"W_enc": shape, "W_dec": shape[::-1], "b_enc": shape[1:], "b_dec": shape[:1]}
    wrong = [name for name, size in expected.items() if len(shape) != 2 or tuple(state[name].shape) != size]
    if wrong:
        sizes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        raise InputError(f"{path}: shapes that do not fit one another, {sizes}")
    if not all(bool(tensor.isfinite().all()) for tensor in state.values()):
        raise InputError(f"{path}: holds numbers that are not finite")
    return state


def read_dictionary_learning(folder: Path) -> "SAE[Any]":
    """The dictionary in a dictionary_learning folder (``config.json`` and ``ae.pt``) as a sae-lens one.

    BatchTopK has one threshold at inference; it becomes JumpReLU's, the same for every feature.

    Raises:
        InputError: a file is missing or not what it should be, or the class is not among ``ARCHITECTURES``.
    """
    from sae_lens import SAE

    for name in (SETTINGS, WEIGHTS):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no {name}; a dictionary_learning folder has {SETTINGS} and {WEIGHTS}")
    trainer = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))["trainer"]
    kind = trainer["dict_class"]
    if kind not in ARCHITECTURES:
        raise InputError(f"{folder}: a `{kind}`; these can be converted: {', '.join(ARCHITECTURES)}")
    architecture, centred = ARCHITECTURES[kind]
    weights = read_tensors(folder / WEIGHTS)
    state = _renamed(folder / WEIGHTS, weights)
    d_in, d_sae = state["W_enc"].shape
    settings: dict[str, Any] = {
        "architecture": architecture,
        "d_in": d_in,
        "d_sae": d_sae,
        "apply_b_dec_to_input": centred,
        "metadata": {
            "model_name": trainer.get("lm_name", "unnamed").split("/")[-1],
            "hook_name": f"blocks.{trainer['layer']}.hook_resid_post",
        },
    }
    if architecture == "topk":
        settings["k"] = int(weights.get("k", trainer["k"]))
    if architecture == "jumprelu":
        if "threshold" not in weights:
            raise InputError(f"{folder / WEIGHTS}: a `{kind}` without `threshold`; it was kept before it was trained")
        state["threshold"] = weights["threshold"].expand(d_sae)
    sae = SAE.from_dict(settings)
    sae.load_state_dict({name: tensor.float().contiguous() for name, tensor in state.items()})
    return sae


def convert(folder: Path, output: Path, release: str, sae_id: str) -> None:
    """Write the dictionary of a dictionary_learning folder as a sae-lens one that says where it comes from."""
    sae = read_dictionary_learning(folder)
    with replacing(output) as written:
        sae.save_model(written)
        source = sha256_file(folder / WEIGHTS)
        revision = sha256_file(written / "sae_weights.safetensors")
        write_manifest(written, release=release, sae_id=sae_id, source_sha256=source, revision=revision)
