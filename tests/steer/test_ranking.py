"""Features are chosen on prompts that interventions are not measured on, whichever population they are ranked in."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from tropism.config.sae import SaeConfig
from tropism.config.steer import SteerConfig
from tropism.records.files import InputError
from tropism.records.schema import Conversation
from tropism.sae.contrast import contrasts
from tropism.sae.features import DictionaryKey, PartFeatures
from tropism.sae.populations import Population, ranking_part
from tropism.steer.measure import choose_prompts

KEY = DictionaryKey("local", "toy/blocks.1.hook_resid_post", "ab" * 32, 1, 4)
LAX = SaeConfig(model="toy", layer=1, texts=["t"], min_responses=2, min_per_label=2)
PROMPTS = [f"p{i:02d}" for i in range(40)]


def population(name: str, values: np.ndarray) -> Population:
    """An aligned and a misaligned response to each prompt; every other prompt is of the evaluation split."""
    rows = pd.DataFrame(
        [
            ("legal", prompt, "legal", side == "misaligned", "train" if i % 2 else "evaluation", f"legal/{prompt}")
            for i, prompt in enumerate(PROMPTS)
            for side in ("aligned", "misaligned")
        ],
        columns=["set", "prompt_id", "domain", "misaligned", "split", "prompt"],
    )
    sparse = csr_matrix(values)
    parts = PartFeatures(sparse, sparse, sparse, np.zeros((len(rows), 2)), np.ones(len(rows), np.int32))
    return Population(name, KEY, rows if name == "references" else rows.drop(columns="split"), parts)


def measured(config: SteerConfig) -> set[str]:
    records = [
        Conversation(id=p, prompt=p, aligned="a", misaligned="b", domain="legal", split="evaluation") for p in PROMPTS
    ]
    return {record.id for _, record in choose_prompts([("legal", records)], config)}


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_ranking_is_the_same_whatever_the_measured_responses_say(seed):
    draw = np.random.default_rng(seed)
    values = draw.random((80, 4)) * (draw.random((80, 4)) < 0.6)
    for name in ("references", "generations"):
        ours = ranking_part(population(name, values))
        kept = set(ours.rows["prompt"])
        other = np.array([f"legal/{p}" not in kept for p in PROMPTS for _ in range(2)])
        changed = np.where(other[:, None], draw.random((80, 4)) * 9, values)
        before, after = (contrasts([ranking_part(population(name, v))], LAX) for v in (values, changed))
        pd.testing.assert_frame_equal(before, after)


def test_references_are_ranked_on_the_train_split_and_interventions_measured_on_all_others():
    part = ranking_part(population("references", np.eye(80, 4)))
    assert set(part.rows["split"]) == {"train"}
    assert measured(SteerConfig(prompts=100)) == set(PROMPTS)


def test_ranked_on_generations_the_measured_prompts_are_those_not_ranked_on():
    ranked = set(ranking_part(population("generations", np.eye(80, 4))).rows["prompt_id"])
    rest = measured(SteerConfig(prompts=100, population="generations"))
    assert 8 < len(ranked) < 32
    assert rest == set(PROMPTS) - ranked


def test_without_a_prompt_left_to_measure_on_it_says_so():
    with pytest.raises(InputError, match="no evaluation prompt with both references"):
        choose_prompts([("legal", [])], SteerConfig())
