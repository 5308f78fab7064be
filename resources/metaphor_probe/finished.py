"""What a finished probe says: its scores on gold sentences, the threshold that suits it, and its lessons to another."""

import logging
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from fitting import best_threshold
from rendering import Rendered, digest, document
from tuning import Upper

from tropism.annotate.gold import GoldSentence
from tropism.annotate.head import Head, save_head
from tropism.annotate.passages import Passage
from tropism.annotate.probe import Probe
from tropism.annotate.quality import UNCOUNTED, quality_table
from tropism.records.files import read_jsonl, replacing, sha256_file, write_json, write_jsonl
from tropism.records.schema import Annotation

log = logging.getLogger("train")


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


def ask(teacher: Probe, which: str, texts: list[Rendered], cache: Path) -> None:
    """Give each unit of ``texts`` the score of ``teacher``, which calls all units metaphors, and a part of speech.

    The answers of the teacher ``which`` to these texts are kept in the folder ``cache``.
    """
    kept = cache / f"taught-{digest([which, *(text.text for text in texts)])}.jsonl"
    if not kept.is_file():
        passages = [Passage(str(index), "text", text.text) for index, text in enumerate(texts)]
        write_jsonl(kept, list(teacher.annotate(passages)))
    for text, annotation in zip(texts, read_jsonl(kept, Annotation), strict=True):
        text.taught = [unit.score for unit in annotation.metaphors if unit.score is not None]
        if not text.labels:
            text.pos = [unit.pos or "X" for unit in annotation.units]


def choose(probe: Probe, sentences: list[GoldSentence]) -> tuple[float, float]:
    """The threshold at which ``probe``, which calls all units metaphors, agrees best with gold, and that F1."""
    scores, labels = [], []
    for s, annotation in zip(
        sentences, probe.annotate([Passage(s.id, "text", s.text) for s in sentences]), strict=True
    ):
        for (start, end), label, pos in zip(s.spans(), s.labels, s.pos, strict=True):
            if pos != UNCOUNTED:
                over = [m.score or 0.0 for m in annotation.metaphors if m.start < end and start < m.end]
                scores.append(max(over, default=0.0))
                labels.append(bool(label))
    return best_threshold(np.array(scores), np.array(labels))


def finish(
    output: Path,
    model: Path,
    head: Head,
    upper: Upper,
    card: dict[str, Any],
    held: list[GoldSentence],
    dev: list[GoldSentence],
) -> None:
    """Write the weights and the card, with the threshold chosen on ``held`` and the scores there and on ``dev``."""
    output.mkdir(parents=True, exist_ok=True)
    with replacing(output / "probe.safetensors") as temporary:
        save_head(head, temporary, upper.factors())
    base = {"name": "SmolLM2-135M-Instruct", "sha256": sha256_file(model / "model.safetensors")}
    training = {"corpus": "VUA-18 train (MIPVU)", "held_out_documents": len({document(s) for s in held})}
    # until its threshold is chosen, a probe that is left here finds nothing
    card = {**card, "threshold": 1.0, "base": base, "training": training | card["training"], "scores": {}}
    write_json(output / "probe.json", card)
    card["threshold"], f1 = choose(Probe(output, model, threshold=0.0), held)
    card["scores"] = {"held_out": {"f1": round(f1, 4)}}
    write_json(output / "probe.json", card)
    card["scores"]["dev"] = measure(Probe(output, model), dev, "vua-dev")
    write_json(output / "probe.json", card)
    log.info("%s", card["scores"])
