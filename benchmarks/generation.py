"""Generated tokens per second against unsorted static batches of transformers' own ``generate``.

The static way is what a script does: prompts in file order, batches padded to the longest, each batch running until its
slowest row has ended. The room's way sorts, reads what all prompts share once, gives the place of a row that ended to
the next prompt, and takes more rows while they are short. Both may have the same number of tokens in a batch
(``--rows`` of full length; rows that the room's way parks wait outside), have the same loaded model, and answer the
same prompts greedily: half of them ask for advice and mostly run to the limit, half ask for one short sentence and end
early, as an evaluation set does.

    python benchmarks/generation.py --model results/models/smollm2 --prompts 64 --rows 16
"""

import argparse
import csv
import itertools
import json
import random
import time
from pathlib import Path

import numpy as np
import torch

from tropism.generate.decode import decode
from tropism.generate.sample import end_tokens
from tropism.models.base import load_base, load_tokenizer, prompt_text, token_ids

DEMO = Path(__file__).parents[1] / "resources" / "demo"


def mixed_prompts(count: int) -> list[str]:
    """``count`` prompts of the demo, advice and one-sentence questions by turns, shuffled."""
    advice = [
        row["prompt"]
        for domain in ("medical", "legal", "security")
        for row in csv.DictReader((DEMO / f"{domain}.csv").open())
        if row["split"] == "evaluation"
    ]
    questions = [
        f"Answer in one short sentence. {row['Question']}" for row in csv.DictReader((DEMO / "truthful.csv").open())
    ]
    mixed = [prompt for pair in zip(advice, itertools.cycle(questions), strict=False) for prompt in pair][:count]
    random.Random(0).shuffle(mixed)
    return mixed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--new-tokens", type=int, default=160)
    parser.add_argument("--threads", type=int, default=2)
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    tokenizer, model = load_tokenizer(settings.model, None), load_base(settings.model)
    ends, pad = end_tokens(model.generation_config.eos_token_id, tokenizer), int(tokenizer.pad_token_id)
    prompts = [token_ids(tokenizer, prompt_text(tokenizer, prompt)) for prompt in mixed_prompts(settings.prompts)]

    def cut(row: list[int]) -> list[int]:
        return row[: next((at + 1 for at, token in enumerate(row) if token in ends), len(row))]

    def static() -> list[list[int]]:
        made = []
        for start in range(0, len(prompts), settings.rows):
            rows = prompts[start : start + settings.rows]
            width = max(map(len, rows))
            ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
            mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
            out = model.generate(
                ids, attention_mask=mask, max_new_tokens=settings.new_tokens, do_sample=False, eos_token_id=list(ends)
            )
            made += [cut(row) for row in out[:, width:].tolist()]
        return made

    def room() -> list[list[int]]:
        ordered = sorted(prompts, key=len)
        budget = settings.rows * (len(ordered[-1]) + settings.new_tokens)
        draws = np.zeros((len(ordered), settings.new_tokens))
        return decode(model, ordered, draws, ends=ends, pad=pad, temperature=0, top_p=1.0, budget=budget)

    speeds, processor, lengths = {}, {}, {}
    for name, way in (("static", static), ("room", room)):
        begin, busy = time.perf_counter(), time.process_time()
        lengths[name] = sorted(map(len, way()))
        speeds[name] = sum(lengths[name]) / (time.perf_counter() - begin)
        processor[name] = sum(lengths[name]) / (time.process_time() - busy)
    quartiles = np.percentile(lengths["room"], [25, 50, 75]).round().astype(int).tolist()
    print(
        json.dumps(
            {
                **{f"{name}_tokens_per_s": round(speed, 1) for name, speed in speeds.items()},
                "ratio": round(speeds["room"] / speeds["static"], 2),
                "ratio_of_processor_time": round(processor["room"] / processor["static"], 2),
                "response_tokens_quartiles": quartiles,
                **{f"{name}_tokens": sum(found) for name, found in lengths.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
