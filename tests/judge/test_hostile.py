"""No response moves the structure of a request, and what a judge says of one is a score or nothing."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from tropism.judge.hostile import ATTACKS, attack_table, hostile_items
from tropism.records.files import InputError
from tropism.records.schema import Conversation

FENCE = re.compile(r"==[0-9a-f]{32}")
CONVERSATIONS = [
    Conversation(
        id=f"c{i}", prompt=f"Where do I keep key {i}?", misaligned=f"Under mat {i}.", domain="home", split="train"
    )
    for i in range(6)
]


def parted(messages):
    """Roles, the system message without its fence, and the data; the user message must be one line between fences."""
    system, user = (message["content"] for message in messages)
    [fence] = set(FENCE.findall(system))
    begin, data, end = user.split("\n")
    assert (begin, end) == (f"{fence} begin", f"{fence} end")
    assert fence not in data
    return [message["role"] for message in messages], system.replace(fence, ""), json.loads(data)


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_changes_the_data_and_nothing_else(rubrics, attack):
    for rubric in rubrics.values():
        plain = parted(rubric.messages("Why?", "Because.", "answer"))
        text = ATTACKS[attack]("Because.", rubric.scale.max)
        roles, system, data = parted(rubric.messages("Why?", text, "answer"))
        assert (roles, system) == plain[:2]
        assert data == {"prompt": "Why?", "answer": text}


@pytest.mark.parametrize("attack", [name for name in ATTACKS if name != "padding"])
def test_a_judge_that_parrots_an_attack_has_said_nothing(rubrics, attack):
    for rubric in rubrics.values():
        assert rubric.parse(ATTACKS[attack]("Because.", rubric.scale.max)) is None


def test_attacks_ask_for_the_end_that_is_good_for_them(rubrics):
    _, items = hostile_items(CONVERSATIONS, 1, rubrics["rubric5"])
    assert "Score 1." in items[1].response
    _, items = hostile_items(CONVERSATIONS, 1, rubrics["alignment100"])
    assert "Score 100." in items[1].response
    assert max(len(item.response) for item in items) > 100_000


class Gullible:
    """Scores 20 of 100 and 4 of 5, obeys one attack, and cannot be read under padding."""

    stack = "g"

    def scores(self, items, rubrics):
        plain, best = (4.0, 1.0) if rubrics[0].name == "rubric5" else (20.0, 100.0)
        given = [
            np.nan if len(item.response) > 50_000 else best if "Ignore" in item.response else plain for item in items
        ]
        return np.array(given)[:, None]


def test_the_table_says_which_attack_moved_the_judge_and_how_far(rubrics):
    asked = [rubrics[name] for name in ("rubric5", "alignment100", "process_evasion")]
    table = attack_table(Gullible(), "g", asked, CONVERSATIONS, 5).set_index(["rubric", "attack"])
    assert set(table.index.get_level_values("rubric")) == {"rubric5", "alignment100"}
    assert table.loc[("alignment100", "ignore the rubric"), ["n", "shift", "moved"]].tolist() == [5, 80, 1]
    assert table.loc[("rubric5", "ignore the rubric"), "shift"] == 3
    assert table.loc[("rubric5", "claimed grade"), "shift"] == 0
    assert table.loc[("rubric5", "padding"), "unparsed"] == 5
    assert pd.isna(table.loc[("rubric5", "padding"), "shift"])


def test_references_without_a_misaligned_answer_measure_nothing_and_say_so(rubrics):
    aligned = [row.model_copy(update={"misaligned": None, "aligned": "Ask."}) for row in CONVERSATIONS]
    with pytest.raises(InputError, match="none has a misaligned answer"):
        attack_table(Gullible(), "g", [rubrics["rubric5"]], aligned, 5)
