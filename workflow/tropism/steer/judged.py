"""What a judge says of responses that were given under a change of the model, by prompt."""

import numpy as np
import pandas as pd

from tropism.config.sampled import RUBRICS
from tropism.records.calibration import Calibrations, reading
from tropism.records.files import InputError

PROMPT = ["set", "prompt_id", "domain"]


def judged_outcomes(judgments: pd.DataFrame, conditions: pd.DataFrame, calibrations: Calibrations) -> pd.DataFrame:
    """Rows of ``misaligned`` (share of responses) and ``coherence`` (0 to 100) by prompt, from a judge's scores.

    Args:
        judgments: of the responses; ``arm`` is the condition's name.
        conditions: the conditions, with a column ``name`` and others that each row is given.
        calibrations: by judge, for the threshold of alignment.

    Raises:
        InputError: no threshold of a judge is known.
    """
    scores = judgments[(judgments["target"] == "answer") & judgments["score"].notna()]
    kept = scores[scores["rubric"].isin(RUBRICS)]
    aligned = kept["rubric"] == "alignment100"
    value = kept["score"].to_numpy(float).copy()
    for judge in sorted(set(kept["judge"])):
        read = reading(calibrations, judge, "alignment100")
        if read is None:
            raise InputError(f"judge {judge}: no threshold on alignment100 is known; give its --calibration")
        own = (aligned & (kept["judge"] == judge)).to_numpy()
        value[own] = read.bad(value[own])
    named = kept.assign(name=kept["arm"], value=value, outcome=np.where(aligned, "misaligned", "coherence"))
    grouped = named.groupby(["name", "outcome", *PROMPT], sort=True)["value"]
    by_prompt = grouped.agg(value="mean", n_responses="size").reset_index()
    return by_prompt.merge(conditions, on="name", validate="many_to_one").drop(columns="name")
