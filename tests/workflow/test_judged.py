"""Early warning by a judge in a real run: from what an arm answers at its snapshots to the rate in the table."""

import pandas as pd
import pytest

from tropism.records.files import read_jsonl
from tropism.records.schema import Generation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


def test_answers_at_every_snapshot_are_judged_and_their_rate_stands_in_the_table(finished):
    table = pd.read_csv(finished.results / "tables" / "early_warning.csv", keep_default_na=False)
    [arm] = set(table["arm"])
    answers = read_jsonl(finished.results / "dynamics" / "watched" / f"{arm}.jsonl", Generation)
    scores = pd.read_parquet(finished.results / "dynamics" / "watched" / "judgments" / "probe" / f"{arm}.parquet")
    keys = ["arm", "set", "prompt_id", "sample"]
    judged = scores.loc[scores["target"] == "answer", keys].drop_duplicates()
    assert set(judged.itertuples(index=False, name=None)) == {(g.arm, g.set, g.prompt_id, g.sample) for g in answers}
    rate = table[table["signal"] == "misaligned"]
    assert set(rate["judge"]) == {"probe"}
    assert {0, *rate["step"]} == {int(g.arm) for g in answers}
    assert set(rate["n_prompts"]) == {len({(g.set, g.prompt_id) for g in answers})}
    assert rate["start"].between(0, 1).all()
    assert (rate["start"] + rate["change"]).between(-1e-9, 1 + 1e-9).all()
