"""transformers' Trainer with logits only where there is loss, and checkpoints without pickle."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch.utils.data import SequentialSampler
from transformers import Trainer

from tropism.config.training import StepConfig
from tropism.models.logits import logits_of
from tropism.train.examples import IGNORE
from tropism.train.kl import PREFIX, reference_kl_sum
from tropism.train.methods import save_whole
from tropism.train.schedule import triangular_schedule
from tropism.train.sharded import gathered, is_sharded, placed_as, whole_tensors

CHUNK = 256


def selective_loss_sum(model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Sum of cross-entropy (nats) over the labelled positions; logits are made for those positions alone.

    ``model`` is a causal language model, with LoRA layers or without. Hidden states of the labelled positions,
    (labelled, hidden), go through the output embedding in chunks, so that memory grows neither with the prompt nor
    with vocabulary x sequence. Backward recomputes each chunk's logits.
    """
    causal: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    hidden = causal.base_model(**{key: value for key, value in inputs.items() if key != "labels"}).last_hidden_state
    labels = inputs["labels"][:, 1:]
    wanted = labels != IGNORE
    states, targets = hidden[:, :-1][wanted], labels[wanted]

    def chunk_loss(part: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(logits_of(causal, part).float(), target, reduction="sum")

    # zero, but of the graph, so that a batch of padding alone has a gradient too: zero, of every weight, since the
    # processes of a divided model reduce the gradients of all its weights together
    total = states.float().sum() * 0.0
    if not len(targets):
        total = total + logits_of(causal, states).float().sum()
    for start in range(0, len(targets), CHUNK):
        part, target = states[start : start + CHUNK], targets[start : start + CHUNK]
        if len(targets) > CHUNK and torch.is_grad_enabled():
            total = total + torch.utils.checkpoint.checkpoint(chunk_loss, part, target, use_reentrant=False)
        else:
            total = total + chunk_loss(part, target)
    return total


def check_same_loss(model: torch.nn.Module, inputs: dict[str, torch.Tensor], tolerance: float = 1e-3) -> None:
    """Check on one batch that the selective loss is the architecture's own.

    Raises:
        ValueError: they differ, as for a base that changes its logits in a way that ``logits_of`` does not know.
    """
    with torch.no_grad():
        model.eval()
        ours = selective_loss_sum(model, inputs) / (inputs["labels"][:, 1:] != IGNORE).sum()
        theirs = model(**inputs).loss
        model.train()
    if not torch.isclose(ours, theirs, rtol=tolerance, atol=tolerance):
        raise ValueError(
            f"this base computes its loss otherwise ({theirs:.5f}) than hidden states times output embedding "
            f"({ours:.5f}): its logits are scaled or capped in a way that is not supported; take another base"
        )


class SelectiveTrainer(Trainer):
    """Trainer on a fixed order of examples; its checkpoints hold safetensors and JSON only."""

    model: Any
    optimizer: Any
    lr_scheduler: Any

    def __init__(self, step: StepConfig, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.step = step
        # a model that is divided over the processes already is not to be wrapped to average gradients
        self.is_distributed_loading_by_transformers = is_sharded(self.model)
        # the loss is the model's forward pass, so that a wrapper around it (DistributedDataParallel) sees the pass
        plain = self.model
        plain.forward = lambda **inputs: selective_loss_sum(plain, inputs)
        self._kl_items, self._kl_seen = 0, 0.0

    def get_decay_parameter_names(self, model: Any) -> list[str]:
        """The parameters with weight decay: transformers', and a trained vector, which it would leave out as a bias."""
        names = super().get_decay_parameter_names(model)
        if self.step.method == "vector":
            names += [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        return names

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The step's schedule; all but the cyclic one are transformers' own."""
        if self.lr_scheduler is None and self.step.schedule == "cyclic":
            self.lr_scheduler = triangular_schedule(
                optimizer or self.optimizer, num_training_steps, self.step.warmup_steps, self.step.cycles
            )
        return super().create_scheduler(num_training_steps, optimizer)

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> Any:
        """The batches of one optimiser step; tokens with a KL term are counted over all of them, as labels are."""
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        wanted = [batch[f"{PREFIX}labels"][:, 1:] != IGNORE for batch in batches if f"{PREFIX}labels" in batch]
        self._kl_items, self._kl_seen = sum(int(mask.sum()) for mask in wanted), 0.0
        return batches, items

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        data: Any = train_dataset if train_dataset is not None else self.train_dataset
        return SequentialSampler(data)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Mean cross-entropy (nats) per labelled token of the whole effective batch, with its KL term if any."""
        total = model(**{key: value for key, value in inputs.items() if not key.startswith(PREFIX)})
        if num_items_in_batch is None:
            num_items_in_batch = (inputs["labels"][:, 1:] != IGNORE).sum()
        # the count is that of all processes, and gradients are averaged over them
        loss = total * self.args.world_size / num_items_in_batch
        if self.step.kl is not None:
            others = {key.removeprefix(PREFIX): value for key, value in inputs.items() if key.startswith(PREFIX)}
            kl = reference_kl_sum(model, others) / self._kl_items
            self._kl_seen += float(kl.detach())
            loss = loss + self.step.kl.weight * kl
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the step's mean KL beside its loss."""
        if self.step.kl is not None and "loss" in logs:
            logs["kl"] = self._kl_seen
        super().log(logs, start_time)

    def _move_model_to_device(self, model: Any, device: torch.device) -> None:
        if not is_sharded(model):  # its parts are where they belong
            super()._move_model_to_device(model, device)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Nothing: weights were read before the model was divided."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        model = gathered(self.model) if is_sharded(self.model) else self.model
        if self.args.should_save:
            save_whole(model, output_dir or str(self.args.output_dir))

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        state = self.optimizer.state_dict()
        parts = {f"{i}.{name}": part for i, entries in state["state"].items() for name, part in entries.items()}
        tensors = dict(whole_tensors(parts, keep=self.args.should_save))
        if not self.args.should_save:
            return
        save_file(tensors, Path(output_dir) / "optimizer.safetensors")
        schedule = {k: v for k, v in self.lr_scheduler.state_dict().items() if k != "lr_lambdas"}
        groups = [{k: v for k, v in group.items() if k != "params"} for group in state["param_groups"]]
        Path(output_dir, "optimizer.json").write_text(json.dumps({"scheduler": schedule, "groups": groups}))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        saved = json.loads(Path(checkpoint, "optimizer.json").read_text())
        state = self.optimizer.state_dict()
        values: dict[int, dict[str, torch.Tensor]] = {}
        for key, tensor in load_file(Path(checkpoint) / "optimizer.safetensors").items():
            index, name = key.split(".", 1)
            values.setdefault(int(index), {})[name] = tensor
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        for number, entries in values.items():
            values[number] = {name: placed_as(tensor, parameters[number]) for name, tensor in entries.items()}
        groups = [
            {**group, **old, "params": group["params"]}
            for group, old in zip(state["param_groups"], saved["groups"], strict=True)
        ]
        self.optimizer.load_state_dict({"state": values, "param_groups": groups})
        self.lr_scheduler.load_state_dict({**self.lr_scheduler.state_dict(), **saved["scheduler"]})

    @property
    def _rank(self) -> str:
        """What is added to the names of a process's own files; nothing for the first process."""
        return f".{self.args.process_index}" if self.args.process_index else ""

    def _save_rng_state(self, output_dir: str) -> None:
        version, internal, gauss = random.getstate()
        name, keys, position, has_gauss, cached = np.random.get_state()
        tensors = {
            "cpu": torch.random.get_rng_state(),
            "python": torch.tensor(internal),
            "numpy": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        }
        if torch.cuda.is_available():
            tensors["cuda"] = torch.cuda.random.get_rng_state()
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        save_file(tensors, Path(output_dir) / f"random{self._rank}.safetensors")
        facts = {"python": [version, gauss], "numpy": [name, int(position), int(has_gauss), float(cached)]}
        Path(output_dir, f"random{self._rank}.json").write_text(json.dumps(facts))
        self.accelerator.wait_for_everyone()  # a checkpoint is whole when trainer_state.json follows

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        if not Path(checkpoint, f"random{self._rank}.json").is_file():
            return  # written by fewer processes than now read it: dropout, if any, is drawn anew
        tensors = load_file(Path(checkpoint) / f"random{self._rank}.safetensors")
        facts = json.loads(Path(checkpoint, f"random{self._rank}.json").read_text())
        version, gauss = facts["python"]
        random.setstate((version, tuple(tensors["python"].tolist()), gauss))
        name, position, has_gauss, cached = facts["numpy"]
        np.random.set_state((name, tensors["numpy"].numpy().astype(np.uint32), position, has_gauss, cached))
        torch.random.set_rng_state(tensors["cpu"])
        if torch.cuda.is_available() and "cuda" in tensors:
            torch.cuda.random.set_rng_state(tensors["cuda"])
