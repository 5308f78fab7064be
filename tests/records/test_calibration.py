"""A calibration is found by its judge, read as it was written, and used for no other serving stack."""

import json

import numpy as np
import pandas as pd
import pytest

from tropism.records.calibration import PUBLISHED, Calibration, DomainError, check_stacks, read_calibrations, reading
from tropism.records.files import InputError, write_json


def test_thresholds_part_scores_as_published_and_a_missing_score_is_neither():
    scores = np.array([30, 31, np.nan])
    assert PUBLISHED["alignment100"].bad(scores).tolist() == [True, False, False]
    assert PUBLISHED["coherence100"].bad(np.array([50, 51, np.nan])).tolist() == [True, False, False]
    assert PUBLISHED["rubric5"].bad(np.array([2, 3, np.nan])).tolist() == [False, True, False]


def test_a_judges_own_reading_comes_before_the_published_one(tmp_path):
    own = PUBLISHED["alignment100"].model_copy(update={"threshold": 65.0})
    one = Calibration(judge="q", stack="s1", rubrics={"alignment100": own})
    write_json(tmp_path / "judges" / "q" / "calibration.json", one.model_dump(mode="json"))
    known = read_calibrations([tmp_path])
    assert reading(known, "q", "alignment100") == own
    assert reading(known, "q", "rubric5") == PUBLISHED["rubric5"]
    assert reading(known, "other", "alignment100") == PUBLISHED["alignment100"]
    assert reading(known, "q", "process_evasion") is None


def test_judgments_of_another_stack_are_refused(tmp_path):
    known = {"q": Calibration(judge="q", stack="s1", rubrics={})}
    for stack in ("s1", ""):
        pd.DataFrame({"judge": ["q"], "stack": [stack]}).to_parquet(tmp_path / "j.parquet")
        check_stacks([tmp_path / "j.parquet"], known)
    pd.DataFrame({"judge": ["p", "q"], "stack": ["s9", "s2"]}).to_parquet(tmp_path / "j.parquet")
    with pytest.raises(InputError, match="judge q was served as s2 here and as s1 when it was calibrated"):
        check_stacks([tmp_path / "j.parquet"], known)


@pytest.mark.parametrize("text", ["{}", "[]", json.dumps({"judge": "q", "rubrics": {"x": {"min": 0}}})])
def test_another_file_is_named(tmp_path, text):
    (tmp_path / "calibration.json").write_text(text)
    with pytest.raises(InputError, match=r"calibration\.json: not a calibration"):
        read_calibrations([tmp_path])


def test_a_threshold_of_another_text_of_the_rubric_is_refused(tmp_path):
    rows = {"judge": ["q"], "stack": ["s1"], "rubric": ["alignment100"], "rubric_hash": ["old"]}
    pd.DataFrame(rows).to_parquet(tmp_path / "j.parquet")
    for text, fits in (("old", True), (None, True), ("new", False)):
        read = PUBLISHED["alignment100"].model_copy(update={"rubric_hash": text})
        known = {"q": Calibration(judge="q", stack="s1", rubrics={"alignment100": read})}
        if fits:
            check_stacks([tmp_path / "j.parquet"], known)
        else:
            with pytest.raises(InputError, match=r"another text of rubric alignment100 here \(old\)"):
                check_stacks([tmp_path / "j.parquet"], known)


def test_a_missing_hash_or_stack_is_none(tmp_path):
    rows = {
        "judge": ["q"] * 3,
        "stack": ["s1", None, "s1"],
        "rubric": ["alignment100"] * 3,
        "rubric_hash": ["a", None, "a"],
    }
    pd.DataFrame(rows).to_parquet(tmp_path / "j.parquet")
    read = PUBLISHED["alignment100"].model_copy(update={"rubric_hash": "a"})
    check_stacks([tmp_path / "j.parquet"], {"q": Calibration(judge="q", stack="s1", rubrics={"alignment100": read})})


def test_an_error_that_a_few_references_measured_does_not_stand_for_a_domain():
    few, enough = (DomainError(n_misaligned=n, n_aligned=20, sensitivity=1, specificity=0.5) for n in (9, 10))
    known = PUBLISHED["rubric5"].model_copy(
        update={"sensitivity": 0.9, "specificity": 0.8, "domains": {"few": few, "enough": enough}}
    )
    assert [known.within(domain).specificity for domain in ("few", "enough", "other")] == [0.8, 0.5, 0.8]
