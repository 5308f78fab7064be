"""The table ``mixed_effects``: each planned contrast of two arms again, by mixed-effects logistic regression."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import t as student
from statsmodels.stats.multitest import multipletests
from tqdm import tqdm

from tropism.config.stats import Contrast, StatsConfig
from tropism.stats.blocks import Block, Prompts
from tropism.stats.instruments import Statistic, headline
from tropism.stats.mixed import Fit, fit
from tropism.stats.pairs import Arms, Groups
from tropism.stats.tables import MIXED_EFFECTS_SCHEMA

Cell = tuple[float, float, float, int]
"""1 for the treatment and 0 for the control, misaligned responses, responses, which prompt."""


def mixed_effects_table(
    blocks: Sequence[Block], contrasts: Sequence[Contrast], config: StatsConfig, groups: Groups | None = None
) -> pd.DataFrame:
    """One row per contrast of two arms, domain, judge, instrument with a rate, and target; contrasts keep their order.

    Raises:
        InputError: a contrast names an arm that has no data.
    """
    arms = Arms(blocks, groups)
    pairs = [contrast for contrast in contrasts if not contrast.weights]
    rows = []
    for contrast in tqdm(pairs, desc="mixed effects", unit="contrast"):
        for key, (treated, control) in arms.shared((str(contrast.treatment), str(contrast.control)), contrast.name):
            every = [*treated, *control]
            rate = "rate", headline("rate", set.intersection(*(set(block.sums) for block in every)), config)
            if all(rate in block.sums for block in every):
                about = {"contrast": contrast.name, "family": contrast.family}
                about |= {"treatment": contrast.side(1), "control": contrast.side(-1)}
                about |= dict(zip(("domain", "judge", "instrument", "target"), key, strict=True))
                rows.append(about | {"denominator": rate[1]} | _estimates(treated, control, rate, config))
    table = pd.DataFrame(rows, columns=list(MIXED_EFFECTS_SCHEMA.columns))
    tested = table["p"].notna()
    if tested.any():
        table.loc[tested, "p_bh"] = multipletests(table.loc[tested, "p"].astype(float), method="fdr_bh")[1]
    return table


def _estimates(
    treated: Sequence[Block], control: Sequence[Block], rate: Statistic, config: StatsConfig
) -> dict[str, object]:
    prompts: Prompts = tuple(sorted(set().union(*(block.prompts for block in (*treated, *control)))))
    cells: list[Cell] = []
    for level, blocks in ((1.0, treated), (0.0, control)):
        sums = [block.over(prompts, rate) for block in blocks]
        events, trials = (np.sum([getattr(one, kind) for one in sums], axis=0) for kind in ("numerator", "count"))
        cells += [(level, float(events[i]), float(trials[i]), int(i)) for i in np.flatnonzero(trials)]
    found = _fit(cells)
    effect, error = (float(values[1]) for values in (found.effects, found.errors))
    reach = float(student.ppf((1 + config.confidence) / 2, found.freedom)) * error if found.converged else float("nan")
    return {
        "n_prompts": len({cell[3] for cell in cells}),
        "n_responses": int(sum(cell[2] for cell in cells)),
        "odds_ratio": np.exp(effect),
        "low": np.exp(effect - reach),
        "high": np.exp(effect + reach),
        "p": float(found.p[1]),
        "p_bh": float("nan"),
        "prompt_sd": found.prompt_sd,
        "converged": found.converged,
    }


def _fit(cells: Sequence[Cell]) -> Fit:
    treated, events, trials, prompt = map(np.array, zip(*cells, strict=True)) if cells else [np.empty(0)] * 4
    if len(np.unique(treated)) < 2:
        return Fit.empty(2)
    design = np.column_stack([np.ones(len(treated)), treated])
    return fit(design, events, trials, np.unique(prompt, return_inverse=True)[1])
