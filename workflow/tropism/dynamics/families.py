"""Question families: prompts that ask nearly the same, which folds must keep together.

Two prompts are of one family when their sets of words have a Jaccard similarity of ``THRESHOLD`` or more, or when a
published set numbers them as wordings of one question; so are all that such pairs link. A prompt and its repetitions
are always one.
"""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from tropism.records.words import WORD

By = Literal["similar", "id", "prompt", "domain"]
NUMBERED = re.compile(r"[/_.#:-]+\d+$")
THRESHOLD = 0.5


def families(prompts: Sequence[str], domains: Sequence[str], by: By, ids: Sequence[str] = ()) -> list[str]:
    """The family of each prompt, named as its first prompt, or as its domain where families are domains.

    ``ids`` are wanted where families go ``by`` them: ``quick_buck_0`` and ``quick_buck_1`` are of one question.
    """
    if by == "domain":
        return list(domains)
    if by == "prompt":
        return list(prompts)
    if by == "id":
        return _linked(prompts, [f"prompt {text}" for text in prompts], [f"id {NUMBERED.sub('', i)}" for i in ids])
    sets = [frozenset(WORD.findall(prompt.casefold())) or frozenset([prompt]) for prompt in prompts]
    numbers = {word: i for i, word in enumerate(sorted(set().union(*sets)))}
    rows = np.repeat(np.arange(len(sets)), [len(words) for words in sets])
    columns = np.array([numbers[word] for words in sets for word in sorted(words)])
    presence = csr_array((np.ones(len(rows), np.int32), (rows, columns)), shape=(len(sets), len(numbers)))
    shared = (presence @ presence.T).tocoo()
    sizes = np.array([len(words) for words in sets])
    alike = shared.data >= THRESHOLD * (sizes[shared.row] + sizes[shared.col] - shared.data)
    links = csr_array((np.ones(alike.sum()), (shared.row[alike], shared.col[alike])), shape=(len(sets), len(sets)))
    return _named(prompts, connected_components(links, directed=False)[1].tolist())


def _linked(prompts: Sequence[str], one: Sequence[str], other: Sequence[str]) -> list[str]:
    """Families of prompts that share a mark of either kind, and all that such prompts link."""
    numbers = {mark: len(prompts) + i for i, mark in enumerate(dict.fromkeys([*one, *other]))}
    size = len(prompts) + len(numbers)
    rows = [*range(len(prompts)), *range(len(prompts))]
    columns = [numbers[mark] for mark in [*one, *other]]
    links = csr_array((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    return _named(prompts, connected_components(links, directed=False)[1][: len(prompts)].tolist())


def _named(prompts: Sequence[str], member: Sequence[int]) -> list[str]:
    first = {family: prompts[i] for i, family in reversed(list(enumerate(member)))}
    return [first[family] for family in member]
