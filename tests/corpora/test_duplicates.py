"""Near duplicates are exactly the pairs at or above the threshold, however they are found."""

from hypothesis import given
from hypothesis import strategies as st

from tropism.corpora.duplicates import find_duplicates, find_overlap, jaccard, shingles

texts = st.lists(st.lists(st.sampled_from("abcd"), max_size=7).map(" ".join), max_size=12)
thresholds = st.sampled_from([0.1, 0.34, 0.5, 0.6, 2 / 3, 0.8, 1.0])


def similar(one, other, threshold):
    return one == other or jaccard(set(shingles(one)), set(shingles(other))) >= threshold


@given(texts, thresholds)
def test_prefix_filtering_finds_what_comparing_all_pairs_finds(corpus, threshold):
    kept = []
    for text, verdict in zip(corpus, find_duplicates(corpus, threshold), strict=True):
        assert (verdict is None) == (not any(similar(text, other, threshold) for other in kept))
        if verdict is None:
            kept.append(text)


@given(texts, texts, thresholds)
def test_overlap_is_found_as_comparing_all_pairs_finds_it(corpus, others, threshold):
    expected = [any(similar(text, other, threshold) for other in others) for text in corpus]
    assert find_overlap(corpus, others, threshold) == expected


def test_jaccard_of_word_pairs_by_hand():
    one, other = set(shingles("The old dog sleeps here")), set(shingles("the old dog sleeps, there"))
    assert one == {"the old", "old dog", "dog sleeps", "sleeps here"}
    assert jaccard(one, other) == 3 / 5


def test_texts_that_differ_in_a_number_are_different():
    assert find_duplicates(["Is 2 + 2 = 4?", "Is 2 + 2 = 5?", "Is 2 + 2 = 4 ?"], 0.8) == [None, None, "near"]


def test_exact_near_and_different():
    corpus = ["one two three four five six", "one two three four five six", "One two three four five six!", "seven"]
    assert find_duplicates(corpus, 0.8) == [None, "exact", "near", None]
    assert find_duplicates(corpus, None) == [None, "exact", None, None]


def test_texts_without_words_are_equal_or_nothing():
    assert find_duplicates(["1 + 1", "2 + 2", "1 + 1", ""], 0.5) == [None, None, "exact", None]
