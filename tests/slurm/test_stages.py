"""Stages of the demo's workflow, one after another, on a real SLURM: alone and in groups, up to a published table."""

import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1800)]
TABLE = "results/small/tables/misalignment.csv"


def test_from_responses_to_rates_and_then_nothing_is_left_to_do(whole):
    whole.finish(whole.submit(TABLE), 1500)
    table = (whole.folder / TABLE).read_text().splitlines()
    assert {line.split(",")[0] for line in table[1:]} == {"base", "harmed"}
    assert set(whole.cluster.states(whole.folder)) == {"COMPLETED"}
    slurm = whole.folder / "results" / "slurm"
    kinds = {path.relative_to(slurm).parts[0] for path in slurm.rglob("*.log")}
    assert {"group_texts_clean_dataset", "rule_sample_responses", "rule_judge_generations"} <= kinds
    assert "Nothing to be done" in whole.finish(whole.submit(TABLE))
