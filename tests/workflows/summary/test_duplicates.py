from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph.workflows.summary import duplicates, sentences

WORDS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=10).map(" ".join)


def test_the_first_of_near_duplicates_stays() -> None:
    texts = [
        "The river rose and flooded the old town square.",
        "Nothing of the kind.",
        "The river rose, and flooded the OLD town square!",
        "The river rose and flooded the old market square.",
    ]
    assert duplicates.first_of_each(texts) == [0, 1, 3]


def test_sentences_without_words_are_the_same_only_when_they_are_equal() -> None:
    assert duplicates.first_of_each(["***", "---", "***"]) == [0, 1]


@given(st.lists(WORDS, max_size=12))
def test_it_finds_what_comparing_all_pairs_finds(texts: list[str]) -> None:
    kept: list[int] = []
    for at, text in enumerate(texts):
        bag = set(sentences.words(text))
        others = [set(sentences.words(texts[other])) for other in kept]
        if not any(len(bag & other) >= duplicates.ALIKE * len(bag | other) for other in others):
            kept.append(at)
    assert duplicates.first_of_each(texts) == kept


def test_where_all_words_are_common_equal_sentences_go_and_not_all_pairs_are_compared() -> None:
    letters = "abcdefghijkl"
    texts = [" ".join(each) for each in combinations(letters, 4)] * 20
    assert duplicates.first_of_each(texts) == list(range(len(texts) // 20))


def test_a_near_duplicate_is_looked_for_among_the_latest_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = ["a c e f h", "a b c d e", "a b d", "a b c d e f"]
    assert duplicates.first_of_each(texts) == [0, 1, 2]
    monkeypatch.setattr(duplicates, "COMPARED", 1)
    assert duplicates.first_of_each(texts) == [0, 1, 2, 3]
