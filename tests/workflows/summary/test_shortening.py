from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stenograph.workflows.summary import shortening
from stenograph.workflows.summary.shortening import Sentence, joined, shorter, within

TEXTS = st.lists(st.text("abc ,.", min_size=1, max_size=60), min_size=1, max_size=30)


def parts(*texts: str) -> list[Sentence]:
    return [Sentence(number, text) for number, text in enumerate(texts)]


def test_what_fits_is_left_alone() -> None:
    all_ = parts("One two.", "Three four.")
    assert within(all_, 20) == all_


def test_the_least_central_sentences_go_first_and_the_rest_keep_their_order() -> None:
    all_ = parts(
        "The river flooded the town.",
        "Lunch was at noon.",
        "The town by the river was flooded badly.",
        "The flooded town lies by the river.",
    )
    assert [part.chunk for part in within(all_, 105)] == [0, 2, 3]


def test_where_no_sentence_fits_the_most_central_is_cut_and_says_so() -> None:
    (only,) = within(parts("The river rose, and it flooded the whole town."), 20)
    assert only == Sentence(0, "The river rose…", cut=True)


def test_a_heading_does_not_stand_for_a_text() -> None:
    long = "The river rose and it flooded the whole of the old town at night"
    (only,) = within(parts(long, "See also:", f"{long} again"), 60)
    assert only.text == "The river rose and it flooded the whole of the old town at…"


def test_a_round_halves_and_the_last_goes_for_the_target() -> None:
    all_ = parts(*(f"Word {n} is here." for n in range(100)))
    length = len(joined(all_))
    assert 0.45 * length < len(joined(shorter(all_, 100))) <= length / 2
    assert len(joined(shorter(all_, length // shortening.NEAR + 1))) <= length / 2.9


@given(TEXTS, st.integers(1, 100))
def test_every_text_fits_after_as_many_rounds_as_it_can_be_halved(
    texts: list[str], target: int
) -> None:
    left = parts(*texts)
    for _ in range(len(joined(left)).bit_length()):
        left = shorter(left, target)
    assert len(joined(left)) <= target
