"""Arms set beside one another, prompt by prompt: what contrasts and trends are computed from.

A name in a contrast is an arm, or a group of arms that are one training repeated with other seeds. A group's value at a
prompt is the mean of its trainings', each of which is the mean of its responses.
"""

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from tropism.config.stats import StatsConfig
from tropism.records.files import InputError
from tropism.stats.blocks import Block, Prompts
from tropism.stats.instruments import Floats, Mask, Statistic, headline, scale

Key = tuple[str, str, str, str]
"""(domain, judge, instrument, target)."""
Groups = Mapping[str, Sequence[str]]
"""The arms of each group; an arm alone is not in it."""


@dataclass(frozen=True)
class Term:
    """What one arm or group adds to a comparison: its weight, and its trainings' means by prompt (trainings, prompts).

    A mean is NaN where nothing is counted.
    """

    name: str
    weight: float
    means: Floats

    @property
    def by_prompt(self) -> Floats:
        """The mean over the trainings that count a response to the prompt: (prompts,); NaN where none does."""
        counted = ~np.isnan(self.means)
        with np.errstate(invalid="ignore"):
            return np.where(counted, self.means, 0.0).sum(0) / counted.sum(0)

    def weighing(self, weight: float, where: Mask | None = None) -> "Term":
        """The same with another weight, and without the means at prompts that are not in ``where``."""
        means = self.means if where is None else np.where(where, self.means, np.nan)
        return Term(self.name, weight, means)


@dataclass(frozen=True)
class Comparison:
    """A weighted sum of arms over the prompts that all of them were asked, for one key and statistic."""

    key: Key
    statistic: Statistic
    prompts: Prompts
    terms: tuple[Term, ...]

    def side(self, sign: int) -> Floats:
        """The weighted sum of the terms of that sign, by prompt: (prompts,)."""
        own = [abs(term.weight) * term.by_prompt for term in self.terms if term.weight * sign > 0]
        return np.sum(own, axis=0) if own else np.zeros(len(self.prompts))

    @property
    def paired(self) -> Mask:
        """The prompts that are in every denominator."""
        return ~np.isnan(np.sum([term.by_prompt for term in self.terms], axis=0))

    @property
    def differences(self) -> Floats:
        """The weighted sum by prompt, 0 where the prompt is not paired."""
        return np.where(self.paired, self.side(1) - self.side(-1), 0.0)

    @property
    def scale(self) -> tuple[float, float]:
        """The lowest and the highest weighted sum that a prompt can have."""
        lowest, highest = scale(self.key[2], self.statistic[0])
        ends = [sorted((term.weight * lowest, term.weight * highest)) for term in self.terms if term.weight]
        return sum(low for low, _ in ends), sum(high for _, high in ends)

    def at(self, where: Mask) -> "Comparison":
        """The same at some of its prompts only: (prompts,) true where it is kept."""
        terms = tuple(term.weighing(term.weight, where) for term in self.terms)
        return Comparison(self.key, self.statistic, self.prompts, terms)

    @property
    def n_seeds(self) -> int:
        """The trainings of the term that has fewest of them."""
        return min(len(term.means) for term in self.terms)

    @classmethod
    def of(
        cls, key: Key, statistic: Statistic, weights: Mapping[str, float], blocks: Mapping[str, Sequence[Block]]
    ) -> Self:
        """The comparison of ``weights``, given each name's blocks, one a training; no prompts where a name has none."""
        every = [block for name in weights for block in blocks[name]]
        asked = {block.prompts for block in every}
        complete = all(blocks[name] for name in weights)
        prompts: Prompts = ()
        if complete:
            prompts = every[0].prompts if len(asked) == 1 else tuple(sorted(set.intersection(*map(set, asked))))
        terms = [
            Term(name, weight, np.array([_means(block, statistic, prompts) for block in blocks[name] or every[:1]]))
            for name, weight in weights.items()
        ]
        return cls(key, statistic, prompts, tuple(terms))


def _means(block: Block, statistic: Statistic, prompts: Prompts) -> Floats:
    if not prompts:
        return np.empty(0)
    sums = block.over(prompts, statistic)
    with np.errstate(invalid="ignore"):
        return sums.numerator / sums.count


class Arms:
    """The blocks of an experiment, found by the name of an arm or of a group."""

    def __init__(self, blocks: Iterable[Block], groups: Groups | None = None) -> None:
        self._groups = groups or {}
        self._blocks: dict[str, dict[Key, Block]] = defaultdict(dict)
        for block in blocks:
            self._blocks[block.arm][block.domain, block.judge, block.instrument, block.target] = block

    def comparisons(self, weights: Mapping[str, float], config: StatsConfig, where: str) -> list[Comparison]:
        """One comparison a key and statistic, at the headline denominator; sorted by key.

        Raises:
            InputError: naming ``where`` and the arm that has no data.
        """
        found = []
        for key, of_each in self.shared(list(weights), where):
            blocks = dict(zip(weights, of_each, strict=True))
            shared = set.intersection(*(set(block.sums) for some in of_each for block in some))
            for name in sorted({name for name, _ in shared}):
                statistic = name, headline(name, shared, config)
                found.append(Comparison.of(key, statistic, weights, blocks))
        return found

    def shared(self, names: Sequence[str], where: str) -> Iterator[tuple[Key, list[list[Block]]]]:
        """Each key that any of ``names`` has data for, sorted, with the blocks of each name, one a training.

        Raises:
            InputError: naming ``where`` and the arm that has no data.
        """
        members = [self._members(name, where) for name in names]
        for key in sorted({key for some in members for arm in some for key in self._blocks[arm]}):
            yield key, [[self._blocks[arm][key] for arm in some if key in self._blocks[arm]] for some in members]

    def _members(self, name: str, where: str) -> Sequence[str]:
        members = self._groups.get(name, [name])
        for arm in members:
            if arm not in self._blocks:
                near = difflib.get_close_matches(arm, self._blocks, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"arms with data: {', '.join(sorted(self._blocks))}"
                raise InputError(f"{where}: arm {arm!r} has no judgments or likelihoods; {hint}")
        return members
