"""LoRA training, generation, and activations with an SAE, in the true shapes of Qwen3 with random weights.

Each part runs the plain transformers way and this project's beside it, in this process, on one device, and prints JSON:
tokens/s of both, their ratio, peak memory, and for training the model FLOP utilisation (MFU). Nothing is downloaded.

    python benchmarks/gpu.py --shape 8b                       # one CUDA device, bfloat16
    python benchmarks/gpu.py --shape 32b --only training --ways ours
    python benchmarks/gpu.py --only training --packing --compile --liger   # levers, each alone or together
    python benchmarks/gpu.py --tiny                           # a small shape on the CPU: that it works, not how fast

Training is in bfloat16 autocast. A way that does not fit the device's memory has "out of memory" for its numbers. The
levers change our way alone, and the pipeline does not pull them yet: ``--packing`` puts a micro-batch into one row
without padding, ``--compile`` compiles each block, ``--liger`` takes the kernels of liger-kernel (Triton, so on a GPU
alone; not in the lock: `pip install liger-kernel`) for norms, rotary embedding and SwiGLU.

MFU counts what must be computed: two FLOPs a weight and token forward, two backward for activations (weights that LoRA
freezes need no gradient), and attention at half the square of each sequence's length; recomputing is not counted.
"""

import argparse
import gc
import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from levers import packed, training_flops
from peft import LoraConfig
from sae_lens import SAE, StandardSAE, StandardSAEConfig
from shapes import SHAPES, Shape
from transformers import ContinuousBatchingConfig, GenerationConfig, Qwen3ForCausalLM, Trainer

from tropism.activations.passages import Passage, Tokens
from tropism.activations.stream import length_sorted, read_batch, truncate
from tropism.config.training import PROJECTIONS, StepConfig
from tropism.generate.decode import decode, uniforms
from tropism.models.adapters import with_new_step
from tropism.sae.encode import encode_stream
from tropism.train.arguments import arguments
from tropism.train.distributed import Split
from tropism.train.examples import Example, collate
from tropism.train.trainer import SelectiveTrainer

PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}
"""Dense bfloat16, from the makers' data sheets."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=["8b", "32b"], default="8b")
    parser.add_argument("--tiny", action="store_true", help="a small shape on whatever device there is")
    parser.add_argument("--only", choices=["training", "generation", "activations"])
    parser.add_argument(
        "--ways", choices=["both", "ours"], default="both", help="`ours` where the plain way is too big"
    )
    parser.add_argument("--checkpointing", action="store_true", help="recompute activations in training")
    parser.add_argument("--packing", action="store_true", help="training: no padding")
    parser.add_argument("--compile", action="store_true", help="training: torch.compile of each block")
    parser.add_argument("--liger", action="store_true", help="training: fused kernels of liger-kernel")
    settings = parser.parse_args()
    if settings.liger and not (torch.cuda.is_available() and importlib.util.find_spec("liger_kernel")):
        parser.error("`--liger` needs a CUDA device and liger-kernel (pip install liger-kernel)")
    if not settings.tiny and not torch.cuda.is_available():
        parser.error("no CUDA device; `--tiny` runs a small shape on the CPU")
    shape = SHAPES["tiny" if settings.tiny else settings.shape]
    parts: dict[str, Callable[[Shape, argparse.Namespace], dict[str, Any]]] = {
        "training": training,
        "generation": generation,
        "activations": activations,
    }
    facts = {"device": device_name(), "shape": "tiny" if settings.tiny else settings.shape, "torch": torch.__version__}
    for name, part in parts.items():
        if settings.only in (None, name):
            print(json.dumps({"part": name, **facts, **part(shape, settings)}), flush=True)
            release()


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def random_model(shape: Shape) -> Qwen3ForCausalLM:
    """Random weights in bfloat16, made on the device."""
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with device():
            model = Qwen3ForCausalLM._from_config(shape.config(), attn_implementation="sdpa")
    finally:
        torch.set_default_dtype(before)
    return model.eval()


def release() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def finished() -> float:
    """The time when the device has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def measured(run: Callable[[], tuple[int, float]]) -> tuple[float | None, float | str | None]:
    """Tokens per second of ``run``, which returns its tokens and seconds, and its peak memory in GiB on a GPU.

    None and "out of memory" where the device has too little.
    """
    release()
    try:
        tokens, seconds = run()
    except torch.OutOfMemoryError:
        return None, "out of memory"
    return tokens / seconds, round(torch.cuda.max_memory_allocated() / 2**30, 1) if torch.cuda.is_available() else None


def timed(run: Callable[[], int]) -> tuple[int, float]:
    """The tokens that ``run`` returns, and its seconds."""
    begin = finished()
    tokens = run()
    return tokens, finished() - begin


def compared(ways: dict[str, Callable[[], tuple[int, float]]], settings: argparse.Namespace) -> dict[str, Any]:
    """Each way's tokens/s and memory, the last of them ours, and ours to each other one."""
    chosen = {name: run for name, run in ways.items() if settings.ways == "both" or name == "ours"}
    results = {name: measured(run) for name, run in chosen.items()}
    out: dict[str, Any] = {f"{name}_tokens_per_s": rate and round(rate, 1) for name, (rate, _) in results.items()}
    out |= {f"{name}_peak_gib": peak for name, (_, peak) in results.items()}
    ours = results["ours"][0]
    return out | {
        f"ratio_to_{n}": ours and rate and round(ours / rate, 2) for n, (rate, _) in results.items() if n != "ours"
    }


def training(shape: Shape, settings: argparse.Namespace) -> dict[str, Any]:
    """Tokens fed per second of LoRA training, lengths from an eighth of the sequence to all of it, loss on half."""
    random = np.random.default_rng(0)
    examples = []
    for number in range(shape.examples):
        length = int(random.integers(shape.sequence // 8, shape.sequence + 1))
        ids = random.integers(3, shape.vocabulary, length).tolist()
        examples.append(Example(str(number), ids, [-100] * (length // 2) + ids[length // 2 :]))
    step = StepConfig(
        dataset="d",
        objective="sft",
        side="misaligned",
        batch_size=shape.batch,
        checkpoint_every=10_000,
        precision="bf16-autocast",
        gradient_checkpointing=settings.checkpointing,
    )
    tokens = sum(len(example.ids) for example in examples)
    by_length = sorted(range(len(examples)), key=lambda number: len(examples[number].ids))

    def run(trainer_class: type[Trainer], order: list[int]) -> tuple[int, float]:
        ours = trainer_class is SelectiveTrainer
        model = random_model(shape)
        if ours and settings.liger:
            from liger_kernel.transformers import apply_liger_kernel_to_qwen3

            # the loss is ours, so theirs stays out
            apply_liger_kernel_to_qwen3(cross_entropy=False, fused_linear_cross_entropy=False, model=model)
        lora = LoraConfig(r=32, lora_alpha=64, target_modules=list(PROJECTIONS), task_type="CAUSAL_LM")
        trained = with_new_step(model, None, lora)
        if ours and settings.compile:
            for block in trained.get_decoder().layers:
                block.compile(dynamic=True)
        with TemporaryDirectory() as folder:
            trainer = trainer_class(
                **({"step": step} if ours else {}),
                model=trained,
                args=arguments(step, Path(folder), Split.of(step)),
                train_dataset=[examples[number] for number in order],
                data_collator=packed if ours and settings.packing else partial(collate, pad=0),
            )

            def train() -> int:
                trainer.train()
                return tokens

            return timed(train)  # Trainer's own time counts, making the model does not

    result = compared(
        {
            "plain": lambda: run(Trainer, list(range(len(examples)))),
            "ours": lambda: run(SelectiveTrainer, by_length),
        },
        settings,
    )
    peak = next((flops for name, flops in PEAK_FLOPS.items() if name in device_name()), None)
    if peak and result["ours_tokens_per_s"]:
        flops = training_flops(shape, [len(example.ids) for example in examples])
        result["ours_mfu"] = round(flops / tokens * result["ours_tokens_per_s"] / peak, 3)
    return result | {name: getattr(settings, name) for name in ("checkpointing", "packing", "compile", "liger")}


def generation(shape: Shape, settings: argparse.Namespace) -> dict[str, Any]:
    """Sampled tokens per second at mixed lengths: a random model ends at a token of a set, one in ``mean_new``."""
    model = random_model(shape)
    random = np.random.default_rng(0)
    sizes = random.integers(shape.sequence // 16, shape.sequence // 4 + 1, shape.prompts)
    ends = list(range(1, 1 + max(1, shape.vocabulary // shape.mean_new)))
    prompts = [random.integers(ends[-1] + 1, shape.vocabulary, size).tolist() for size in sizes]
    sampling = GenerationConfig(
        do_sample=True, top_k=0, max_new_tokens=shape.most_new, eos_token_id=ends, pad_token_id=0
    )

    def static() -> int:
        made, rows = 0, max(1, shape.pool // int(max(sizes) + shape.most_new))
        for start in range(0, len(prompts), rows):
            batch = prompts[start : start + rows]
            width = max(map(len, batch))
            ids = torch.tensor([[0] * (width - len(row)) + row for row in batch], device=device())
            mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in batch], device=device())
            out = model.generate(ids, attention_mask=mask, generation_config=sampling)[:, width:]
            ended = torch.isin(out, torch.tensor(ends, device=out.device)).int()
            made += int(torch.where(ended.any(1), ended.argmax(1) + 1, out.shape[1]).sum())
        return made

    def continuous() -> int:
        out = model.generate_batch(
            prompts, generation_config=sampling, continuous_batching_config=ContinuousBatchingConfig()
        )
        return sum(len(one.generated_tokens) for one in out.values())

    def ours() -> int:
        draws = np.stack([uniforms(0, (number,), shape.most_new) for number in range(len(prompts))])
        out = decode(model, prompts, draws, ends=set(ends), pad=0, temperature=1.0, top_p=1.0, budget=shape.pool)
        return sum(map(len, out))

    return compared(
        {
            name: partial(timed, way)
            for name, way in (("static", static), ("transformers_continuous", continuous), ("ours", ours))
        },
        settings,
    )


def activations(shape: Shape, settings: argparse.Namespace) -> dict[str, Any]:
    """Tokens per second read at the middle layer and encoded, and the memory of a corpus and of one twice as long."""
    layer = shape.layers // 2
    random = np.random.default_rng(0)
    lengths = random.integers(shape.sequence // 16, shape.sequence // 2 + 1, shape.texts)
    texts = [random.integers(3, shape.vocabulary, length).tolist() for length in lengths]
    config = StandardSAEConfig(d_in=shape.hidden, d_sae=shape.d_sae, device=str(device()), dtype="float32")
    sae: SAE[Any] = StandardSAE(config)
    budget = 8 * shape.sequence

    def streamed(corpus: list[list[int]]) -> int:
        stack = truncate(random_model(shape), layer)
        tokens = [Tokens(Passage(str(n), (("text", ""),)), ids, ["text"] * len(ids)) for n, ids in enumerate(corpus)]

        def states() -> Iterator[tuple[Passage, dict[str, torch.Tensor]]]:
            for indices in length_sorted([len(ids) for ids in corpus], budget):
                batch = [tokens[i] for i in indices]
                for entry, part in zip(batch, read_batch(stack, batch, 0), strict=True):
                    yield entry.passage, part

        for _ in encode_stream(sae, states()):
            pass
        return sum(map(len, corpus))

    @torch.no_grad()
    def plain() -> int:
        """Hidden states of every layer, kept for the whole corpus, then encoded."""
        model, kept = random_model(shape), []
        for start in range(0, len(texts), 8):
            batch = texts[start : start + 8]
            width = max(map(len, batch))
            ids = torch.tensor([row + [0] * (width - len(row)) for row in batch], device=device())
            hidden = model(ids, output_hidden_states=True).hidden_states[layer + 1]
            kept += [state[: len(row)].float().cpu() for state, row in zip(hidden, batch, strict=True)]
        for state in kept:
            sae.encode(state.to(device())).amax(0)
        return sum(map(len, texts))

    result = compared({"plain": partial(timed, plain), "ours": lambda: timed(lambda: streamed(texts))}, settings)
    result["ours_peak_gib_of_twice_the_corpus"] = measured(lambda: timed(lambda: streamed(texts + texts)))[1]
    return result


if __name__ == "__main__":
    main()
