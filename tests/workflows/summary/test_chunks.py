from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stenograph.workflows.summary import chunks

SENTENCE = "This sentence has exactly fifty characters in it. "


def pieces(text: str, size: int) -> list[str]:
    return [text[start:end] for start, end in chunks.split(text, size)]


def test_a_chunk_ends_with_the_last_paragraph_that_fits() -> None:
    text = f"{SENTENCE * 2}\n\n{SENTENCE * 2}\n \n{SENTENCE * 3}"
    assert pieces(text, 240) == [text[:202].strip(), (SENTENCE * 3).strip()]


def test_a_chunk_ends_with_a_sentence_where_no_paragraph_does() -> None:
    assert pieces(SENTENCE * 10, 120) == [(SENTENCE * 2).strip()] * 5


def test_a_paragraph_in_the_first_half_is_no_end() -> None:
    text = f"{SENTENCE}\n\n{SENTENCE * 4}"
    assert pieces(text, 160) == [f"{SENTENCE}\n\n{SENTENCE * 2}".strip(), (SENTENCE * 2).strip()]


def test_a_sentence_longer_than_a_chunk_is_cut_between_words() -> None:
    assert pieces("word " * 50, 22) == ["word word word word"] * 12 + ["word word"]


def test_a_word_longer_than_a_chunk_is_left_whole() -> None:
    word = "x" * 150
    assert pieces(f"{word} and {word}", 100) == [word, "and", word]


def test_what_is_too_long_for_a_word_is_cut_anywhere() -> None:
    assert [len(each) for each in pieces("x" * 1_000, 300)] == [300, 300, 400]


def test_chinese_is_cut_at_punctuation_where_no_sentence_ends() -> None:
    text = ("字" * 60 + "\uff0c") * 10
    assert {len(each) for each in pieces(text, 100)[:-1]} == {61}


def test_a_cut_anywhere_keeps_letters_and_their_marks_together() -> None:
    assert pieces("e\u0301" * 300, 101)[0] == "e\u0301" * 50


def test_a_text_of_space_alone_has_no_chunks() -> None:
    assert pieces("", 100) == pieces(" \n\t", 100) == []


@given(st.text(st.sampled_from("ab.\u3002 \n\u2019"), max_size=600), st.integers(20, 200))
def test_chunks_hold_every_letter_once_and_are_not_too_long(text: str, size: int) -> None:
    found = pieces(text, size)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(0 < len(each) <= size + chunks.WORD_MAX for each in found)
    assert all(each == each.strip() for each in found)


@given(st.lists(st.text("ab.", min_size=1, max_size=chunks.WORD_MAX)), st.integers(20, 200))
def test_no_word_is_ever_cut(words: list[str], size: int) -> None:
    assert " ".join(pieces(" ".join(words), size)).split() == words
