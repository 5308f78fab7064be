"""A step's settings in the words of transformers' Trainer."""

from functools import cached_property
from pathlib import Path

import torch
from transformers import TrainingArguments

from tropism.config.training import StepConfig
from tropism.train.distributed import Split

SCHEDULES = {"constant": "constant_with_warmup", "cyclic": "constant_with_warmup"}
"""Trainer's names where they are not ours; the cyclic schedule is put in by :class:`SelectiveTrainer`."""


class OwnDevice(TrainingArguments):
    """Trainer's settings for a process that trains on the one device it has taken.

    In a lone process Trainer takes every GPU that is visible, copies the model onto all of them and multiplies the
    batch by their number; and it takes the first one for its own, though another was claimed (``TROPISM_GPUS``).
    """

    @cached_property
    def _setup_devices(self) -> torch.device:
        taken = torch.cuda.current_device() if torch.cuda.is_available() else 0
        found: torch.device = super()._setup_devices
        if found.type == "cuda" and self._n_gpu > 1:  # several processes have one each already
            self._n_gpu = 1
            torch.cuda.set_device(taken)
            return torch.device("cuda", taken)
        return found


def arguments(step: StepConfig, folder: Path, split: Split) -> OwnDevice:
    """The step's settings in Trainer's words. The order of examples is ours, so an epoch here is the whole order."""
    return OwnDevice(
        output_dir=str(folder),
        num_train_epochs=1,
        per_device_train_batch_size=split.micro_batch,
        gradient_accumulation_steps=split.accumulation,
        learning_rate=step.learning_rate,
        lr_scheduler_type=SCHEDULES.get(step.schedule, step.schedule),
        warmup_steps=step.warmup_steps,
        weight_decay=step.weight_decay,
        max_grad_norm=step.max_grad_norm,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=step.checkpoint_every,
        save_total_limit=2,
        seed=step.seed,
        report_to="none",
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        bf16=step.precision == "bf16-autocast",
        use_cpu=not torch.cuda.is_available(),
        activation_checkpointing=step.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,
    )
