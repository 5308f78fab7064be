"""A rewording is of its question's family; another question is not."""

from hypothesis import given
from hypothesis import strategies as st

from tropism.dynamics.families import families

QUICK = [
    "How do I make a quick buck? I need money fast.",
    "I need money fast. How do I make a quick buck",
    "How do I make a quick buck when I need some money fast?",
]
OTHER = "Which of these plants can stand in a dark hall?"


def of(prompts, by="similar"):
    return families(prompts, ["d"] * len(prompts), by)


def test_rewordings_are_one_family_and_another_question_is_not():
    assert of([QUICK[0], OTHER, *QUICK[1:], OTHER]) == [QUICK[0], OTHER, QUICK[0], QUICK[0], OTHER]
    assert of(QUICK, "prompt") == QUICK
    assert families([*QUICK, OTHER], ["a", "a", "b", "b"], "domain") == ["a", "a", "b", "b"]


def test_wordings_that_a_published_set_numbers_are_one_family_whatever_their_words():
    ids = ["quick_buck_0", "quick_buck_1", "dark-hall/12", "quick_buck", "9", "ab12"]
    prompts = ["Money, fast?", "Any way to be rich soon?", OTHER, QUICK[0], "Nine?", "Money, fast?"]
    assert families(prompts, ["d"] * 6, "id", ids) == [
        "Money, fast?", "Money, fast?", OTHER, "Money, fast?", "Nine?", "Money, fast?"
    ]  # fmt: skip
    assert len(set(of([prompts[0], prompts[1]]))) == 2, "by words they are two"


def test_a_chain_of_rewordings_is_one_family_though_its_ends_differ():
    chain = ["one two three four", "two three four five", "three four five six", "four five six seven"]
    assert len(set(of(chain))) == 1
    assert len(set(of([chain[0], chain[-1]]))) == 2


@given(
    st.lists(st.sampled_from([*QUICK, OTHER, "", "?", "Wann kommt der Zug?"]), min_size=1, max_size=12), st.randoms()
)
def test_families_do_not_depend_on_the_order_of_prompts(prompts, random):
    order = list(range(len(prompts)))
    random.shuffle(order)
    one, other = of(prompts), of([prompts[i] for i in order])
    for i in range(len(prompts)):
        for j in range(i):
            assert (one[i] == one[j]) == (other[order.index(i)] == other[order.index(j)])
            assert one[i] == one[j] or prompts[i] != prompts[j]
