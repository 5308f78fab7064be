"""Does a narrow solution drift back? Likelihood margins of the arms, before and after training without the KL term.

After the stability of narrow misalignment (2026): train on from the narrow solution with the KL term removed, and see
whether the other domains follow.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from tropism.dynamics.solutions import COLUMNS
from tropism.records.files import read_jsonl
from tropism.records.schema import Conversation

log = logging.getLogger(__name__)


def drift_rows(likelihoods: Mapping[str, Path], dataset: Path) -> pd.DataFrame:
    """Margins of each side, and how far training on moves the narrow one: ``solutions.COLUMNS``, a row a prompt.

    ``margin`` is the likelihood margin (nats/token) of the sides ``general`` and ``narrow``. ``drift``, where there is
    ``drifted``, is the change of the margin from the narrow solution's: on the side ``narrow`` that of training on
    without the KL term, margin(drifted) - margin(narrow); on the side ``general`` the whole way,
    margin(general) - margin(narrow), so that equal sides say that it has drifted back; on the side ``reference``,
    where there is ``held``, that of as much more training with the KL term, margin(held) - margin(narrow). Each is of
    prompts ``inside`` the domains of ``dataset`` and ``outside``.

    Args:
        likelihoods: scores of ``general``, ``narrow`` and perhaps ``drifted``, and ``held`` beside it.
        dataset: the narrow dataset.

    Without a prompt that has a margin in all of them there is no row.
    """
    domains = {record.domain for record in read_jsonl(dataset, Conversation)}
    scores = {side: _margins(path) for side, path in likelihoods.items()}
    margins = pd.DataFrame(scores).dropna()
    if margins.empty:
        log.warning("%s: no prompt has a margin in each", ", ".join(map(str, likelihoods.values())))
        return pd.DataFrame(columns=COLUMNS)
    found = [
        margins[side].rename("value").reset_index().assign(side=side, of="margin") for side in ("general", "narrow")
    ]
    for side, moved in (("general", "general"), ("narrow", "drifted"), ("reference", "held")):
        if "drifted" in margins and moved in margins:
            change = (margins[moved] - margins["narrow"]).rename("value").reset_index()
            found.append(change.assign(side=side, of="drift"))
    table = pd.concat(found, ignore_index=True)
    inside = table["domain"].isin(domains).map({True: "inside", False: "outside"})
    table = table.assign(metric=table["of"] + "_" + inside, example=table["set"] + "/" + table["prompt_id"])
    return table.assign(level=1.0, norm=float("nan"), draw=0)[COLUMNS]


def _margins(path: Path) -> pd.Series:
    rows = pd.read_parquet(path)
    rows = rows[rows["instrument"] == "margin"]
    return rows.set_index(["set", "prompt_id", "domain"])["value"]
