"""The table ``contrasts``: planned comparisons of arms, paired by prompt.

A prompt's difference is the mean of the treatment's responses to it minus the mean of the control's; a contrast is the
mean difference over the prompts that both have in the headline denominator. So each prompt weighs the same, and the
values here differ from those of the table ``misalignment``, where each response does, if prompts have unequal numbers.
Weighted sums of several arms (differences of changes, slopes) are treated alike: they, too, are one number a prompt.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests
from tqdm import tqdm

from tropism.config.stats import Contrast, StatsConfig
from tropism.records.files import InputError
from tropism.stats.alike import with_exact_ends
from tropism.stats.blocks import POOLED, Block, Prompts
from tropism.stats.bootstrap import intervals
from tropism.stats.crossed import crossed
from tropism.stats.instruments import unit
from tropism.stats.pairs import Arms, Comparison, Groups
from tropism.stats.permutation import p_values
from tropism.stats.power import minimum_detectable_effect
from tropism.stats.seeds import resampled
from tropism.stats.tables import CONTRASTS_SCHEMA

ORDER = ["contrast", "domain", "judge", "instrument", "statistic", "target"]
Planned = tuple[Contrast, Comparison]


def contrasts_table(
    blocks: Sequence[Block], contrasts: Sequence[Contrast], config: StatsConfig, groups: Groups | None = None
) -> pd.DataFrame:
    """One row per contrast, domain, judge, instrument, statistic and target, as ``CONTRASTS_SCHEMA`` says.

    Contrasts keep the order of ``contrasts``. What one arm lacks altogether is a row with ``n_prompts`` 0 and no
    estimate.

    Raises:
        InputError: a contrast names an arm that has no data; two contrasts have one name.
    """
    names = [contrast.name for contrast in contrasts]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"two contrasts are called {twice[0]!r}; give each its own name")
    arms = Arms(blocks, groups)
    together: dict[Prompts, list[Planned]] = defaultdict(list)
    for contrast in contrasts:
        for comparison in arms.comparisons(contrast.terms, config, f"contrast {contrast.name!r}"):
            together[comparison.prompts].append((contrast, comparison))
    tables = [_rows(some, config) for some in tqdm(together.values(), desc="contrasts", unit="prompt set")]
    if not tables:
        return pd.DataFrame(columns=list(CONTRASTS_SCHEMA.columns))
    table = add_holm(pd.concat(tables, ignore_index=True))
    standing = {(block.judge, block.instrument): block.calibration for block in blocks}
    table["calibration"] = [standing[key] for key in zip(table["judge"], table["instrument"], strict=True)]
    ordered = table.assign(contrast=pd.Categorical(table["contrast"], names)).sort_values(ORDER, ignore_index=True)
    return ordered.astype({"contrast": "str"})


def add_holm(table: pd.DataFrame) -> pd.DataFrame:
    """``table`` with ``p_holm``: Holm's correction of the defined p within (family, instrument).

    Where an instrument has one domain, its row and the pooled row are one test: it counts once and both rows get its p.
    """
    key = ["contrast", "judge", "instrument", "statistic", "target"]
    domains = table.groupby(key)["domain"].transform("nunique")
    again = (domains == 2) & (table["domain"] != POOLED)
    corrected = pd.Series(np.nan, index=table.index)
    for _, rows in table[table["p"].notna() & ~again].groupby(["family", "instrument"]):
        corrected[rows.index] = multipletests(rows["p"], method="holm")[1]
    pooled = table.assign(p_holm=corrected)[table["domain"] == POOLED].set_index(key)["p_holm"]
    for index, row in table[again].iterrows():
        corrected[index] = pooled.get(tuple(row[key]), np.nan)
    return table.assign(p_holm=corrected)


def _rows(planned: Sequence[Planned], config: StatsConfig) -> pd.DataFrame:
    """The rows of comparisons over the same prompts, which share their draws and sign flips."""
    differences = np.stack([comparison.differences for _, comparison in planned], axis=1)
    paired = np.stack([comparison.paired for _, comparison in planned], axis=1)
    prompts = planned[0][1].prompts
    ends = intervals(differences, paired.astype(float), prompts, config)
    scales = np.array([comparison.scale for _, comparison in planned])
    low, high = with_exact_ends(differences, paired.astype(float), ends, scales, config.confidence)
    p = p_values(differences, paired, prompts, config)
    rows = []
    for place, (contrast, comparison) in enumerate(planned):
        here = paired[:, place]
        n = int(here.sum())
        treatment, control = (float(comparison.side(sign)[here].mean()) if n else np.nan for sign in (1, -1))
        alpha = 1 - config.confidence
        detectable = minimum_detectable_effect(differences[here, place], alpha)
        found = crossed(comparison, alpha) if resampled(comparison.terms) else None
        if found is not None:
            low[place], high[place], p[place], detectable = found
        domain, judge, instrument, target = comparison.key
        name, denominator = comparison.statistic
        own = unit(instrument, name)
        rows.append(
            {
                "contrast": contrast.name,
                "family": contrast.family,
                "treatment": contrast.side(1),
                "control": contrast.side(-1),
                "domain": domain,
                "judge": judge,
                "instrument": instrument,
                "statistic": name,
                "target": target,
                "denominator": denominator,
                "n_prompts": n,
                "n_seeds": comparison.n_seeds,
                "treatment_value": treatment,
                "control_value": control,
                "difference": treatment - control,
                "minimum_detectable_effect": detectable,
                "unit": f"{own} per {contrast.per}" if contrast.per else own,
            }
        )
    return pd.DataFrame(rows).assign(low=low, high=high, p=p)
