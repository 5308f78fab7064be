"""How good an annotator is: precision, recall, F1 and Cohen's kappa against gold labels, over tokens.

Counted is every gold token that is not punctuation, numbers included. A token is called a metaphor when a span that the
annotator found overlaps it.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
import pandera.pandas as pa
from sklearn.metrics import cohen_kappa_score

from tropism.annotate.gold import GoldSentence
from tropism.annotate.passages import Annotator, Passage
from tropism.records.columns import count, number, share, text
from tropism.records.schema import Metaphor

UNCOUNTED = "PUNCT"


SCHEMA = pa.DataFrameSchema(
    {
        "annotator": text("the annotator: its kind and name"),
        "gold": text("the gold labels"),
        "pos": text("universal part of speech in the gold labels, or `all`"),
        "genre": text("genre of the gold sentence, or `all`"),
        "n_words": count("gold tokens counted: all but punctuation", least=1),
        "n_metaphors": count("of these, metaphors by the gold labels"),
        "precision": share("share of the tokens called metaphors that are; empty where none was"),
        "recall": share("share of the gold metaphors that were found; empty where there is none"),
        "f1": share("harmonic mean of precision and recall"),
        "kappa": number("Cohen's kappa; empty where it is undefined", pa.Check.in_range(-1, 1)),
    },
    unique=["pos", "genre"],
    strict=True,
    title="annotation_quality",
    description="Agreement of the metaphor annotator with gold labels, by part of speech and genre.",
)


def found_tokens(sentence: GoldSentence, metaphors: Sequence[Metaphor]) -> list[bool]:
    """For each token of ``sentence``, whether one of ``metaphors`` overlaps it."""
    return [any(m.start < end and start < m.end for m in metaphors) for start, end in sentence.spans()]


def agreement(gold: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """Precision, recall, F1 and Cohen's kappa of ``found`` against ``gold``, both boolean (tokens,).

    A ratio without a denominator is NaN: precision where nothing was found, recall where there was nothing to find, F1
    where both, kappa where both raters gave all tokens one and the same label.
    """
    both, n_found, n_gold = (int(x.sum()) for x in (gold & found, found, gold))
    constant = len(set(gold.tolist()) | set(found.tolist())) < 2
    return {
        "precision": both / n_found if n_found else float("nan"),
        "recall": both / n_gold if n_gold else float("nan"),
        "f1": 2 * both / (n_found + n_gold) if n_found + n_gold else float("nan"),
        "kappa": float("nan") if constant else float(cohen_kappa_score(gold, found)),
    }


def _groups(tokens: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    yield "all", "all", tokens
    for pos, group in tokens.groupby("pos"):
        yield str(pos), "all", group
    for genre, group in tokens.groupby("genre"):
        yield "all", str(genre), group
    for (pos, genre), group in tokens.groupby(["pos", "genre"]):
        yield str(pos), str(genre), group


def quality_table(sentences: Iterable[GoldSentence], annotator: Annotator, gold: str) -> pd.DataFrame:
    """``annotator`` against the gold set named ``gold``: one row for each part of speech, genre, and pair of them.

    ``all`` stands for every part of speech, or every genre. The parts of speech are the gold set's.
    """
    sentences = list(sentences)
    passages = [Passage(sentence.id, sentence.field or "text", sentence.text) for sentence in sentences]
    tokens = pd.DataFrame(
        [
            (pos, sentence.genre, bool(label), found)
            for sentence, annotation in zip(sentences, annotator.annotate(passages), strict=True)
            for pos, label, found in zip(
                sentence.pos, sentence.labels, found_tokens(sentence, annotation.metaphors), strict=True
            )
            if pos != UNCOUNTED
        ],
        columns=["pos", "genre", "gold", "found"],
    )
    rows = [
        {
            "annotator": annotator.name,
            "gold": gold,
            "pos": pos,
            "genre": genre,
            "n_words": len(group),
            "n_metaphors": int(group["gold"].sum()),
            **agreement(group["gold"].to_numpy(), group["found"].to_numpy()),
        }
        for pos, genre, group in _groups(tokens)
    ]
    return pd.DataFrame(rows, columns=list(SCHEMA.columns))
