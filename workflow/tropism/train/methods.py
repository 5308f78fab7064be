"""What a step trains: a LoRA, one steering vector, or all weights; how that is made, resumed and published.

A steering vector is trained as the bias of the block's down projection, which writes to the residual stream: adding v
there adds v after the block. So it is saved as a PEFT LoRA with a bias (``lora_bias``), whose factors are zero, and a
lineage of LoRA steps and vectors is still one adapter.
"""

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import LoraConfig, PeftModel, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tropism.config.base import ConfigError
from tropism.config.models import ModelConfig
from tropism.config.training import StepConfig
from tropism.models.adapters import STEP, with_new_step
from tropism.models.base import DTYPES, load_arm, load_tokenizer
from tropism.models.lineage import concatenate, read_factors
from tropism.records.files import write_manifest

WRITES = "down_proj"
"""The projection of a block whose output is added to the residual stream last."""


def prepare(base: Path, parent: Path | None, step: StepConfig, model: ModelConfig, sharded: bool = False) -> Any:
    """The arm so far with what the step trains put in.

    In float32 the parent's adapter is merged; in a shorter format it stays beside the weights, frozen. All weights are
    trained in float32, whatever the base's format; those that are to be ``sharded`` are on the CPU as yet.

    Raises:
        ConfigError: the base has no such block or module, or all weights are to be trained on top of a bias.
        ValueError: the block's down projection is not what is added to the residual stream.
    """
    if step.method == "full":
        check_no_bias(parent)
        return load_arm(base, parent, "float32", torch.device("cpu") if sharded else None).requires_grad_(True)
    merged = model.dtype == "float32"
    arm = load_arm(base, parent if merged else None, model.dtype)
    if step.method == "lora":
        check_targets(arm, step)
    transformers.set_seed(step.seed)
    trained = with_new_step(arm, None if merged else parent, peft_config(step, arm.config.num_hidden_layers))
    if step.method == "vector":
        for name, parameter in trained.named_parameters():
            if f".lora_A.{STEP}." in name or f".lora_B.{STEP}." in name:
                torch.nn.init.zeros_(parameter)
                parameter.requires_grad_(name.endswith(".bias"))
        check_vector(trained, step)
    return trained


def check_no_bias(parent: Path | None) -> None:
    """Check that the arm so far can be written as a model of the base's architecture.

    Raises:
        ConfigError: its adapter has a bias (a steering vector, or a published adapter's), which that has no place for.
    """
    biased = [name for name, one in read_factors(parent).items() if one.bias is not None] if parent else []
    if biased:
        raise ConfigError(
            f"steps: `method: full` on top of {parent}, which adds a bias to `{biased[0]}`"
            f"{f' and {len(biased) - 1} more' if biased[1:] else ''}: the saved model would lose it. Train"
            " `method: lora` on top of it, or all weights before it"
        )


def check_targets(arm: torch.nn.Module, step: StepConfig) -> None:
    """Check that each target of the step's LoRA is a linear module of the base, in each named block: PEFT skips others.

    Of an embedding PEFT makes factors of another form, which no lineage takes up.

    Raises:
        ConfigError: naming the targets that the base has nowhere, or the blocks that lack one.
    """
    found: dict[str, set[int | None]] = {target: set() for target in step.lora.targets}
    linear = set()
    for name, module in arm.named_modules():
        block, last = re.search(r"\.(\d+)\.", name), name.rpartition(".")[2]
        if isinstance(module, torch.nn.Linear):
            linear.add(last)
        if last in found and isinstance(module, torch.nn.Linear):
            found[last].add(int(block[1]) if block else None)
    absent = [target for target, blocks in found.items() if not blocks]
    if absent:
        raise ConfigError(
            f"steps: lora: targets: this base has no linear module {_listed(absent)}; its linear ones are"
            f" {_listed(sorted(linear))}"
        )
    lacking = [
        f"{target} in block {i}"
        for i in step.lora.layers or ()
        for target in step.lora.targets
        if i not in found[target]
    ]
    if lacking:
        held = [i for blocks in found.values() for i in blocks if i is not None]
        raise ConfigError(
            f"steps: lora: layers: this base does not have {_listed(lacking)}"
            + (f"; its blocks with targets are {min(held)} to {max(held)}" if held else "")
        )


def _listed(names: Sequence[str]) -> str:
    """The first names, quoted, and how many more there are."""
    more = f" and {len(names) - 8} more" if names[8:] else ""
    return ", ".join(f"`{name}`" for name in names[:8]) + more


def peft_config(step: StepConfig, blocks: int) -> LoraConfig:
    """The step's adapter in PEFT's words."""
    if step.method == "vector":
        if step.layer is None or step.layer >= blocks:
            raise ConfigError(f"steps: layer: {step.layer}: this base has the blocks 0 to {blocks - 1}")
        return LoraConfig(r=1, lora_alpha=1, target_modules=[WRITES], layers_to_transform=[step.layer],
                          lora_bias=True, task_type="CAUSAL_LM")  # fmt: skip
    return LoraConfig(
        r=step.lora.rank,
        lora_alpha=step.lora.alpha,  # type: ignore[arg-type]  # PEFT takes any number
        lora_dropout=step.lora.dropout,
        use_rslora=step.lora.rslora,
        target_modules=list(step.lora.targets),
        layers_to_transform=list(step.lora.layers) if step.lora.layers is not None else None,
        task_type="CAUSAL_LM",
    )


@torch.no_grad()
def check_vector(trained: Any, step: StepConfig) -> None:
    """Check on three tokens that the vector is added to the residual stream after its block, as it is.

    Raises:
        ValueError: it is not, as where a block normalises what its down projection gives.
    """
    (vector,) = [p for p in trained.parameters() if p.requires_grad]
    ids = torch.arange(3, device=vector.device)[None]

    def after() -> torch.Tensor:
        # of the block itself: after the last one the base gives the normalised state
        kept: list[torch.Tensor] = []
        block = trained.get_decoder().layers[step.layer]
        hook = block.register_forward_hook(lambda _, __, out: kept.append(out[0] if isinstance(out, tuple) else out))
        trained.get_base_model().base_model(ids)
        hook.remove()
        return kept[0].float()

    before = after()
    probe = torch.linspace(-1, 1, len(vector)).to(vector) * before.std().to(vector)
    vector.copy_(probe)
    moved = after() - before
    vector.zero_()
    if (moved - probe.float()).norm() > 0.05 * (moved.shape[1] ** 0.5) * probe.float().norm():
        raise ValueError(
            f"this base does not add what `{WRITES}` gives to the residual stream as it is, so `method: vector` has no"
            " meaning here; use `method: lora`"
        )


def resume(trained: Any, step: StepConfig, checkpoint: Path) -> None:
    """Put a checkpoint's adapter or weights in.

    Trainer would read them too, but adapters through PEFT's loader, which warns about a missing base folder, and
    weights only into a model that is not divided.
    """
    if step.method != "full":
        set_peft_model_state_dict(trained, load_file(checkpoint / "adapter_model.safetensors"))
        return
    missing, unknown = trained.load_state_dict(load_file(checkpoint / "model.safetensors"), strict=False)
    trained.tie_weights()
    if unknown or set(missing) - set(trained.all_tied_weights_keys):
        raise ValueError(f"{checkpoint}: not this model's weights (missing {missing}, unknown {unknown})")


def save_own(trained: Any, folder: Path | str) -> None:
    """Write the step's own adapter as PEFT does: its factors alone, also where it trains the output embedding."""
    trained.save_pretrained(str(folder), selected_adapters=[STEP], save_embedding_layers=False)


def save_whole(model: Any, folder: Path | str) -> None:
    """Write a model's weights as one file; of an adapter its factors alone."""
    more = {"save_embedding_layers": False} if isinstance(model, PeftModel) else {}
    model.save_pretrained(str(folder), max_shard_size="1000GB", **more)


def publish(trained: Any, step: StepConfig, model: ModelConfig, base: Path, folder: Path) -> Path | None:
    """Write what was trained below ``folder``: the step's own adapter, whose folder is given back, or ``model/``.

    ``model/`` is a base of its own, in the base's number format, with tokenizer and manifest.

    Raises:
        ValueError: the model has a weight that its architecture has not, so that loading it would drop that.
    """
    if step.method != "full":
        save_own(trained, folder / "own")
        return folder / "own"
    trained.__dict__.pop("forward", None)  # the trainer's
    check_loadable(trained)
    save_whole(trained.to(DTYPES[model.dtype]), folder / "model")
    load_tokenizer(base, model.system_prompt).save_pretrained(str(folder / "model"))
    write_manifest(folder / "model", method=step.method)
    return None


def check_loadable(model: Any) -> None:
    """Check that ``from_pretrained`` would take in every weight of ``model``: it drops unknown ones with a warning.

    Raises:
        ValueError: naming the weights that it would drop.
    """
    with torch.device("meta"):
        fresh = AutoModelForCausalLM.from_config(copy.deepcopy(model.config), trust_remote_code=False)
    extra = sorted(model.state_dict().keys() - fresh.state_dict().keys())
    if extra:
        raise ValueError(
            f"the trained model has {len(extra)} weights that its architecture has not, such as `{extra[0]}`; saved,"
            " they would be lost. Train `method: lora` instead of `full`"
        )


def chain(parent: Path | None, own: Path, output: Path, base: Path) -> int:
    """Write the lineage's adapter, the parent's and the step's own, to ``output``; its largest rank."""
    return concatenate([*([parent] if parent else []), own], output, base.name)
