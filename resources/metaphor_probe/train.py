"""Train a metaphor probe on the VU Amsterdam Metaphor Corpus and write its weights and card.

By hand, once: ``python resources/metaphor_probe/train.py --vua DIR --model DIR --output DIR``. The probe that ships
is a smaller one, which ``shrink.py`` makes of this. DIR of the corpus holds ``train.jsonl.gz`` and ``dev.jsonl.gz``:
tokens, labels, parts of speech, genre.

Every sentence is read twice: as its tokens joined by single spaces, the way gold sets are annotated, and within a
paragraph with the spaces of ordinary text. A tenth of the training documents is held out to choose the threshold; the
dev set is scored by the finished probe, through the code that will annotate.

The head is first trained alone, on principal components of the frozen base's features, which is fast; the components
are linear, so they are multiplied into the first layer. Three epochs: after ten it has learned its sentences by heart,
and has little to say to the blocks. Then it is trained together with LoRA factors of the uppermost blocks.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import fitting
import typer
from finished import finish
from rendering import divided, paragraphs, read_features, sentences_apart
from tuning import Stage, Upper, tune

from tropism.annotate.features import Reader
from tropism.annotate.gold import read_gold
from tropism.records.files import InputError, sha256_file

TOGETHER = 0.4
STAGE = Stage(600, blocks=5e-4, head=5e-4, fade=0.75, rank=8, dropout=0.05)


def main(
    vua: Annotated[Path, typer.Option(help="Folder with train.jsonl.gz and dev.jsonl.gz.")],
    model: Annotated[Path, typer.Option(help="The base in plain transformers files.")],
    output: Annotated[Path, typer.Option(help="Folder for probe.safetensors and probe.json.")],
    cache: Annotated[Path, typer.Option(help="Folder for features, which are read once.")] = Path(".probe-cache"),
    layers: Annotated[str, typer.Option(help="The blocks whose states are read.")] = "4,8,12,16",
    unmasked: Annotated[int, typer.Option(help="So many of the uppermost blocks look both ways and are tuned.")] = 16,
    hidden: int = 128,
    count: Annotated[int, typer.Option(help="Principal components to train the head on.")] = 384,
    epochs: Annotated[int, typer.Option(help="At most so many epochs of the head alone; fewer for a trial.")] = 3,
    steps: Annotated[int, typer.Option(help="So many steps of blocks and head; fewer for a trial.")] = STAGE.steps,
    half: Annotated[bool, typer.Option(help="Tune with the base in bfloat16.")] = True,
    seed: int = 0,
) -> None:
    """Train, choose the threshold on held-out training documents, report on dev."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    read = [int(layer) for layer in layers.split(",")]
    if read[-1] - unmasked not in (0, read[0]):
        raise InputError(f"--layers {layers}: the blocks below the {unmasked} unmasked end at none that is read first")
    reader = Reader(model, read)
    sentences, held_sentences = divided(read_gold(vua / "train.jsonl.gz"), seed)
    base = sha256_file(model / "model.safetensors")
    apart, together, held = (
        read_features(reader, base, texts, cache)
        for texts in (sentences_apart(sentences), paragraphs(sentences), sentences_apart(held_sentences))
    )
    tags = sorted({pos for sentence in sentences + held_sentences for pos in sentence.pos})
    epochs = min(epochs, fitting.ALONE.epochs)
    head = fitting.alone(apart + together, held, tags, hidden, count, epochs, seed)
    stage = replace(STAGE, steps=steps)
    upper = Upper(Reader(model, read, unmasked=unmasked), unmasked, stage, half)
    tune([(apart, 1 - TOGETHER), (together, TOGETHER)], held, head, upper, tags, stage, 0.0, seed)
    card = {
        "name": "mip-smollm2-large",
        **{"layers": read, "unmasked": unmasked, "hidden": hidden, "tags": tags},
        "training": {
            "sentences": len(sentences) + len(held_sentences),
            **{"components": count, "epochs": epochs, "steps": steps, "seed": seed},
        },
    }
    finish(output, model, head, upper, card, held_sentences, read_gold(vua / "dev.jsonl.gz"))


if __name__ == "__main__":
    typer.run(main)
