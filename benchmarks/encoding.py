"""Tokens per second and peak memory of the streamed encoding, by length of the corpus, against sae-lens' own.

The plain way is what a script does: the activations of the whole corpus are kept, then ``SAE.encode`` of sae-lens makes
features of all of them in one call, which are pooled by text. Both read the same short texts, over and over for a
longer corpus, by the same batches through the same layers of one model, and use one dictionary: random weights with
``--k`` active features a token, or the folder ``--sae``. Every measurement is a process of its own, so that its peak
memory is its own, counted from where model and dictionary are loaded. Both ways have to find the same features. For a
CPU, on Linux; ``gpu.py`` has a GPU's.

    python benchmarks/encoding.py --model results/models/smollm2
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# Libraries are imported by the functions that need them: a process begins with the peak memory of the one that started
# it, so the one that starts the measurements has to stay small.

TEXTS = Path(__file__).parents[1] / "resources" / "demo" / "prose.jsonl"
DISTINCT = 32
"""Different texts in a corpus of any length, so that its longest batch is the same."""
WAYS = ("streamed", "materialised")
SAME = 1e-3
"""Relative difference of the summed peaks that rounding may make."""


def random_dictionary(folder: Path, width: int, d_sae: int, k: int) -> None:
    """Write a TopK dictionary of random directions in sae-lens format."""
    import torch
    from sae_lens import SAE

    sae = SAE.from_dict({"architecture": "topk", "d_in": width, "d_sae": d_sae, "k": k})
    torch.manual_seed(0)
    with torch.no_grad():
        sae.W_dec.copy_(torch.nn.functional.normalize(torch.randn(d_sae, width)))
        sae.W_enc.copy_(sae.W_dec.T)
        sae.b_enc.zero_()
        sae.b_dec.zero_()
    sae.save_model(folder)


def peak_mib() -> float:
    """Most memory of this process since :func:`forget_peak`."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def forget_peak() -> None:
    """Let the peak be what is held now: loading a model holds more, for a moment, than a short corpus would show."""
    Path("/proc/self/clear_refs").write_text("5")


def timed(reading: Iterator[Any], spent: list[float]) -> Iterator[Any]:
    """``reading`` as it comes; the processor seconds that each entry took are added to ``spent``."""
    begin = time.process_time()
    for entry in reading:
        spent.append(time.process_time() - begin)
        yield entry
        begin = time.process_time()


def measure(settings: argparse.Namespace, texts: int) -> dict[str, float]:
    """Encode a corpus of ``texts`` texts by ``settings.way``; speeds, memory before and at most, and what was found."""
    import pandas as pd
    import torch

    from tropism.activations.passages import Passage
    from tropism.activations.stream import stream, truncate
    from tropism.models.base import device, load_base, load_tokenizer
    from tropism.sae.encode import assemble, load_dictionary, pool, response_features
    from tropism.sae.features import PartFeatures

    torch.set_num_threads(settings.threads)
    tokenizer = load_tokenizer(settings.model, None)
    stack = truncate(load_base(settings.model), settings.layer)
    with TemporaryDirectory() as name:
        if settings.sae is None:
            random_dictionary(Path(name), stack.get_input_embeddings().weight.shape[1], settings.d_sae, settings.k)
        dictionary, key = load_dictionary(settings.sae or Path(name), settings.layer, str(device()))
    distinct = [json.loads(line)["text"] for line in TEXTS.read_text(encoding="utf-8").splitlines()[:DISTINCT]]
    passages = [Passage(f"t{i}", (("answer", distinct[i % DISTINCT]),)) for i in range(texts)]

    @torch.no_grad()
    def encoded(some: list[Passage], spent: list[float]) -> PartFeatures:
        states = timed(stream(stack, tokenizer, some, max_tokens=settings.max_tokens), spent)
        if settings.way == "streamed":
            rows = pd.DataFrame({"text": range(len(some))})
            return response_features(settings.way, dictionary, key, rows, some, states).parts["answer"]
        read = {passage: parts["answer"] for passage, parts in states}
        kept = torch.cat([read[passage] for passage in some])
        pooled = pool(dictionary.encode(kept), kept, [len(read[passage]) for passage in some])
        return assemble(pooled, key.d_sae, kept.shape[1])

    encoded(passages[:2], [])  # what a first call sets up is not the corpus's
    forget_peak()
    before, spent = peak_mib(), []
    elapsed, processor = time.perf_counter(), time.process_time()
    found = encoded(passages, spent)
    elapsed, processor = time.perf_counter() - elapsed, time.process_time() - processor
    tokens = int(found.tokens.sum())
    return {
        "tokens": tokens,
        "active": int(found.max.nnz),
        "peaks": float(found.max.sum(dtype="float64")),
        "tokens_per_s": tokens / elapsed,
        "tokens_per_processor_s": tokens / processor,
        "encoded_per_processor_s": tokens / (processor - sum(spent)),
        "before_MiB": before,
        "peak_MiB": peak_mib(),
    }


def in_own_process(settings: argparse.Namespace, way: str, texts: int) -> dict[str, float]:
    """What :func:`measure` says in a new process."""
    command = [sys.executable, __file__, "--way", way, "--texts", str(texts), "--model", str(settings.model)]
    for name in ("layer", "d_sae", "k", "max_tokens", "threads"):
        command += [f"--{name.replace('_', '-')}", str(getattr(settings, name))]
    command += ["--sae", str(settings.sae)] if settings.sae else []
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    row: dict[str, float] = json.loads(done.stdout)
    return row


def compared(rows: dict[tuple[str, int], dict[str, float]], lengths: list[int]) -> dict[str, float]:
    """Ratios of the two ways at the longest corpus, and the memory that each added at the shortest and the longest.

    Raises:
        ValueError: the two ways did not find the same.
    """
    for texts in lengths:
        ours, theirs = (rows[way, texts] for way in WAYS)
        if ours["tokens"] != theirs["tokens"] or abs(ours["peaks"] / theirs["peaks"] - 1) > SAME:
            raise ValueError(f"{texts} texts: the two ways found other features, {ours} and {theirs}")
    ours, theirs = (rows[way, lengths[-1]] for way in WAYS)
    ratios = {f"{speed}_ratio": ours[speed] / theirs[speed] for speed in ours if speed.endswith("_s")}
    ratios["peak_ratio"] = theirs["peak_MiB"] / ours["peak_MiB"]
    for way in WAYS:
        for name, texts in (("shortest", lengths[0]), ("longest", lengths[-1])):
            ratios[f"{way}_added_MiB_{name}"] = rows[way, texts]["peak_MiB"] - rows[way, texts]["before_MiB"]
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--sae", type=Path, help="folder of a dictionary in sae-lens format, of --layer")
    parser.add_argument("--layer", type=int, default=10)
    parser.add_argument("--d-sae", type=int, default=4096)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--texts", type=int, nargs="+", default=[64, 256, 1024], help="lengths of the corpus")
    parser.add_argument("--max-tokens", type=int, default=32, help="of a text; 64 of 32 fill a batch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--way", choices=WAYS, help="measure this one alone, in this process")
    settings = parser.parse_args()
    lengths = sorted(settings.texts)
    if settings.way:
        print(json.dumps(measure(settings, lengths[0])))
        return
    rows = {(way, texts): in_own_process(settings, way, texts) for texts in lengths for way in WAYS}
    for (way, texts), row in rows.items():
        print(json.dumps({"way": way, "texts": texts, **{name: float(f"{x:.5g}") for name, x in row.items()}}))
    print(json.dumps({name: float(f"{x:.3g}") for name, x in compared(rows, lengths).items()}))


if __name__ == "__main__":
    main()
