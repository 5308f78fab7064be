"""The paired permutation test: under the null a prompt's difference is as likely to have the other sign.

The two-sided p is the share of sign patterns whose sum of differences is at least as far from zero as the observed one:
all 2**n patterns for up to ``EXACT`` prompts, else m random ones and p = (b + 1) / (m + 1), which is never zero and
valid at any m (Phipson and Smyth 2010).
"""

import numpy as np

from tropism.config.stats import StatsConfig
from tropism.stats.bootstrap import CELLS, generator
from tropism.stats.instruments import Floats, Mask

EXACT = 16
TIE = 1e-9
"""Sums closer than this share of the sum of absolute differences are tied but for rounding."""


def sign_patterns(n: int) -> Floats:
    """All 2**n rows of n signs."""
    return np.where((np.arange(2**n)[:, None] >> np.arange(n)) & 1, -1.0, 1.0)


def random_signs(n: int, draws: int, random: np.random.Generator) -> Floats:
    """(draws, n) fair signs."""
    return np.where(random.integers(0, 2, size=(draws, n), dtype=np.int8), -1.0, 1.0)


def count_extreme(differences: Floats, signs: Floats) -> Floats:
    """How many sign patterns give a sum as extreme as the observed one: (series,).

    Args:
        differences: (prompts, series).
        signs: (patterns, prompts).
    """
    observed = np.abs(differences.sum(0)) - TIE * np.abs(differences).sum(0)
    return (np.abs(signs @ differences) >= observed).sum(0)


def p_values(differences: Floats, paired: Mask, prompts: object, config: StatsConfig) -> Floats:
    """Two-sided p of each series: (series,); NaN where no prompt is paired.

    Args:
        differences: (prompts, series), treatment - control.
        paired: (prompts, series), whether the prompt is in both; the difference is not read where it is not.
        prompts: what the prompts are; keys the random signs.
        config: permutations and seed.
    """
    differences = np.where(paired, differences, 0.0)
    n_paired = paired.sum(0)
    p = np.full(differences.shape[1], np.nan)
    for n in np.unique(n_paired[(n_paired > 0) & (n_paired <= EXACT)]):
        some = np.flatnonzero(n_paired == n)
        packed = np.stack([differences[paired[:, s], s] for s in some], axis=1)
        patterns = sign_patterns(int(n))
        for start in range(0, len(some), max(1, CELLS // len(patterns))):
            part = slice(start, start + max(1, CELLS // len(patterns)))
            p[some[part]] = count_extreme(packed[:, part], patterns) / len(patterns)
    many = np.flatnonzero(n_paired > EXACT)
    if len(many):
        random, extreme = generator(config.seed, "permutation", prompts), np.zeros(len(many))
        rows = max(1, CELLS // len(differences))
        for start in range(0, config.permutations, rows):
            signs = random_signs(len(differences), min(rows, config.permutations - start), random)
            width = max(1, CELLS // len(signs))
            for left in range(0, len(many), width):
                extreme[left : left + width] += count_extreme(differences[:, many[left : left + width]], signs)
        p[many] = (extreme + 1) / (config.permutations + 1)
    return p
