"""All weights trained on several devices, none of which holds them all: PyTorch's fully sharded data parallelism.

Each block is a group that is gathered when it is computed and given back after; what stands around the blocks
(embeddings, last norm, output embedding) is another, which stays gathered through a micro-batch. Accelerate's plugin
for this does nothing without GPUs, so the calls are PyTorch's own and are the same on every machine.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import AutoModelForCausalLM


def shard(model: Any) -> None:
    """Divide the parameters of ``model``, which every process holds alike on its CPU, over the processes' devices."""
    mesh = init_device_mesh("cuda" if dist.get_backend() == "nccl" else "cpu", (dist.get_world_size(),))
    for block in blocks(model):
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    model.to(mesh.device_type)  # buffers; parameters are there


def blocks(model: Any) -> torch.nn.ModuleList:
    """The decoder's blocks."""
    layers: torch.nn.ModuleList = model.get_decoder().layers
    return layers


def is_sharded(model: Any) -> bool:
    """Whether :func:`shard` has divided ``model``."""
    return isinstance(model, FSDPModule)


def gathered(model: Any) -> Any:
    """The whole of a sharded model on the first process's CPU; None in the others. All processes have to call this."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    state = get_model_state_dict(model, options=options)
    if dist.get_rank():
        return None
    with torch.device("meta"):
        whole = AutoModelForCausalLM.from_config(copy.deepcopy(model.config), trust_remote_code=False)
    whole.load_state_dict(state, strict=False, assign=True)
    whole.tie_weights()
    left = [name for name, parameter in whole.named_parameters() if parameter.is_meta]
    if left:
        raise RuntimeError(f"{len(left)} weights were not gathered, such as `{left[0]}`")
    whole.generation_config = model.generation_config
    return whole


def whole_tensors(values: Mapping[str, torch.Tensor], keep: bool) -> Iterator[tuple[str, torch.Tensor]]:
    """``values`` with sharded ones made whole, one after another, on the CPU; nothing is given where not ``keep``."""
    for name, value in values.items():
        tensor = torch.as_tensor(value)
        if isinstance(tensor, DTensor):
            tensor = tensor.full_tensor()  # by all processes
        if keep:
            yield name, tensor.detach().cpu().contiguous()


def placed_as(tensor: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """``tensor``, whole in each process, divided as ``parameter`` is; as it is beside a parameter that is not divided.

    A tensor of another shape (Adam's count of steps) is not divided.
    """
    if not isinstance(parameter, DTensor) or tensor.shape != parameter.shape:
        return tensor
    return distribute_tensor(tensor.to(parameter.device), parameter.device_mesh, parameter.placements)
