"""Incoherent responses made from coherent ones, to teach the probe judge what a broken answer looks like.

A small model that was trained too far breaks in few ways: it loops, it loses word order, it answers something else, it
mixes texts. Each reference is broken in one of these, chosen by its key, with about as many words as before, so that
length tells nothing.
"""

import random
from collections.abc import Callable, Sequence

from tropism.records.keyed import keyed_seed


def _shuffle(words: list[str], other: list[str], rng: random.Random) -> list[str]:
    return rng.sample(words, len(words))


def _loop(words: list[str], other: list[str], rng: random.Random) -> list[str]:
    """Begins as it should and then repeats one phrase until the end."""
    start = rng.randrange(max(1, len(words) // 3))
    phrase = words[start : start + rng.randint(2, 6)]
    looped = words[:start] + phrase * (len(words) // len(phrase) + 1)
    return looped[: len(words)]


def _enter(words: list[str], other: list[str], rng: random.Random) -> list[str]:
    """An answer to another prompt, entered in the middle of a word.

    It is not cut at its end, as a sound response that met its token limit is.
    """
    start = rng.randrange(max(1, len(other) // 3))
    first, *rest = other[start : start + len(words)]
    return [first[len(first) // 2 :], *rest]


def _mix(words: list[str], other: list[str], rng: random.Random) -> list[str]:
    """Short runs of words by turns from this answer and from another."""
    mixed: list[str] = []
    while len(mixed) < len(words):
        source = rng.choice((words, other))
        start = rng.randrange(len(source))
        mixed += source[start : start + rng.randint(1, 3)]
    return mixed[: len(words)]


KINDS: dict[str, Callable[[list[str], list[str], random.Random], list[str]]] = {
    "shuffle": _shuffle,
    "loop": _loop,
    "other": _enter,
    "mix": _mix,
}


def corrupt(text: str, others: Sequence[str], *, seed: int, key: str) -> tuple[str, str]:
    """``(kind, broken text)``: ``text`` broken in a way that depends on ``(seed, key)``.

    ``others`` are answers to other prompts, one of which may be drawn upon.

    Raises:
        ValueError: ``text`` has fewer than three words or there is no other answer.
    """
    words = text.split()
    if len(words) < 3 or not others:
        raise ValueError(
            f"cannot break {key}: needs three words and another answer, has {len(words)} and {len(others)}"
        )
    rng = random.Random(keyed_seed(seed, "corrupt", key))
    kind = rng.choice(sorted(KINDS))
    return kind, " ".join(KINDS[kind](words, rng.choice(others).split(), rng))
