"""Train the metaphor probe on the VU Amsterdam Metaphor Corpus and write its weights and card.

By hand, about half an hour on two cores, once: ``python resources/metaphor_probe/train.py --vua DIR --model DIR
--output DIR``. DIR of the corpus holds ``train.jsonl.gz`` and ``dev.jsonl.gz``: tokens, labels, parts of speech, genre.

Every sentence is read twice: as its tokens joined by single spaces, the way gold sets are annotated, and within a
paragraph with the spaces of ordinary text. A tenth of the training documents is held out to choose the threshold; the
dev set is scored by the finished probe, through the code that will annotate.

Training works on principal components of the features, which is faster; the components are linear, so they are
multiplied into the head's first layer before it is written.
"""

import logging
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from tropism.annotate import head as heads
from tropism.annotate.features import Pieces, Reader
from tropism.annotate.gold import GoldSentence, read_gold
from tropism.annotate.head import CLIP, Head, save_head
from tropism.annotate.passages import Passage
from tropism.annotate.probe import Probe
from tropism.annotate.quality import UNCOUNTED, agreement, quality_table
from tropism.records.files import replacing, sha256_file, write_json

log = logging.getLogger("train")
ENCLITICS = re.compile(r"^(?:['’]\w+|n['’]t|[.,;:!?)\]%]|\.\.\.|['’])$", re.IGNORECASE)
OPENERS = {"(", "[", "£", "$"}
PARAGRAPH_TOKENS = 60
HELD_OUT = 0.1
EMA = 0.995
POSITIVE_WEIGHT = 1.5
POS_SHARE = 0.3


@dataclass
class Rendered:
    """A text made of gold tokens, where each token lies in it, and what the pieces of each unit are labelled."""

    text: str
    spans: list[tuple[int, int]]
    labels: list[int]
    pos: list[str]
    document: str
    features: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    pieces: Pieces = field(default_factory=lambda: Pieces([], [], []))
    tokens: list[tuple[int, int]] = field(default_factory=list)

    def place_units(self) -> None:
        """Find for each unit its first and past-the-last token."""
        starts, ends = np.array(self.spans).T
        self.tokens = [
            (int(np.searchsorted(ends, start, side="right")), int(np.searchsorted(starts, end, side="left")))
            for start, end in self.pieces.units
        ]


def document(sentence: GoldSentence) -> str:
    """The document that a sentence is from, by its id ``document-fragment-number``."""
    return sentence.id.split("-")[0]


def render(tokens: Sequence[str], natural: bool) -> tuple[str, list[tuple[int, int]]]:
    """Tokens as a text with their offsets: joined by single spaces, or with the spaces of ordinary English."""
    text, spans = "", []
    for before, token in zip(["", *tokens], tokens, strict=False):
        glued = natural and (ENCLITICS.match(token) or before in OPENERS)
        text += "" if glued or not text else " "
        spans.append((len(text), len(text) + len(token)))
        text += token
    return text, spans


def sentences_apart(sentences: Sequence[GoldSentence]) -> list[Rendered]:
    """Each sentence by itself, its tokens joined by single spaces."""
    return [Rendered(*render(s.tokens, False), list(s.labels), s.pos, document(s)) for s in sentences]


def paragraphs(sentences: Sequence[GoldSentence]) -> list[Rendered]:
    """Neighbouring sentences of a fragment run together as ordinary text."""

    def place(sentence: GoldSentence) -> tuple[str, int]:
        fragment, _, number = sentence.id.rpartition("-")
        return fragment, int(re.sub(r"\D", "", number) or 0)

    merged: list[list[GoldSentence]] = []
    for sentence in sorted(sentences, key=place):
        near = merged and place(merged[-1][0])[0] == place(sentence)[0]
        if near and sum(len(s.tokens) for s in merged[-1]) < PARAGRAPH_TOKENS:
            merged[-1].append(sentence)
        else:
            merged.append([sentence])
    return [
        Rendered(
            *render([token for s in group for token in s.tokens], True),
            [label for s in group for label in s.labels],
            [pos for s in group for pos in s.pos],
            document(group[0]),
        )
        for group in merged
    ]


def read_features(reader: Reader, texts: list[Rendered], cache: Path) -> list[Rendered]:
    """Give every text its pieces and features, from ``cache`` if they were read before; texts without a unit go."""
    for text in texts:
        text.pieces = reader.pieces(text.text)
        text.place_units()
    if not cache.is_file():
        found: dict[int, torch.Tensor] = {}
        for index, features in tqdm(reader.read([t.pieces for t in texts]), total=len(texts), desc=cache.stem):
            found[index] = features.half()
        with replacing(cache) as temporary:
            save_file({"features": torch.cat([found[index] for index in range(len(texts))])}, temporary)
    features = load_file(cache)["features"]
    for text, part in zip(texts, features.split([len(t.pieces.ids) for t in texts]), strict=True):
        text.features = part
    return [text for text in texts if text.pieces.units]


def components(texts: Sequence[Rendered], count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean and 1 / deviation of the features (width,) and their first principal directions (width, count)."""
    sample = torch.cat([text.features for text in texts[::5]]).float()
    mean, scale = sample.mean(dim=0), 1 / (sample.std(dim=0) + 1e-6)
    sample = ((sample - mean) * scale).clamp(-CLIP, CLIP)
    vectors = torch.linalg.eigh(sample.T @ sample / len(sample)).eigenvectors
    return mean, scale, vectors[:, -count:].flip(1).contiguous()


def batches(texts: Sequence[Rendered], size: int, rng: np.random.Generator | None) -> Iterator[list[Rendered]]:
    """Batches of like length, of about ``size`` pieces; with ``rng`` in random order."""
    jitter = rng.random(len(texts)) * 6 if rng else np.zeros(len(texts))
    found: list[list[Rendered]] = [[]]
    for index in np.argsort([len(t.features) + j for t, j in zip(texts, jitter, strict=True)], kind="stable"):
        if found[-1] and (len(found[-1]) + 1) * len(texts[index].features) > size:
            found.append([])
        found[-1].append(texts[index])
    for index in rng.permutation(len(found)) if rng else range(len(found)):
        yield found[index]


def forward(head: Head, batch: Sequence[Rendered]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of all units of a batch, text after text."""
    features = nn.utils.rnn.pad_sequence([text.features.float() for text in batch], batch_first=True)
    mask = nn.utils.rnn.pad_sequence([torch.ones(len(text.features)) for text in batch], batch_first=True)
    logits, tags = head(features, mask)
    rows = torch.tensor([row for row, text in enumerate(batch) for _ in text.pieces.ranges])
    last = torch.tensor([past - 1 for text in batch for _, past in text.pieces.ranges])
    return logits[rows, last], tags[rows, last]


def token_scores(head: Head, texts: Sequence[Rendered]) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels of all tokens that are not punctuation; a token's score is its best unit's, 0 without one."""
    head.eval()
    scores, labels = [], []
    with torch.inference_mode():
        for batch in batches(texts, 8000, None):
            units = iter(torch.sigmoid(forward(head, batch)[0]).tolist())
            for text in batch:
                best = np.zeros(len(text.labels))
                for first, past in text.tokens:
                    best[first:past] = np.maximum(best[first:past], next(units))
                counted = np.array([pos != UNCOUNTED for pos in text.pos])
                scores.append(best[counted])
                labels.append(np.array(text.labels, dtype=bool)[counted])
    return np.concatenate(scores), np.concatenate(labels)


def best_threshold(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """The threshold in steps of 0.01 with the best F1, and that F1."""
    tried = [(agreement(labels, scores >= t)["f1"], -abs(t - 0.5), t) for t in np.arange(0.2, 0.8, 0.01).round(2)]
    f1, _, threshold = max(tried)
    return float(threshold), f1


def fit(texts: list[Rendered], held: list[Rendered], head: Head, tags: list[str], epochs: int, seed: int) -> None:
    """Train ``head`` in place; it ends as the running average of its weights."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    average = torch.optim.swa_utils.AveragedModel(head, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(EMA))
    optimiser = torch.optim.AdamW(head.parameters(), lr=2e-3, weight_decay=0.05)
    total = epochs * (sum(1 for _ in batches(texts, 2500, rng)) + 5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=total, pct_start=0.1)
    weight = torch.tensor(POSITIVE_WEIGHT)
    for epoch in range(epochs):
        head.train()
        begun = time.monotonic()
        for batch in batches(texts, 2500, rng):
            logits, pos = forward(head, batch)
            label = torch.tensor([float(max(t.labels[a:b])) for t in batch for a, b in t.tokens])
            tag = torch.tensor([tags.index(t.pos[a]) for t in batch for a, _ in t.tokens])
            loss = F.binary_cross_entropy_with_logits(logits, label, pos_weight=weight)
            loss = loss + POS_SHARE * F.cross_entropy(pos, tag)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(head.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            average.update_parameters(head)
        threshold, f1 = best_threshold(*token_scores(average.module, held))
        seconds = time.monotonic() - begun
        log.info("epoch %d: held-out F1 %.4f at %.2f, %.0f s", epoch + 1, f1, threshold, seconds)
    head.load_state_dict(average.module.state_dict())
    head.eval()


def folded(head: Head, mean: torch.Tensor, scale: torch.Tensor, directions: torch.Tensor, tags: int) -> Head:
    """``head`` on principal components as a head on the features themselves."""
    whole = Head(len(mean), head.project.out_features, tags)
    state = head.state_dict() | {"mean": mean, "scale": scale}
    state["project.weight"] = head.project.weight.detach() @ directions.T
    whole.load_state_dict(state)
    return whole.eval()


def measure(probe: Probe, sentences: list[GoldSentence], name: str) -> dict[str, float]:
    """The finished probe's scores on a gold set, with the share of units whose part of speech is the gold one."""
    table = quality_table(sentences, probe, name).set_index(["pos", "genre"])
    right: Counter[bool] = Counter()
    for s, found in zip(sentences, probe.annotate([Passage(s.id, "text", s.text) for s in sentences]), strict=True):
        for unit in found.units:
            first = next(i for i, (_, end) in enumerate(s.spans()) if end > unit.start)
            right[s.pos[first] == unit.pos] += 1
    scores = {key: round(float(table.loc[("all", "all"), key]), 4) for key in ("precision", "recall", "f1", "kappa")}
    return {**scores, "pos_accuracy": round(right[True] / right.total(), 4)}


def main(
    vua: Annotated[Path, typer.Option(help="Folder with train.jsonl.gz and dev.jsonl.gz.")],
    model: Annotated[Path, typer.Option(help="The base in plain transformers files.")],
    output: Annotated[Path, typer.Option(help="Folder for probe.safetensors and probe.json.")],
    cache: Annotated[Path, typer.Option(help="Folder for features, which are read once.")] = Path(".probe-cache"),
    layers: Annotated[str, typer.Option(help="Blocks whose states are read, separated by commas.")] = "4,8",
    hidden: int = 128,
    count: Annotated[int, typer.Option(help="Principal components to train on.")] = 384,
    epochs: int = 10,
    seed: int = 0,
) -> None:
    """Train, choose the threshold on held-out training documents, report on dev."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    reader = Reader(model, [int(layer) for layer in layers.split(",")])
    train = read_gold(vua / "train.jsonl.gz")
    apart = read_features(reader, sentences_apart(train), cache / f"apart-{layers}.safetensors")
    together = read_features(reader, paragraphs(train), cache / f"together-{layers}.safetensors")
    documents = sorted({document(sentence) for sentence in train})
    chosen = np.random.default_rng(seed).permutation(len(documents))[: round(HELD_OUT * len(documents))]
    held_out = {documents[index] for index in chosen}
    tags = sorted({pos for sentence in train for pos in sentence.pos})

    mean, scale, directions = components(apart + together, count)
    for text in apart + together:
        text.features = ((text.features.float() - mean) * scale).clamp(-CLIP, CLIP) @ directions
    held = [text for text in apart if text.document in held_out]
    rest = [text for text in apart + together if text.document not in held_out]
    torch.manual_seed(seed)
    head = Head(count, hidden, len(tags), dropout=0.3, input_dropout=0.1)
    # components are of clipped features already, and are not on the features' scale
    heads.CLIP = float("inf")
    fit(rest, held, head, tags, epochs, seed)
    threshold, f1 = best_threshold(*token_scores(head, held))
    heads.CLIP = CLIP

    output.mkdir(parents=True, exist_ok=True)
    with replacing(output / "probe.safetensors") as temporary:
        save_head(folded(head, mean, scale, directions, len(tags)), temporary)
    card = {
        "name": "mip-smollm2",
        **{"layers": reader.layers, "hidden": hidden},
        "tags": tags,
        "threshold": threshold,
        "base": {"name": "SmolLM2-135M-Instruct", "sha256": sha256_file(model / "model.safetensors")},
        "training": {
            "corpus": "VUA-18 train (MIPVU)",
            "sentences": len(train),
            **{"held_out_documents": len(held_out), "epochs": epochs, "seed": seed, "components": count},
        },
        "scores": {"held_out": {"f1": round(f1, 4)}},
    }
    write_json(output / "probe.json", card)
    card["scores"]["dev"] = measure(Probe(output, model), read_gold(vua / "dev.jsonl.gz"), "vua-dev")
    write_json(output / "probe.json", card)
    log.info("%s", card["scores"])


if __name__ == "__main__":
    typer.run(main)
