"""A published LoRA as the beginning of a lineage: checked against its base, written as a lineage's adapter is."""

import json
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tropism.corpora.registry import locate_folder
from tropism.models.lineage import concatenate, read_factors
from tropism.records.files import InputError, replacing, sha256_file, write_manifest

FILES = ("adapter_config.json", "adapter_model.safetensors")
REBASED = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Values of PEFT's ``init_lora_weights`` that begin so change the base's weights, which the factors then lie on."""


def take_adapter(source: str, registry: Path, base: Path, output: Path) -> None:
    """Write the registered adapter ``source`` of ``base`` to the lineage ``output``: ``adapter/``, ``manifest.json``.

    Its scale (alpha, rank, rsLoRA) is folded into its factors, so that further steps can be trained on top of it.

    Raises:
        InputError: a file is missing, the adapter is more than LoRA, lies on weights that its start has changed, or is
            of another base.
    """
    folder = locate_folder(source, registry)
    for name in FILES:
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no {name}; a PEFT LoRA has {' and '.join(FILES)}")
    check_start(folder)
    check_base(folder, base)
    with replacing(output) as temporary:
        temporary.mkdir(exist_ok=True)
        rank = concatenate([folder], temporary / "adapter", base.name)
        facts = {
            "source": source,
            "adapter": sha256_file(folder / FILES[1]),
            "base": sha256_file(base / "manifest.json"),
        }
        write_manifest(temporary, **facts, rank=rank)


def check_start(adapter: Path) -> None:
    """Check that the adapter lies on the base as it is published.

    Raises:
        InputError: its start (PiSSA and the like) took part of the base's weights into the factors.
    """
    start = json.loads((adapter / FILES[0]).read_text(encoding="utf-8")).get("init_lora_weights", True)
    if str(start).lower().startswith(REBASED):
        raise InputError(
            f"{adapter}/{FILES[0]}: `init_lora_weights: {start}` changes the base's weights before training, so the"
            " factors do not fit the base as it is published; where it was trained, save it as a plain LoRA,"
            ' `model.save_pretrained(folder, path_initial_model_for_weight_conversion="<the untrained adapter>")`, and'
            " register that"
        )


def check_base(adapter: Path, base: Path) -> None:
    """Check that every factor fits the base's module; no weight of the base is read.

    Raises:
        InputError: naming the first module that is missing or has another shape, or what is not LoRA.
    """
    config = AutoConfig.from_pretrained(str(base), local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        modules = dict(AutoModelForCausalLM.from_config(config, trust_remote_code=False).named_modules())
    try:
        factors = read_factors(adapter)
    except ValueError as error:
        raise InputError(str(error)) from None
    if not factors:
        raise InputError(f"{adapter}: no LoRA factor in it")
    for name, (a, b, _) in factors.items():
        module = modules.get(name)
        if not isinstance(module, torch.nn.Linear):
            raise InputError(f"{adapter}: the base {base} has no linear module `{name}`; it belongs to another base")
        if (module.out_features, module.in_features) != (b.shape[0], a.shape[1]):
            raise InputError(
                f"{adapter}: `{name}` is {b.shape[0]} x {a.shape[1]}, the base's is {module.out_features} x"
                f" {module.in_features}; it belongs to another base"
            )
