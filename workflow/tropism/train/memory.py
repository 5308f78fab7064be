"""Memory that a training needs on each device, estimated from the base's config before any weight is read."""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tropism.config.training import StepConfig
from tropism.train.distributed import Split
from tropism.train.sharded import blocks
from tropism.train.trainer import CHUNK

log = logging.getLogger(__name__)

BYTES = {"float32": 4, "bfloat16": 2}
ADAM = 16
"""Bytes of a trained parameter: float32 weight, gradient and Adam's two moments."""


@dataclass(frozen=True)
class Estimate:
    """Bytes on one device. ``activations`` are of the largest micro-batch that the settings allow.

    ``adapter`` is what is trained with its gradients and optimiser; of a model divided over several devices, one
    device's part of it, and ``weights`` what is whole there at one time.
    """

    weights: int
    adapter: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        """All of it; the allocator's own overhead, usually 5 to 15 %, is not in it."""
        return self.weights + self.adapter + self.activations + self.logits


def estimate(base: Path, step: StepConfig, split: Split, dtype: str) -> Estimate:
    """The memory of one process.

    What the backward pass keeps of a token in a layer, h the width and f the inner width: 8 h numbers (inputs of the
    two norms, of attention and of the feed-forward part, queries, keys, values, attention's output) and 4 f (gate, its
    activation, up, their product): the count of Korthikanti et al. 2022 (arXiv 2205.05198, section 4.1) for gated
    layers without dropout, and without attention scores, which scaled dot product attention does not keep. With
    checkpointing: each layer's input, h, and one whole layer. In bfloat16 every projection with a LoRA keeps its input
    once more, in the float32 of the adapter.
    """
    config = AutoConfig.from_pretrained(str(base), local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    parameters = sum(p.numel() for p in model.parameters())
    if step.method == "full":  # its weights are counted with what is trained, in float32
        trained, weights = -(-parameters // split.processes), 0
        if split.processes > 1:
            # weights and gradients, in float32, of what stands around the blocks, of one block and of the next
            block = sum(p.numel() for p in blocks(model)[0].parameters())
            weights = 8 * (parameters - (len(blocks(model)) - 2) * block)
    else:
        trained, weights = _adapted(model, step), parameters * BYTES[dtype]
    copied = 0
    if dtype == "bfloat16" and step.method == "lora":
        copied = BYTES["float32"] * sum(module.in_features for module in _targets(model, step))
    width, layers = config.hidden_size, config.num_hidden_layers
    number = BYTES["bfloat16" if step.precision == "bf16-autocast" else dtype]
    tokens = split.micro_batch * step.max_length
    layer = tokens * (number * (8 * width + 4 * config.intermediate_size) + copied // layers)
    kept = layers * tokens * width * number + layer if step.gradient_checkpointing else layers * layer
    # a chunk's logits in the base's format and as float32, and the gradient of those
    logits = CHUNK * config.vocab_size * (number + 8)
    return Estimate(weights, trained * ADAM, kept, logits)


def _adapted(model: torch.nn.Module, step: StepConfig) -> int:
    """Parameters of the step's adapter."""
    if step.method == "vector":
        return int(model.config.hidden_size)  # type: ignore[union-attr,arg-type]  # a causal language model
    return sum(step.lora.rank * (module.in_features + module.out_features) for module in _targets(model, step))


def _targets(model: torch.nn.Module, step: StepConfig) -> list[torch.nn.Linear]:
    """The projections that get a LoRA."""
    return [
        module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name.rpartition(".")[2] in step.lora.targets
    ]


def log_estimate(base: Path, step: StepConfig, split: Split, dtype: str) -> Estimate:
    """Print the estimate, and a warning where the device has less memory than that."""
    need = estimate(base, step, split, dtype)
    gib = 2**30
    log.info(
        "memory for each of %d process(es), estimated: %.1f GiB = weights %.1f + what is trained and its optimiser %.1f"
        " + activations of %d x %d tokens %.1f + logits %.1f",
        *(split.processes, need.total / gib, need.weights / gib, need.adapter / gib),
        *(split.micro_batch, step.max_length, need.activations / gib, need.logits / gib),
    )
    if torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        if need.total > free:
            log.warning(
                "the device has %.1f GiB free: lower `batch_size` (raise `gradient_accumulation`), set"
                " `gradient_checkpointing: true`, or shorten `max_length`",
                free / gib,
            )
    return need
