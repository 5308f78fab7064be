"""The paired permutation test: under the null a prompt's difference is as likely to have the other sign.

The two-sided p is the share of sign patterns whose sum of differences is at least as far from zero as the observed one:
all 2**n patterns for up to ``EXACT`` prompts, else m random ones and p = (b + 1) / (m + 1), which is never zero and
valid at any m (Phipson and Smyth 2010).

Where one of many series is looked for, p is of the largest |t| among them (Westfall and Young 1993, single-step maxT):
signs are flipped by prompt in all series at once, so how the series hang together is kept, and no series is chosen by
looking.
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


def largest_p_values(differences: Floats, prompts: object, config: StatsConfig) -> Floats:
    """p of each series adjusted for all of them, two-sided: (series,); NaN where there is no prompt.

    The share of sign patterns in which any series has as large a |t| as this one has. Flips keep a series' sum of
    squares, and given that |t| rises with |sum| / sqrt(sum of squares), which is compared in its place: unlike t it is
    finite where all prompts agree. A series without a difference has p = 1.

    Args:
        differences: (prompts, series), every prompt in every series.
        prompts: what the prompts are; keys the random signs.
        config: permutations and seed.
    """
    n, series = differences.shape
    if not n or not series:
        return np.full(series, np.nan)
    size = np.sqrt((differences**2).sum(0))
    scaled = np.divide(differences, size, out=np.zeros_like(differences), where=size > 0)
    observed = np.abs(scaled.sum(0)) - TIE * np.abs(scaled).sum(0)
    draws, extreme = 2**n if n <= EXACT else config.permutations, np.zeros(series)
    patterns, random = sign_patterns(min(n, EXACT)), generator(config.seed, "largest", prompts)
    rows = max(1, CELLS // max(n, series))
    for start in range(0, draws, rows):
        some = min(rows, draws - start)
        signs = patterns[start : start + some] if n <= EXACT else random_signs(n, some, random)
        largest = np.sort(np.abs(signs @ scaled).max(1))
        extreme += some - np.searchsorted(largest, observed, side="left")
    p: Floats = extreme / draws if n <= EXACT else (extreme + 1) / (draws + 1)
    return p
