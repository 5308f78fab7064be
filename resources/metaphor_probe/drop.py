"""Which blocks a large probe can best do without: one after another, those whose loss costs least likelihood.

``python resources/metaphor_probe/drop.py --vua DIR --model DIR --teacher DIR``. Prints after each the block, the
negative log-likelihood (nats a token) of the labels of the documents that the teacher held out, and the best F1 there.
Nothing is trained in between; a block that goes hands on what it was given. What it leaves is ``BLOCKS`` of
``shrink.py``.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from fitting import best_threshold, token_scores
from rendering import divided, sentences_apart

from tropism.annotate.features import Reader
from tropism.annotate.gold import read_gold
from tropism.annotate.head import load_head
from tropism.annotate.probe import read_card

LEAST = 1e-4


def hand_on(hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """A block that does nothing."""
    return hidden_states


def main(
    vua: Annotated[Path, typer.Option(help="Folder with train.jsonl.gz.")],
    model: Annotated[Path, typer.Option(help="The base in plain transformers files.")],
    teacher: Annotated[Path, typer.Option(help="Folder of the large probe.")],
    count: Annotated[int, typer.Option(help="So many blocks go.")] = 6,
) -> None:
    """Take blocks out of the probe in ``teacher``; the first one always stays."""
    card = read_card(teacher)
    reader = Reader(model, card.layers, card.unmasked)
    head, factors = load_head(teacher / "probe.safetensors", reader.width, card.hidden, len(card.tags))
    reader.tune(factors)
    reader.stack.bfloat16()
    _, sentences = divided(read_gold(vua / "train.jsonl.gz"), int(card.training["seed"]))
    texts = sentences_apart(sentences)
    for text in texts:
        text.pieces = reader.pieces(text.text)
        text.place_units()
    texts = [text for text in texts if text.pieces.units]

    def without(block: int) -> tuple[float, float]:
        module = reader.stack.layers[block - 1]
        whole, module.forward = module.forward, hand_on
        for index, features in reader.read([text.pieces for text in texts]):
            texts[index].features = features.float()
        module.forward = whole
        scores, labels = token_scores(head, texts)
        likely = np.clip(np.where(labels, scores, 1 - scores), LEAST, 1)
        return float(-np.log(likely).mean()), best_threshold(scores, labels)[1]

    left = list(range(1, card.layers[-1] + 1))
    for _ in range(count):
        loss, f1, block = min((*without(block), block) for block in left[1:])
        left.remove(block)
        reader.stack.layers[block - 1].forward = hand_on
        print(f"without {block}: {loss:.4f} nats, F1 {f1:.4f}; left: {','.join(map(str, left))}", flush=True)


if __name__ == "__main__":
    typer.run(main)
