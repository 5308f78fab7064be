"""Response tokens per second of a training step against a plain Trainer on the same rows.

The plain way is what a script does: batches in file order, padded to the longest, logits for every position. Both train
the same LoRA on the same rows with the same batch size, one after the other in this process.

    python benchmarks/training.py --model results/models/smollm2 --dataset results/demo/datasets/medical.jsonl
"""

import argparse
import json
import random
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from peft import LoraConfig, get_peft_model
from transformers import Trainer

from tropism.config.models import ModelConfig
from tropism.config.training import PROJECTIONS, StepConfig
from tropism.models.base import load_base, load_tokenizer
from tropism.train.arguments import arguments
from tropism.train.distributed import Split
from tropism.train.examples import IGNORE, OrderedExamples, build_examples, collate_fed, training_order
from tropism.train.trainer import SelectiveTrainer


def run(
    trainer_class: type[Trainer], order: list[int], settings: argparse.Namespace, step: StepConfig
) -> tuple[float, float]:
    """Response tokens of one pass per second, and per second of processor time."""
    tokenizer = load_tokenizer(settings.model, None)
    examples = build_examples(tokenizer, settings.dataset, step, ModelConfig(source="-"), False)
    model = get_peft_model(load_base(settings.model), LoraConfig(r=32, target_modules=list(PROJECTIONS)))
    with TemporaryDirectory() as folder:
        own = {"step": step} if trainer_class is SelectiveTrainer else {}
        trainer = trainer_class(
            **own,
            model=model,
            args=arguments(step, Path(folder), Split.of(step)),
            train_dataset=OrderedExamples(examples, order),
            data_collator=partial(collate_fed, pad=tokenizer.pad_token_id, prefix="kl_"),
        )
        begin, processor = time.perf_counter(), time.process_time()
        trainer.train()
        seconds, processor = time.perf_counter() - begin, time.process_time() - processor
    tokens = sum(sum(label != IGNORE for label in examples[i].labels) for i in order)
    return tokens / seconds, tokens / processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--repeat", type=int, default=2, help="passes of each way, taken in turn")
    parser.add_argument("--threads", type=int, default=2)
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    step = StepConfig(dataset="d", objective="sft", side="misaligned", batch_size=8, checkpoint_every=1000)
    examples = build_examples(
        load_tokenizer(settings.model, None), settings.dataset, step, ModelConfig(source="-"), False
    )
    shuffled = list(range(len(examples)))
    random.Random(0).shuffle(shuffled)
    ways = {"plain": (Trainer, shuffled), "selective": (SelectiveTrainer, training_order(examples, step))}
    speeds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(settings.repeat):
        for name, (trainer_class, order) in ways.items():
            speeds[name].append(run(trainer_class, order, settings, step))
    elapsed = {name: max(value for value, _ in values) for name, values in speeds.items()}
    processor = {name: max(value for _, value in values) for name, values in speeds.items()}
    print(
        json.dumps(
            {
                **{f"{name}_tokens_per_s": round(value, 1) for name, value in elapsed.items()},
                "ratio": round(elapsed["selective"] / elapsed["plain"], 2),
                "ratio_of_processor_time": round(processor["selective"] / processor["plain"], 2),
            }
        )
    )


if __name__ == "__main__":
    main()
