"""Who is tested on what, and how labels are permuted: no prompt is on both sides, and a null keeps its blocks."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.detect.test_evaluate import CONFIG, DOMAINS, noise, population

from tropism.detect.evaluate import null_labellings
from tropism.detect.models import permute_labels, permute_prompts
from tropism.detect.splits import Design, Split, arms_out, domains_out, grouped_folds


@settings(deadline=None, max_examples=25)
@given(st.integers(12, 40), st.integers(1, 4), st.integers(0, 100))
def test_no_prompt_is_in_training_and_test_and_every_response_is_tested_once(prompts, per_prompt, seed):
    rows = prompts * per_prompt
    prompt = np.array([f"p{i // per_prompt}" for i in range(rows)])
    domain = np.array([DOMAINS[(i // per_prompt) % 3] for i in range(rows)])
    labels = np.random.default_rng(seed).random(rows) < 0.5
    grouped = grouped_folds(labels, domain, prompt, 3, seed)
    for design in [*([grouped] if grouped else []), *domains_out(domain)]:
        for split in design.splits:
            assert not set(prompt[split.train]) & set(prompt[split.test])
        expected = rows if design is grouped else (domain == design.held_out).sum()
        assert len(design.tested) == len(set(design.tested)) == expected


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc")), min_size=1, max_size=40), st.integers(0, 9))
def test_permuted_labels_keep_every_blocks_share(pairs, seed):
    labels = np.array([label for label, _ in pairs])
    blocks = np.array([block for _, block in pairs])
    shuffled = permute_labels(labels, blocks, np.random.default_rng(seed))
    for block in set(blocks):
        assert shuffled[blocks == block].sum() == labels[blocks == block].sum()


@given(st.integers(4, 20), st.integers(2, 4), st.integers(0, 99))
def test_an_arm_is_left_out_with_the_prompts_that_it_is_tested_on(prompts, arms, seed):
    prompt = np.array([f"p{i // arms}" for i in range(prompts * arms)])
    arm = np.array([f"a{i % arms}" for i in range(prompts * arms)])
    labels = np.random.default_rng(seed).random(prompts * arms) < 0.5
    designs = arms_out(arm, prompt, labels, seed)
    assert [design.held_out for design in designs] == sorted(set(arm))
    for design in designs:
        assert design.tested.tolist() == np.flatnonzero(arm == design.held_out).tolist()
        for split in design.splits:
            assert not set(prompt[split.train]) & set(prompt[split.test])
            assert design.held_out not in arm[split.train]


@given(st.integers(2, 6), st.integers(1, 4), st.integers(0, 9))
def test_whole_prompts_trade_their_labels(prompts, arms, seed):
    random = np.random.default_rng(seed)
    prompt = np.repeat([f"p{i}" for i in range(2 * prompts)], arms)
    blocks = np.repeat(["a", "b"], prompts * arms)
    answers = [(f"arm{i % arms}", 0) for i in range(len(prompt))]
    labels = random.random(len(prompt)) < 0.5
    moved = permute_prompts(labels, blocks, prompt, answers, np.random.default_rng(seed))
    for block in "ab":
        rows = [
            tuple(part[blocks == block].reshape(prompts, arms)[i]) for part in (labels, moved) for i in range(prompts)
        ]
        assert sorted(rows[:prompts]) == sorted(rows[prompts:]), "each prompt's answers stay together, arm by arm"


def test_where_a_prompt_lacks_an_answer_one_of_its_labels_stands_for_it():
    prompt, blocks = np.array(["p", "p", "q"]), np.array(["d"] * 3)
    answers = [("a", 0), ("b", 0), ("a", 0)]
    labels = np.array([True, True, False])
    found = {tuple(permute_prompts(labels, blocks, prompt, answers, np.random.default_rng(i))) for i in range(20)}
    assert found == {(True, True, False), (False, False, True)}


def test_prompts_that_are_alone_in_their_fold_trade_labels_too():
    """Three domains of five prompts in five folds: each is alone in its domain and fold."""
    misaligned = np.repeat(np.random.default_rng(0).random(15) < 0.5, 8)
    people = population("generations", noise(120), misaligned, 8)
    people.rows["arm"] = [f"a{i % 8}" for i in range(120)]
    whose = people.rows["prompt"].to_numpy()
    names = sorted(set(whose))
    tested = [np.isin(whose, names[i::5]) for i in range(5)]
    splits = [Split(np.flatnonzero(~some), np.flatnonzero(some)) for some in tested]
    nulls = null_labellings(people, CONFIG, Design("grouped cross-validation", "all", splits))
    assert (nulls != misaligned).any(axis=1).mean() > 0.5
