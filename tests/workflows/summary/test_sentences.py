from __future__ import annotations

import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph.workflows.summary import sentences

SPLIT = {
    "abbreviations": ["Dr. Smith paid Mr. Jones, e.g. for tea.", "He left."],
    "initials": ["Did you see J. R. Tolkien there?", "She did."],
    "decimals": ["It cost $3.50, or 1.5 million in all.", "Too much!"],
    "quotes": ['"Why?" she asked.', '"I do not know," he said.'],
    "a country": ["It was the U.S. Army.", "They won."],
    "an ellipsis": ["Wait... what?", "Yes."],
    "chinese": ["这是一句话。", "又一句。"],
    "russian": ["Она пришла.", "Вторая фраза!"],
    "hindi": ["यह एक वाक्य है।", "यह दूसरा है।"],
}


@pytest.mark.parametrize("parts", SPLIT.values(), ids=SPLIT.keys())
def test_a_text_is_split_where_its_sentences_end(parts: list[str]) -> None:
    assert sentences.split(" ".join(parts)) == parts


def test_sentences_of_scripts_without_blanks_are_joined_without_one() -> None:
    assert sentences.join(["这是一句话。", "「又一句。」", "Hello.", "再见"]) == (
        "这是一句话。「又一句。」Hello. 再见"
    )
    assert sentences.join([]) == ""


def test_the_language_says_whose_abbreviations_count() -> None:
    assert sentences.split("Das ist z. B. gut. Am 3. Mai kam er.", "de") == [
        "Das ist z. B. gut.",
        "Am 3. Mai kam er.",
    ]


def test_an_unknown_language_is_taken_as_english() -> None:
    assert len(sentences.split("Dr. Smith left. He ran.", "xx")) == 2


def test_an_empty_line_ends_a_sentence_and_a_line_end_does_not() -> None:
    assert sentences.split("A heading\n\nOne that\nis wrapped.") == [
        "A heading",
        "One that is wrapped.",
    ]


def test_spans_say_where_sentences_are() -> None:
    text = "  Ä one. 😀 two!\n\n\tThree "
    found = [text[start:end] for start, end in sentences.spans(text)]
    assert found == ["Ä one.", "😀 two!", "Three"]


@pytest.mark.parametrize("end", ["\n\n", "\n", " ", ""])
def test_a_long_text_is_looked_at_in_windows_and_nothing_is_lost(end: str) -> None:
    text = (f"These words go on and on{end}" * 2_000).strip()
    assert len(text) > 4 * sentences.WINDOW
    assert_nothing_is_lost(text)
    assert_nothing_is_lost(text.replace(" ", ""))


def assert_nothing_is_lost(text: str) -> None:
    found = sentences.spans(text)
    told = "".join("".join(text[start:end].split()) for start, end in found)
    assert told == "".join(text.split())


@given(st.text(st.sampled_from("aB. \n!?\"'().,\u3002\u20191")))
def test_every_letter_is_in_one_sentence_in_its_place(text: str) -> None:
    found = sentences.spans(text)
    assert found == sorted(found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    told = "".join(text[start:end] for start, end in found)
    assert "".join(told.split()) == "".join(text.split())


def test_words_are_told_in_any_script() -> None:
    assert sentences.words("Don't STOP, Straße_3: Ünïcode") == [
        "don't",
        "stop",
        "strasse",
        "3",
        "ünïcode",
    ]
    assert sentences.words("東京都に 京都 ok") == ["東京", "京都", "都に", "京都", "ok"]


def test_a_sentence_that_fits_is_left_as_it_is() -> None:
    assert sentences.shorten("As it is.", 9) == "As it is."


@pytest.mark.parametrize(
    ("limit", "short"),
    [
        (40, "When it rains hard, the roof leaks…"),
        (30, "When it rains hard…"),
        (15, "When it rains…"),
        (5, "When…"),
        (4, "Whe…"),
        (1, "…"),
    ],
)
def test_clauses_go_first_then_words_then_letters(limit: int, short: str) -> None:
    long = "When it rains hard, the roof leaks, and nobody ever mends it."
    assert sentences.shorten(long, limit) == short


def test_a_letter_keeps_its_marks() -> None:
    assert sentences.shorten("e\u0301e\u0301e\u0301", 5) == "e\u0301e\u0301…"
    assert sentences.shorten("ab👩\u200d💻cd", 5) == "ab…"
    assert sentences.shorten("\u0301" * 9, 4) == "\u0301" * 3 + "…"


@given(st.text(min_size=1), st.integers(1, 20))
def test_what_is_shortened_always_fits(text: str, limit: int) -> None:
    assert len(sentences.shorten(text, limit)) <= max(limit, 1)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentencex", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "stenograph\[workflows\]"'):
        sentences.split("A text.")
