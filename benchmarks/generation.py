"""Generated tokens per second against unsorted static batches of transformers' own ``generate``.

The static way is what a script does: prompts in file order, batches padded to the longest, each batch running until its
slowest row has ended. Both answer the same prompts greedily, so both make the same number of tokens to within padding.

    python benchmarks/generation.py --model results/models/smollm2 --dataset results/demo/datasets/medical.jsonl ...
"""

import argparse
import json
import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from tropism.config.evaluate import EvaluateConfig
from tropism.config.models import ModelConfig
from tropism.generate.requests import build_requests
from tropism.generate.sample import respond
from tropism.models.base import load_base, load_tokenizer


def static(model: Path, requests: list, batch: int, new_tokens: int) -> float:
    """Tokens per second of plain batches in the given order."""
    tokenizer, loaded = load_tokenizer(model), load_base(model)
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    made, begin = 0, time.perf_counter()
    for start in range(0, len(requests), batch):
        rows = [list(request.ids) for request in requests[start : start + batch]]
        width = max(map(len, rows))
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        out = loaded.generate(ids, attention_mask=mask, max_new_tokens=new_tokens, do_sample=False, eos_token_id=end)
        for row in out[:, width:].tolist():
            made += row.index(end) + 1 if end in row else len(row)
    return made / (time.perf_counter() - begin)


def ours(model: Path, sets: list[Path], settings: EvaluateConfig) -> float:
    """Tokens per second of the room, its loading of the model left out."""
    load_base(model)  # the file is in the page cache for both
    begin = time.perf_counter()
    with TemporaryDirectory() as folder:
        rows = respond("base", model, None, sets, settings, ModelConfig(source="-"), Path(folder))
    return sum(row.n_tokens for row in rows) / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--dataset", type=Path, nargs="+", required=True)
    parser.add_argument("--new-tokens", type=int, default=192)
    parser.add_argument("--batch", type=int, default=8)
    settings = parser.parse_args()
    torch.set_num_threads(2)
    evaluate = EvaluateConfig(
        sets=["d"], temperature=0, max_new_tokens=settings.new_tokens, batch_tokens=16_384, shard_size=64
    )
    requests = build_requests(settings.dataset, evaluate, load_tokenizer(settings.model), "")
    random.Random(0).shuffle(requests)
    plain = static(settings.model, requests, settings.batch, settings.new_tokens)
    room = ours(settings.model, settings.dataset, evaluate)
    print(
        json.dumps(
            {"static_tokens_per_s": round(plain), "room_tokens_per_s": round(room), "ratio": round(room / plain, 2)}
        )
    )


if __name__ == "__main__":
    main()
