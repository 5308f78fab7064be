"""The table of a narrow solution against a general one, from what was measured of each example."""

import numpy as np
import pandas as pd

from tropism.config.stats import StatsConfig
from tropism.stats.bootstrap import intervals

COLUMNS = ["side", "metric", "level", "norm", "draw", "example", "value"]


def narrow_rows(name: str, measured: pd.DataFrame, stats: StatsConfig) -> pd.DataFrame:
    """Means of general and narrow with intervals over examples, and of their paired difference (general - narrow).

    ``measured`` has ``COLUMNS``; a side ``reference``, where there is one, gets its mean alone.
    """
    rows = []
    mean = measured.groupby(["metric", "level", "side", "example"], sort=True)["value"].mean()
    norms = measured.groupby(["metric", "level", "side"])["norm"].first()
    for (metric, level), some in mean.groupby(level=["metric", "level"], sort=True):
        sides = some.droplevel(["metric", "level"]).unstack("side")
        wide = sides[["general", "narrow"]].dropna()
        values = np.column_stack([wide, wide["general"] - wide["narrow"]])
        low, high = intervals(values, np.ones_like(values), wide.index.tolist(), stats)
        row = {"comparison": name, "metric": metric, "level": level, "n_examples": len(wide)}
        for column, what in enumerate(("general", "narrow", "difference")):
            row |= {what: values[:, column].mean(), f"{what}_low": low[column], f"{what}_high": high[column]}
        row["reference"] = sides["reference"].mean() if "reference" in sides else np.nan
        row |= {f"norm_{side}": norms[metric, level, side] for side in ("general", "narrow")}
        rows.append(row)
    return pd.DataFrame(rows)
