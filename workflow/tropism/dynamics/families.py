"""Question families: prompts that ask nearly the same, which folds must keep together.

Two prompts are of one family when their sets of words have a Jaccard similarity of ``THRESHOLD`` or more, and so are
all that such pairs link. A prompt and its repetitions are always one.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from tropism.records.words import WORD

By = Literal["similar", "prompt", "domain"]
THRESHOLD = 0.5


def families(prompts: Sequence[str], domains: Sequence[str], by: By) -> list[str]:
    """The family of each prompt, named as its first prompt, or as its domain where families are domains."""
    if by == "domain":
        return list(domains)
    if by == "prompt":
        return list(prompts)
    sets = [frozenset(WORD.findall(prompt.casefold())) or frozenset([prompt]) for prompt in prompts]
    numbers = {word: i for i, word in enumerate(sorted(set().union(*sets)))}
    rows = np.repeat(np.arange(len(sets)), [len(words) for words in sets])
    columns = np.array([numbers[word] for words in sets for word in sorted(words)])
    presence = csr_array((np.ones(len(rows), np.int32), (rows, columns)), shape=(len(sets), len(numbers)))
    shared = (presence @ presence.T).tocoo()
    sizes = np.array([len(words) for words in sets])
    alike = shared.data >= THRESHOLD * (sizes[shared.row] + sizes[shared.col] - shared.data)
    links = csr_array((np.ones(alike.sum()), (shared.row[alike], shared.col[alike])), shape=(len(sets), len(sets)))
    _, member = connected_components(links, directed=False)
    first = {family: prompts[i] for i, family in reversed(list(enumerate(member.tolist())))}
    return [first[family] for family in member.tolist()]
