"""Train the metaphor probe on the VU Amsterdam Metaphor Corpus and write its weights and card.

By hand, once: ``python resources/metaphor_probe/train.py --vua DIR --model DIR --output DIR``.
DIR of the corpus holds ``train.jsonl.gz`` and ``dev.jsonl.gz``: tokens, labels, parts of speech, genre.

Every sentence is read twice: as its tokens joined by single spaces, the way gold sets are annotated, and within a
paragraph with the spaces of ordinary text. A tenth of the training documents is held out to choose the threshold; the
dev set is scored by the finished probe, through the code that will annotate.

The head is first trained alone, on principal components of the frozen base's features, which is fast; the components
are linear, so they are multiplied into the first layer. Three epochs: after ten it has learned its sentences by heart,
and has little to say to the blocks. Then it is trained together with LoRA factors of the blocks between the two layers
that are read.
"""

import logging
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import fitting
import numpy as np
import torch
import typer
from rendering import document, paragraphs, read_features, sentences_apart
from tuning import Stage, Upper, tune

from tropism.annotate import head as heads
from tropism.annotate.features import Reader
from tropism.annotate.gold import GoldSentence, read_gold
from tropism.annotate.head import CLIP, Head, save_head
from tropism.annotate.passages import Passage
from tropism.annotate.probe import Probe
from tropism.annotate.quality import quality_table
from tropism.records.files import replacing, sha256_file, write_json

log = logging.getLogger("train")
HELD_OUT = 0.1
TOGETHER = 0.4
TUNED_DROPOUT = 0.3
INPUT_DROPOUT = 0.1


@dataclass(frozen=True)
class Alone:
    """How a head is trained on the frozen features; ``keep`` is what the average of its weights keeps of itself."""

    epochs: int
    dropout: float
    keep: float


ALONE = Alone(3, 0.35, 0.98)
TOGETHER_WITH_BLOCKS = Stage(720, blocks=6e-4, head=5e-4, warm_up=20, fade=0.75, keep=0.985)


def measure(probe: Probe, sentences: list[GoldSentence], name: str) -> dict[str, float]:
    """The finished probe's scores on a gold set, with the share of units whose part of speech is the gold one."""
    found = list(probe.annotate([Passage(s.id, "text", s.text) for s in sentences]))
    done = SimpleNamespace(name=probe.name, annotate=lambda passages: found)
    table = quality_table(sentences, done, name).set_index(["pos", "genre"])
    right: Counter[bool] = Counter()
    for s, annotation in zip(sentences, found, strict=True):
        for unit in annotation.units:
            first = next(i for i, (_, end) in enumerate(s.spans()) if end > unit.start)
            right[s.pos[first] == unit.pos] += 1
    scores = {key: round(float(table.loc[("all", "all"), key]), 4) for key in ("precision", "recall", "f1", "kappa")}
    return {**scores, "pos_accuracy": round(right[True] / right.total(), 4)}


def main(
    vua: Annotated[Path, typer.Option(help="Folder with train.jsonl.gz and dev.jsonl.gz.")],
    model: Annotated[Path, typer.Option(help="The base in plain transformers files.")],
    output: Annotated[Path, typer.Option(help="Folder for probe.safetensors and probe.json.")],
    cache: Annotated[Path, typer.Option(help="Folder for features, which are read once.")] = Path(".probe-cache"),
    layers: Annotated[str, typer.Option(help="The two blocks whose states are read; those between are tuned.")] = "4,8",
    hidden: int = 128,
    count: Annotated[int, typer.Option(help="Principal components to train the head on.")] = 384,
    epochs: Annotated[int, typer.Option(help="At most so many epochs of the head alone; fewer for a trial.")] = 3,
    steps: Annotated[int, typer.Option(help="At most so many steps of blocks and head; fewer for a trial.")] = 720,
    seed: int = 0,
) -> None:
    """Train, choose the threshold on held-out training documents, report on dev."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    below, top = (int(layer) for layer in layers.split(","))
    reader = Reader(model, [below, top])
    train = read_gold(vua / "train.jsonl.gz")
    apart = read_features(reader, sentences_apart(train), cache / f"apart-{layers}.safetensors")
    together = read_features(reader, paragraphs(train), cache / f"together-{layers}.safetensors")
    documents = sorted({document(sentence) for sentence in train})
    chosen = np.random.default_rng(seed).permutation(len(documents))[: round(HELD_OUT * len(documents))]
    held_out = {documents[index] for index in chosen}
    tags = sorted({pos for sentence in train for pos in sentence.pos})
    held = [text for text in apart if text.document in held_out]
    apart, together = ([text for text in texts if text.document not in held_out] for texts in (apart, together))

    mean, scale, directions = fitting.components(apart + together, count)
    read = [text.features for text in apart + together + held]
    for text in apart + together + held:
        text.features = ((text.features.float() - mean) * scale).clamp(-CLIP, CLIP) @ directions
    # components are of clipped features already, and are not on the features' scale
    heads.CLIP = float("inf")
    head = Head(len(mean), hidden, len(tags), dropout=TUNED_DROPOUT, input_dropout=INPUT_DROPOUT)
    torch.manual_seed(seed)
    small = Head(count, hidden, len(tags), dropout=ALONE.dropout, input_dropout=INPUT_DROPOUT)
    fitting.fit(apart + together, held, small, tags, min(epochs, ALONE.epochs), ALONE.keep, seed)
    head.load_state_dict(fitting.folded(small, mean, scale, directions, len(tags)).state_dict())
    heads.CLIP = CLIP

    for text, features in zip(apart + together + held, read, strict=True):
        text.features = features
    upper = Upper(Reader(model, [below, top], unmasked=top - below))
    stage = replace(TOGETHER_WITH_BLOCKS, steps=min(steps, TOGETHER_WITH_BLOCKS.steps))
    tune(apart, together, held, head, upper, tags, stage, TOGETHER, seed)
    threshold, f1 = fitting.best_threshold(*fitting.token_scores(head, held, upper))

    output.mkdir(parents=True, exist_ok=True)
    with replacing(output / "probe.safetensors") as temporary:
        save_head(head, temporary, upper.factors())
    card = {
        "name": "mip-smollm2",
        **{"layers": [below, top], "unmasked": top - below, "hidden": hidden},
        "tags": tags,
        "threshold": threshold,
        "base": {"name": "SmolLM2-135M-Instruct", "sha256": sha256_file(model / "model.safetensors")},
        "training": {
            "corpus": "VUA-18 train (MIPVU)",
            "sentences": len(train),
            **{"held_out_documents": len(held_out), "components": count, "seed": seed},
            **{"epochs": min(epochs, ALONE.epochs), "steps": stage.steps},
        },
        "scores": {"held_out": {"f1": round(f1, 4)}},
    }
    write_json(output / "probe.json", card)
    card["scores"]["dev"] = measure(Probe(output, model), read_gold(vua / "dev.jsonl.gz"), "vua-dev")
    write_json(output / "probe.json", card)
    log.info("%s", card["scores"])


if __name__ == "__main__":
    typer.run(main)
