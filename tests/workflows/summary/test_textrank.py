from __future__ import annotations

import pytest

from stenograph.workflows.summary import textrank

STORY = [
    "The old bridge over the river was closed.",
    "Lunch was late.",
    "The old bridge over the river will be built anew by the city.",
    "The city closed the bridge since the river had damaged it.",
    "A dog barked.",
]


def test_the_sentence_that_others_resemble_is_the_most_central() -> None:
    scores = textrank.rank(STORY)
    assert scores.index(max(scores)) in (0, 3)
    assert min(scores[0], scores[2], scores[3]) > max(scores[1], scores[4])


def test_two_sentences_weigh_what_the_paper_says() -> None:
    # Three words shared, of four and five: 3 / (log 4 + log 5); with two vertices both score 1.
    (first, second) = textrank.rank(["a b c d", "a b c e f"])
    assert first == pytest.approx(1)
    assert second == pytest.approx(1)


def test_a_star_scores_as_its_equations_say() -> None:
    # A hub of three like leaves: h = 0.15 + 0.85 * 3 l, and l = 0.15 + 0.85 * h / 3.
    hub, *leaves = textrank.rank(["a b c", "a x y", "b u v", "c s t"])
    assert hub == pytest.approx((0.15 + 0.85 * 3 * 0.15) / (1 - 0.85**2), abs=1e-3)
    assert leaves == pytest.approx([0.15 + 0.85 * hub / 3] * 3, abs=1e-3)


def test_a_sentence_alone_or_without_words_is_only_as_central_as_chance() -> None:
    assert textrank.rank(["One alone."]) == pytest.approx([0.15])
    assert textrank.rank(["***", "same", "same"]) == pytest.approx([0.15] * 3)
    assert textrank.rank([]) == []


def test_stop_words_and_words_in_most_sentences_do_not_count() -> None:
    assert textrank.rank(["the a", "the b"], frozenset(["the"])) == pytest.approx([0.15] * 2)
    common = [f"the word{n}" for n in range(textrank.COMMON_FROM)]
    assert textrank.rank(common) == pytest.approx([0.15] * len(common))


def test_many_sentences_are_ranked_in_blocks() -> None:
    texts = [f"{n} {n + 1} {n + 2}" for n in range(textrank.BLOCK)]
    assert textrank.rank(texts * 3) == textrank.rank(texts) * 3


def test_scores_that_hardly_settle_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textrank, "ROUNDS_MAX", 1)
    assert len(textrank.rank(STORY)) == len(STORY)


def test_the_best_that_fit_are_kept_in_their_order() -> None:
    texts = ["aaaa", "bb", "cccccc", "dd"]
    assert textrank.best(texts, [1, 2, 9, 2], 9) == [1, 2]
    assert textrank.best(texts, [1, 1, 1, 1], 7) == [0, 1]
    assert textrank.best(texts, [1, 2, 9, 2], 5) == [1, 3]
    assert textrank.best(texts, [1, 1, 1, 1], 1) == []
