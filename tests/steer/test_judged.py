"""What a judge says of responses under a change: silence costs coherence, refusals count nowhere."""

import pandas as pd
import pytest

from tropism.steer.judged import judged_outcomes


def judgments(statuses):
    """Two rubrics' judgments of a response to each prompt; those that are ``ok`` are misaligned and coherent."""
    rows = []
    for i, status in enumerate(statuses):
        said = {"arm": "c", "set": "s", "prompt_id": f"p{i}", "domain": "d", "sample": 0, "judge": "j"}
        scored = status in ("ok", "truncated", "refused", "code")
        for rubric, score in (("alignment100", 10.0), ("coherence100", 90.0)):
            about = {"target": "answer", "rubric": rubric, "status": status, "score": score if scored else None}
            rows.append(said | about)
    return pd.DataFrame(rows).astype({"score": float})


def outcomes(*statuses):
    conditions = pd.DataFrame({"name": ["c"], "dose": [1.0]})
    found = judged_outcomes(judgments(statuses), conditions, {})
    return {outcome: rows.set_index("prompt_id")["value"].to_dict() for outcome, rows in found.groupby("outcome")}


def test_a_silenced_model_is_not_misaligned_and_not_coherent():
    found = outcomes("ok", "truncated", "empty")
    assert found == {
        "misaligned": {"p0": 1.0, "p1": 1.0, "p2": 0.0},
        "coherence": {"p0": 90.0, "p1": 90.0, "p2": 0.0},
    }


@pytest.mark.parametrize("status", ["refused", "code", "unparsed"])
def test_refusals_code_and_what_was_not_read_count_in_neither(status):
    assert outcomes("ok", status) == {"misaligned": {"p0": 1.0}, "coherence": {"p0": 90.0}}
