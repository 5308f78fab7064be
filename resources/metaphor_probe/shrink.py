"""Make a small metaphor probe of a large one: some of its blocks, tuned until they answer together as all did.

By hand, once: ``python resources/metaphor_probe/shrink.py --vua DIR --model DIR --teacher DIR --unlabelled FILE
--output DIR``, where the teacher is what ``train.py`` wrote. The small probe begins as the teacher without the other
blocks, its factors cut to a smaller rank. It learns from the labels and from the teacher's scores, on the corpus and on
texts that nobody labelled, so that it need not learn its sentences by heart.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from finished import ask, finish
from fitting import INPUT_DROPOUT, TUNED_DROPOUT
from rendering import Rendered, divided, embed, paragraphs, sentences_apart
from tuning import Stage, Upper, tune
from unlabelled import unlabelled

from tropism.annotate.features import Reader
from tropism.annotate.gold import read_gold
from tropism.annotate.head import Factors, Head, load_head
from tropism.annotate.probe import Probe, read_card
from tropism.records.files import InputError, sha256_file

TOGETHER = 0.4
UNLABELLED = 0.33
UNLABELLED_PIECES = 420_000
TRUST = 0.5
STAGE = Stage(700, blocks=4e-4, head=3e-4, fade=0.95, rank=4)
# what `drop.py` leaves of sixteen
BLOCKS = "1,2,3,4,5,6,7,8,9,12"


def cut(factors: dict[str, Factors], blocks: Sequence[int], rank: int) -> dict[str, Factors]:
    """The factors of ``blocks``, numbered anew, each of the rank that is nearest to its product's own."""
    found: dict[str, Factors] = {}
    for place, block in enumerate(blocks):
        for module, (a, b) in factors.items():
            if module.startswith(f"layers.{block - 1}."):
                left, values, right = torch.linalg.svd(b.float() @ a.float(), full_matrices=False)
                kept = rank if ".self_attn." in module else rank // 2
                root = values[:kept].sqrt()
                name = module.replace(f"layers.{block - 1}.", f"layers.{place}.")
                found[name] = root[:, None] * right[:kept], left[:, :kept] * root
    return found


def main(
    vua: Annotated[Path, typer.Option(help="Folder with train.jsonl.gz and dev.jsonl.gz.")],
    model: Annotated[Path, typer.Option(help="The base in plain transformers files.")],
    teacher: Annotated[Path, typer.Option(help="Folder of the large probe, all of whose blocks look both ways.")],
    texts: Annotated[list[Path], typer.Option("--unlabelled", help="JSONL of texts, or conversations.")],
    output: Annotated[Path, typer.Option(help="Folder for probe.safetensors and probe.json.")],
    cache: Annotated[Path, typer.Option(help="Folder for the teacher's answers.")] = Path(".probe-cache"),
    blocks: Annotated[str, typer.Option(help="The teacher's blocks that stay.")] = BLOCKS,
    steps: Annotated[int, typer.Option(help="So many steps of blocks and head; fewer for a trial.")] = STAGE.steps,
    half: Annotated[bool, typer.Option(help="Tune with the base in bfloat16.")] = True,
    seed: int = 0,
) -> None:
    """Shrink, choose the threshold on held-out training documents, report on dev."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    large, kept = read_card(teacher), [int(block) for block in blocks.split(",")]
    if large.unmasked != large.layers[-1] or large.blocks is not None:
        raise InputError(f"{teacher}: not a probe whose blocks are all there and all look both ways")
    if kept != sorted(set(kept)) or not 1 <= kept[0] <= kept[-1] <= large.layers[-1]:
        raise InputError(f"--blocks {blocks}: not some of the blocks 1 to {large.layers[-1]} in their order")
    if sha256_file(model / "model.safetensors") != large.base["sha256"]:
        raise InputError(f"{model}: not the base of the probe in {teacher} ({large.base['name']})")
    # what the teacher reads after a block that goes is read after the last one before it that stays
    layers = [sum(block <= layer for block in kept) for layer in large.layers]
    reader = Reader(model, layers, unmasked=len(kept), blocks=kept)

    # the teacher's own division: what it has learned by heart is not held out
    sentences, held_sentences = divided(read_gold(vua / "train.jsonl.gz"), int(large.training["seed"]))
    apart, together, held = (
        embed(reader, found)
        for found in (sentences_apart(sentences), paragraphs(sentences), sentences_apart(held_sentences))
    )
    others = embed(reader, unlabelled(texts, reader, UNLABELLED_PIECES, seed))
    which = sha256_file(teacher / "probe.safetensors")
    ask(Probe(teacher, model, threshold=0.0), which, apart + together + others, cache)

    wide, factors = load_head(teacher / "probe.safetensors", reader.width, large.hidden, len(large.tags))
    head = Head(reader.width, large.hidden, len(large.tags), dropout=TUNED_DROPOUT, input_dropout=INPUT_DROPOUT)
    head.load_state_dict(wide.state_dict())
    stage = replace(STAGE, steps=steps)
    upper = Upper(reader, len(kept), stage, half)
    upper.begin(cut(factors, kept, stage.rank))
    pools: list[tuple[list[Rendered], float]] = [(apart, 1 - TOGETHER), (together, TOGETHER), (others, UNLABELLED)]
    tune(pools, held, head, upper, large.tags, stage, TRUST, seed)
    card = {
        "name": "mip-smollm2",
        **{"layers": layers, "unmasked": len(kept), "blocks": kept, "hidden": large.hidden, "tags": large.tags},
        "training": {
            "sentences": len(sentences) + len(held_sentences),
            **{"teacher": which, "unlabelled_texts": len(others), "steps": steps, "seed": seed},
        },
    }
    finish(output, model, head, upper, card, held_sentences, read_gold(vua / "dev.jsonl.gz"))


if __name__ == "__main__":
    typer.run(main)
