"""The table ``trends``: arms along a quantity, at the prompts that all of them answered.

The points of a trend share their prompts, and their draws, so that the curve is one of the quantity and not of which
prompts an arm happens to have answered coherently. Its slope is a row of the table ``contrasts``.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tropism.config.stats import StatsConfig, TrendConfig
from tropism.stats.alike import with_exact_ends
from tropism.stats.blocks import Block
from tropism.stats.bootstrap import intervals
from tropism.stats.crossed import crossed
from tropism.stats.instruments import unit
from tropism.stats.pairs import Arms, Comparison, Groups
from tropism.stats.seeds import resampled
from tropism.stats.tables import TRENDS_SCHEMA


def trends_table(
    blocks: Sequence[Block], trends: Sequence[TrendConfig], config: StatsConfig, groups: Groups | None = None
) -> pd.DataFrame:
    """One row per trend, point, domain, judge, instrument, statistic and target, as ``TRENDS_SCHEMA`` says.

    Trends and points keep their order. A point's value is the mean over prompts of its arm's mean by prompt, less its
    control's.

    Raises:
        InputError: a trend names an arm that has no data.
    """
    arms = Arms(blocks, groups)
    rows = [row for trend in trends for row in _rows(trend, arms, config)]
    return pd.DataFrame(rows, columns=list(TRENDS_SCHEMA.columns))


def _rows(trend: TrendConfig, arms: Arms, config: StatsConfig) -> list[dict[str, object]]:
    names = {name: 1.0 for point in trend.points for name in (point.arm, point.control) if name is not None}
    found = []
    for whole in arms.comparisons(names, config, f"trend {trend.name!r}"):
        terms = {term.name: term for term in whole.terms}
        points = []
        for point in trend.points:
            weights = {point.arm: 1.0} | ({point.control: -1.0} if point.control else {})
            own = tuple(terms[name].weighing(weight) for name, weight in weights.items())
            points.append(Comparison(whole.key, whole.statistic, whole.prompts, own))
        paired = whole.paired
        values = np.where(paired[:, None], np.stack([point.differences for point in points], axis=1), 0.0)
        counted = np.repeat(paired[:, None], len(points), axis=1).astype(float)
        scales = np.array([comparison.scale for comparison in points])
        ends = intervals(values, counted, whole.prompts, config)
        low, high = with_exact_ends(values, counted, ends, scales, config.confidence)
        n = int(paired.sum())
        for place, (point, comparison) in enumerate(zip(trend.points, points, strict=True)):
            varied = crossed(comparison.at(paired), 1 - config.confidence) if resampled(comparison.terms) else None
            if varied is not None:
                low[place], high[place] = varied.low, varied.high
            domain, judge, instrument, target = whole.key
            name, denominator = whole.statistic
            found.append(
                {
                    "trend": trend.name,
                    "quantity": trend.x,
                    "x": point.x,
                    "arm": point.arm,
                    "control": point.control,
                    "domain": domain,
                    "judge": judge,
                    "instrument": instrument,
                    "statistic": name,
                    "target": target,
                    "denominator": denominator,
                    "n_prompts": n,
                    "n_seeds": comparison.n_seeds,
                    "value": float(values[:, place].sum() / n) if n else np.nan,
                    "low": low[place],
                    "high": high[place],
                    "unit": unit(instrument, name),
                }
            )
    return found
