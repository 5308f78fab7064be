"""The table of a narrow solution against a general one, from what was measured of each example."""

import logging

import numpy as np
import pandas as pd

from tropism.config.stats import StatsConfig
from tropism.stats.alike import with_exact_ends
from tropism.stats.bootstrap import generator, intervals, resampled_counts
from tropism.stats.instruments import Floats

log = logging.getLogger(__name__)
SCALES = {"misaligned": 1.0, "mentions": 1.0, "coherence": 100.0, "presence": 100.0}
"""The highest value of the metrics of behaviour, from 0 on."""
COLUMNS = ["side", "metric", "level", "norm", "draw", "example", "value"]


def narrow_rows(name: str, measured: pd.DataFrame, stats: StatsConfig) -> pd.DataFrame:
    """Means of general and narrow with intervals over examples, and of their paired difference (general - narrow).

    ``measured`` has ``COLUMNS``; a side ``reference``, where there is one, gets its mean alone. Where noise was drawn
    (``stability_*``) draws are resampled beside examples, the same of both sides; of one draw there is no interval. A
    metric that has no example in common of both sides has no row.
    """
    rows = []
    for (metric, level), some in measured.groupby(["metric", "level"], sort=True):
        sides = some.groupby(["example", "side"])["value"].mean().unstack("side")
        wide = sides.reindex(columns=["general", "narrow"]).dropna()
        if wide.empty:
            log.warning("%s: no example of %s has both sides", name, metric)
            continue
        values = np.column_stack([wide, wide["general"] - wide["narrow"]])
        if str(metric).startswith("stability"):
            low, high = _of_draws(some[some["example"].isin(wide.index)], (name, metric, level), stats)
        else:
            ends = intervals(values, np.ones_like(values), wide.index.tolist(), stats)
            top = SCALES.get(str(metric).partition("_")[0], np.inf)
            lowest = -np.inf if np.isinf(top) else 0.0
            scales = np.array([[lowest, top], [lowest, top], [-top, top]])
            low, high = with_exact_ends(values, np.ones_like(values), ends, scales, stats.confidence)
        row = {"comparison": name, "metric": metric, "level": level, "n_examples": len(wide)}
        for column, what in enumerate(("general", "narrow", "difference")):
            row |= {what: values[:, column].mean(), f"{what}_low": low[column], f"{what}_high": high[column]}
        row["reference"] = sides["reference"].mean() if "reference" in sides else np.nan
        norms = some.groupby("side")["norm"].first()
        row |= {f"norm_{side}": norms[side] for side in ("general", "narrow")}
        rows.append(row)
    return pd.DataFrame(rows)


def _of_draws(some: pd.DataFrame, purpose: object, stats: StatsConfig) -> tuple[Floats, Floats]:
    """Percentile intervals of general, narrow and difference, draws and examples each resampled (Owen 2007, 2.3).

    With so few draws they are too narrow by sqrt(1 - 1 / draws) where the noise decides. NaN for one draw or example.
    """
    wide = some.pivot_table(index="draw", columns=["side", "example"], values="value", sort=True)
    general, narrow = wide["general"].to_numpy(), wide["narrow"].to_numpy()
    values = np.stack([general, narrow, general - narrow])
    _, draws, examples = values.shape
    if min(draws, examples) < 2:
        return np.full(3, np.nan), np.full(3, np.nan)
    random = generator(stats.seed, "stability", purpose)
    of_draw, of_example = (resampled_counts(n, stats.draws, random) / n for n in (draws, examples))
    found = np.einsum("bd,sbd->sb", of_draw, of_example @ values.transpose(0, 2, 1))
    low, high = np.quantile(found, [(1 - stats.confidence) / 2, (1 + stats.confidence) / 2], axis=1)
    return low, high
