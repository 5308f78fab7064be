"""A lineage as one adapter: the exact concatenation of its steps' LoRA factors.

Each step trains on the base with the earlier steps merged in, so the arm is W + s1 B1 A1 + s2 B2 A2, which is
W + [s1 B1, s2 B2][A1; A2]: one LoRA of the summed rank and scale 1. No merged copy of a large base is ever written.
"""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

PREFIX = "base_model.model."


def read_factors(adapter: Path) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The factors of a PEFT LoRA folder by module: A (rank, inputs) and B (outputs, rank), scale folded into B.

    Raises:
        ValueError: the adapter holds more than plain LoRA factors (biases, DoRA, saved modules).
    """
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    tensors = load_file(adapter / "adapter_model.safetensors")
    factors = {}
    for key in [k for k in tensors if k.endswith(".lora_A.weight")]:
        module = key.removeprefix(PREFIX).removesuffix(".lora_A.weight")
        a = tensors.pop(key).float()
        b = tensors.pop(key.replace(".lora_A.", ".lora_B.")).float()
        alpha = config.get("alpha_pattern", {}).get(module, config["lora_alpha"])
        scale = alpha / (math.sqrt(a.shape[0]) if config.get("use_rslora") else a.shape[0])
        factors[module] = (a, b * scale)
    if tensors or config.get("use_dora"):
        raise ValueError(f"{adapter}: not plain LoRA, so it cannot be concatenated: {sorted(tensors)[:3]}")
    return factors


@torch.no_grad()
def merge(model: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    """``model`` with the adapter added to its weights in place: W + B A for each of its modules.

    PEFT does the same; importing it takes longer than all else that a short job does.

    Raises:
        ValueError: the adapter is of another architecture.
    """
    for module, (a, b) in read_factors(adapter).items():
        try:
            weight = model.get_parameter(f"{module}.weight")
        except AttributeError:
            raise ValueError(f"{adapter}: the base has no module `{module}`; it belongs to another base") from None
        delta = b.to(weight.device) @ a.to(weight.device)
        weight.copy_((weight.float() + delta).to(weight.dtype))
    return model


def concatenate(adapters: list[Path], output: Path, base_name: str) -> int:
    """Write the adapters' exact sum to the folder ``output`` in PEFT's format, float32; return the largest rank."""
    from peft import LoraConfig

    joined: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for adapter in adapters:
        for module, (a, b) in read_factors(adapter).items():
            if module in joined:
                a0, b0 = joined[module]
                a, b = torch.cat([a0, a], dim=0), torch.cat([b0, b], dim=1)
            joined[module] = (a, b)
    rank = max(a.shape[0] for a, _ in joined.values())
    odd = {module: a.shape[0] for module, (a, _) in joined.items() if a.shape[0] != rank}
    config = LoraConfig(
        r=rank,
        lora_alpha=rank,
        rank_pattern=odd,
        alpha_pattern=odd,
        use_rslora=False,
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
    for module, (a, b) in sorted(joined.items()):
        tensors[f"{PREFIX}{module}.lora_A.weight"] = a.contiguous()
        tensors[f"{PREFIX}{module}.lora_B.weight"] = b.contiguous()
    save_file(tensors, output / "adapter_model.safetensors", metadata={"format": "pt"})
    return rank
