"""The table ``misalignment``: each arm's rates and means, with their counts, denominators and intervals."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from tqdm import tqdm

from tropism.config.stats import StatsConfig
from tropism.stats.alike import SAME, with_exact_ends
from tropism.stats.blocks import Block, Prompts, Sums, group_block
from tropism.stats.bootstrap import CELLS, chunks, generator, intervals, resampled_counts, resampled_values
from tropism.stats.correction import corrected, known_error
from tropism.stats.instruments import Floats, Statistic, headline, scale, unit
from tropism.stats.pairs import Groups
from tropism.stats.seeds import FEWEST, drawn_ratios, percentiles

ORDER = ["arm", "domain", "judge", "instrument", "statistic", "target", "denominator"]

Series = tuple[Block, Statistic, Sums]


def rates_table(blocks: Sequence[Block], config: StatsConfig, groups: Groups | None = None) -> pd.DataFrame:
    """One row per block or group of blocks, statistic and denominator, as ``MISALIGNMENT_SCHEMA`` says; sorted."""
    together: dict[Prompts, list[Block]] = defaultdict(list)
    for block in [*blocks, *_group_blocks(blocks, groups or {})]:
        together[block.prompts].append(block)
    tables = [_rows(some, config) for some in tqdm(together.values(), desc="rates", unit="prompt set")]
    table = pd.concat(tables, ignore_index=True).astype({"incoherent": "Int64"})
    return table.sort_values(ORDER, ignore_index=True)


def _group_blocks(blocks: Sequence[Block], groups: Groups) -> Iterator[Block]:
    for name, arms in groups.items():
        members: dict[tuple[str, ...], list[Block]] = defaultdict(list)
        for block in blocks:
            if block.arm in arms:
                members[block.domain, block.judge, block.instrument, block.target].append(block)
        yield from (group_block(name, some) for some in members.values())


def _rows(blocks: Sequence[Block], config: StatsConfig) -> pd.DataFrame:
    """The rows of blocks that have the same prompts, and so share their draws."""
    series = [(block, statistic, sums) for block in blocks for statistic, sums in block.sums.items()]
    numerator = np.stack([sums.numerator for _, _, sums in series], axis=1)
    count = np.stack([sums.count for _, _, sums in series], axis=1)
    ends = intervals(numerator, count, blocks[0].prompts, config)
    scales = np.array([scale(block.instrument, name) for block, (name, _), _ in series])
    low, high = with_exact_ends(numerator, count, ends, scales, config.confidence)
    rows = [
        {
            "arm": block.arm,
            "domain": block.domain,
            "judge": block.judge,
            "instrument": block.instrument,
            "statistic": name,
            "target": block.target,
            "denominator": denominator,
            "headline": block.calibration != "at chance" and denominator == headline(name, set(block.sums), config),
            "calibration": block.calibration,
            "n_seeds": max(1, len(block.trainings)),
            "n_prompts": np.count_nonzero(sums.count),
            "n_denominator": int(sums.count.sum()),
            **block.counts,
            "value": sums.value,
            "unit": unit(block.instrument, name),
        }
        for block, (name, denominator), sums in series
    ]
    corrections = np.full((len(series), 3), np.nan)
    for place, drawn in _drawn(series, numerator, count, config):
        block, (name, denominator), sums = series[place]
        defined = drawn[~np.isnan(drawn)]
        # draws that are all alike have no tails: the ends stay exact
        if len(block.trainings) >= FEWEST and len(defined) and np.ptp(defined) > SAME * np.abs(defined).max():
            low[place], high[place] = percentiles(drawn, config)
        if name == "rate" and block.reading is not None and known_error(block.reading, block.target, denominator):
            n = int(np.count_nonzero(sums.count))
            corrections[place] = corrected(sums.value, drawn, block.reading, block.judge, config, n)
    columns = dict(zip(("corrected", "corrected_low", "corrected_high"), corrections.T, strict=True))
    return pd.DataFrame(rows).assign(low=low, high=high, **columns)


def _drawn(
    series: Sequence[Series], numerator: Floats, count: Floats, config: StatsConfig
) -> Iterator[tuple[int, Floats]]:
    """Bootstrap draws of the series that need them one by one: rates to be corrected, and groups of trainings.

    Gives the place of a series and its draws, none for fewer than two prompts.
    """
    crossed, plain = [], []
    for place, (block, (name, denominator), sums) in enumerate(series):
        if np.count_nonzero(sums.count) < 2:
            yield place, np.empty(0)
        elif len(block.trainings) >= FEWEST:
            crossed.append(place)
        elif name == "rate" and known_error(block.reading, block.target, denominator):
            plain.append(place)
    prompts = series[0][0].prompts
    for place in crossed:
        block, statistic, _ = series[place]
        parts = [one.over(prompts, statistic) for one in block.trainings if statistic in one.sums]
        numerators, counts_of = (np.stack([getattr(part, kind) for part in parts]) for kind in ("numerator", "count"))
        yield place, drawn_ratios(numerators, counts_of, block.arm, prompts, config)
    if plain:
        counts = resampled_counts(len(prompts), config.draws, generator(config.seed, "bootstrap", prompts))
    for some in chunks(plain, max(1, CELLS // config.draws)):
        yield from zip(some, resampled_values(numerator[:, some], count[:, some], counts), strict=True)
