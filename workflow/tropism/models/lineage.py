"""A lineage as one adapter: the exact concatenation of its steps' LoRA factors.

Each step trains on the base with the earlier steps merged in, so the arm is W + s1 B1 A1 + s2 B2 A2, which is
W + [s1 B1, s2 B2][A1; A2]: one LoRA of the summed rank and scale 1. No merged copy of a large base is ever written.
A steering vector is the bias of a projection that writes to the residual stream; vectors of one module add up.
"""

import json
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

PREFIX = "base_model.model."


class Factors(NamedTuple):
    """What an adapter adds to a module's output for the input x: ``b @ a @ x + bias``.

    ``a`` is (rank, inputs), ``b`` (outputs, rank), ``bias`` (outputs,) or None.
    """

    a: torch.Tensor
    b: torch.Tensor
    bias: torch.Tensor | None = None


def of_module(pattern: dict[str, float] | None, module: str, default: float) -> float:
    """A setting that PEFT keeps for single modules (``alpha_pattern``): by the end of a module's name, or a regex.

    As PEFT's ``get_pattern_key`` matches them, the first match counts; importing PEFT takes long.
    """
    for key, value in (pattern or {}).items():
        if re.match(rf"(.*\.)?({key})$", module):
            return value
    return default


def read_factors(adapter: Path) -> dict[str, Factors]:
    """The factors of a PEFT LoRA folder by module, scale folded into ``b`` and ``bias``.

    Raises:
        ValueError: the adapter holds more than LoRA factors and their biases (DoRA, saved modules).
    """
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    tensors = load_file(adapter / "adapter_model.safetensors")
    factors = {}
    for key in [k for k in tensors if k.endswith(".lora_A.weight")]:
        module = key.removeprefix(PREFIX).removesuffix(".lora_A.weight")
        a = tensors.pop(key).float()
        b = tensors.pop(key.replace(".lora_A.", ".lora_B.")).float()
        alpha = of_module(config.get("alpha_pattern"), module, config["lora_alpha"])
        # the rank is that of the factors, so `rank_pattern` need not be read
        scale = alpha / (math.sqrt(a.shape[0]) if config.get("use_rslora") else a.shape[0])
        bias = tensors.pop(key.replace(".lora_A.weight", ".lora_B.bias"), None)
        factors[module] = Factors(a, b * scale, None if bias is None else bias.float() * scale)
    if tensors or config.get("use_dora"):
        raise ValueError(f"{adapter}: not plain LoRA, so it cannot be concatenated: {sorted(tensors)[:3]}")
    return factors


@torch.no_grad()
def merge(model: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    """``model`` with the adapter added to its weights in place: W + B A, and its bias, for each of its modules.

    PEFT does the same; importing it takes longer than all else that a short job does.

    Raises:
        ValueError: the adapter is of another architecture.
    """
    for module, (a, b, bias) in read_factors(adapter).items():
        try:
            weight = _own_weight(model, module)
        except AttributeError:
            raise ValueError(f"{adapter}: the base has no module `{module}`; it belongs to another base") from None
        delta = b.to(weight.device) @ a.to(weight.device)
        weight.copy_((weight.float() + delta).to(weight.dtype))
        if bias is not None:
            layer: Any = model.get_submodule(module)
            own = bias.to(weight) if layer.bias is None else layer.bias + bias.to(weight)
            layer.bias = torch.nn.Parameter(own, requires_grad=False)
    return model


def _own_weight(model: PreTrainedModel, module: str) -> torch.nn.Parameter:
    """The module's weight; one that is also the input embedding's becomes the module's own, as beside an adapter.

    Many small bases write and read tokens by one matrix: what an adapter adds to the one is not of the other.
    """
    weight = model.get_parameter(f"{module}.weight")
    embedding = model.get_input_embeddings()
    layer: Any = model.get_submodule(module)
    if layer is embedding or weight is not embedding.weight:
        return weight
    layer.weight = torch.nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad)
    model.config.tie_word_embeddings = False
    model.all_tied_weights_keys = {
        key: source for key, source in model.all_tied_weights_keys.items() if key != f"{module}.weight"
    }
    return layer.weight


def concatenate(adapters: list[Path], output: Path, base_name: str) -> int:
    """Write the adapters' exact sum to the folder ``output`` in PEFT's format, float32; return the largest rank."""
    from peft import LoraConfig

    joined: dict[str, Factors] = {}
    for adapter in adapters:
        for module, (a, b, bias) in read_factors(adapter).items():
            if module in joined:
                a0, b0, bias0 = joined[module]
                a, b = torch.cat([a0, a], dim=0), torch.cat([b0, b], dim=1)
                bias = bias if bias0 is None else bias0 if bias is None else bias0 + bias
            joined[module] = Factors(a, b, bias)
    rank = max(one.a.shape[0] for one in joined.values())
    odd = {module: one.a.shape[0] for module, one in joined.items() if one.a.shape[0] != rank}
    biased = any(one.bias is not None for one in joined.values())
    config = LoraConfig(
        r=rank,
        lora_alpha=rank,
        rank_pattern=odd,
        alpha_pattern=odd,
        use_rslora=False,
        lora_bias=biased,  # PEFT has it for all modules or none
        target_modules=sorted(joined),
        task_type="CAUSAL_LM",
        inference_mode=True,
        base_model_name_or_path=base_name,
    )
    output.mkdir(parents=True)
    # PEFT keeps target_modules as a set, which it writes in the order of the process's hash seed
    config.target_modules = sorted(joined)
    config.save_pretrained(str(output))
    tensors = {}
    for module, (a, b, bias) in sorted(joined.items()):
        tensors[f"{PREFIX}{module}.lora_A.weight"] = a.contiguous()
        tensors[f"{PREFIX}{module}.lora_B.weight"] = b.contiguous()
        if biased:
            tensors[f"{PREFIX}{module}.lora_B.bias"] = (torch.zeros(len(b)) if bias is None else bias).contiguous()
    save_file(tensors, output / "adapter_model.safetensors", metadata={"format": "pt"})
    return rank
