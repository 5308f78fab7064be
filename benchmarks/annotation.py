"""Words per second of the metaphor probe, its loading left out: as elapsed, and for each second of processor time.

python benchmarks/annotation.py --model results/models/smollm2 --texts 100 [--probes FOLDER ...]
"""

import argparse
import json
import time
from pathlib import Path

import torch

from tropism.annotate.passages import Passage
from tropism.annotate.probe import Probe
from tropism.records.files import read_jsonl
from tropism.records.schema import Text

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=100)
    parser.add_argument("--dataset", type=Path, default=Path("results/demo/datasets/prose.jsonl"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--probes", type=Path, nargs="+", default=[ROOT / "resources" / "metaphor_probe"])
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    records = read_jsonl(settings.dataset, Text)
    passages = [Passage(f"{i}", "text", records[i % len(records)].text) for i in range(settings.texts)]
    for folder in settings.probes:
        probe = Probe(folder, settings.model)
        begin, processor = time.perf_counter(), time.process_time()
        words = sum(len(annotation.units) for annotation in probe.annotate(passages))
        seconds, processor = time.perf_counter() - begin, time.process_time() - processor
        rates = {"words_per_s": round(words / seconds), "words_per_cpu_s": round(words / processor)}
        print(json.dumps({"probe": str(folder), "words": words, "seconds": round(seconds, 2), **rates}))


if __name__ == "__main__":
    main()
