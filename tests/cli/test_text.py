"""Text for people: safe on a terminal, short where a value is long."""

from __future__ import annotations

from typing import Any

import pytest

from stenograph.cli.text import count, duration, padded, printable, short, shortened, width


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.64, "0.64"),
        ("fix", '"fix"'),
        (None, "null"),
        ([1, 2], "[1,2]"),
        ("x" * 100, "text of 100 characters"),
        ("ä" * 100, "text of 100 characters"),
        (list(range(1000)), "[1,000 items]"),
        (["x" * 50], "[1 item]"),
        ({"a": "x" * 50}, "{1 key}"),
    ],
)
def test_a_value_is_told_whole_or_by_its_size(value: Any, told: str) -> None:
    assert short(value) == told


def test_no_value_can_steer_a_terminal() -> None:
    assert printable("red\x1b[31m\u202e\x85") == "red\\x1b[31m\\u202e\\x85"
    assert "\x9b" not in short("\x9b31m")
    assert printable("plain → ✓ 日本") == "plain → ✓ 日本"


def test_a_long_text_is_cut_and_says_so() -> None:
    assert (shortened("abcdef", 4), shortened("abcd", 4)) == ("abc…", "abcd")


def test_columns_are_counted_as_a_terminal_shows_them() -> None:
    assert [width(text) for text in ("ab", "日本", "e\u0301", "\x1b[31mx\x1b[0m")] == [2, 4, 1, 1]
    assert padded("日本", 6) + "|" == "日本  |"


def test_numbers_come_with_their_nouns() -> None:
    assert (count(1, "class", "classes"), count(2, "class", "classes")) == ("1 class", "2 classes")
    assert count(1024, "event") == "1,024 events"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.314, "0.31 s"),
        (41.42, "41.4 s"),
        (127, "2 m 07 s"),
        (59.96, "60.0 s"),
        (10923, "3 h 02 m"),
    ],
)
def test_a_length_of_time_is_as_exact_as_it_is_short(seconds: float, told: str) -> None:
    assert duration(seconds) == told
