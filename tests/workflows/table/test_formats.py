from __future__ import annotations

import polars as pl
import pytest

from stenograph.workflows.table import formats

NAMED = {
    "e-mail address": ["ann@example.com", "b.c+d@mail.example.co.uk"],
    "URL": ["https://example.com/a?b=c", "http://localhost:80"],
    "UUID": ["123e4567-e89b-12d3-a456-426614174000"],
    "IPv4 address": ["127.0.0.1", "255.255.0.1"],
    "time of day": ["09:30", "23:59:59"],
}


@pytest.mark.parametrize(("name", "values"), NAMED.items(), ids=NAMED.keys())
def test_a_known_format_is_known(name: str, values: list[str]) -> None:
    found = formats.find(pl.Series(values))
    assert found is not None
    assert found.name == name


def test_every_known_format_has_an_example() -> None:
    assert NAMED.keys() == formats.KNOWN.keys()


def test_a_pattern_of_one_length_is_exact() -> None:
    found = formats.find(pl.Series([f"ORD-{n:04}" for n in range(100)]))
    assert found == formats.Format(
        "pattern AAA-9999",
        r"^[A-Z]{3}\-[0-9]{4}$".replace("[A-Z]", r"\p{Lu}").replace("[0-9]", r"\d"),
        "upper",
        r"^(\p{Lu}{3})[\W_]*(\d{4})$",
        "${1}-${2}",
    )


def test_a_pattern_of_many_lengths_has_parts_of_any() -> None:
    found = formats.find(pl.Series([f"v{n}.{n * n}" for n in range(100)]))
    assert found == formats.Format("pattern a9.9", r"^[\p{L}--\p{Lu}]+\d+\.\d+$", "lower")
    mixed = formats.find(pl.Series([f"Ab{n}" for n in range(10)]))
    assert mixed is not None
    assert mixed.letters == ""


def test_a_dollar_in_a_pattern_stands_for_itself() -> None:
    found = formats.find(pl.Series([f"${n}$" for n in range(10, 99)]))
    assert found is not None
    assert pl.Series(["12$"]).str.replace(found.loose, found.parts).to_list() == ["12$"]
    assert pl.Series(["34"]).str.replace(found.loose, found.parts).to_list() == ["$34$"]


@pytest.mark.parametrize(
    "values",
    [
        ["ann", "bob", "cleo"] * 10,
        [f"A-{n}" if n % 2 else f"{n} B" for n in range(50)],
        ["x-1"] * 5,
        [f"1 {'a b ' * 12}{n % 7}" for n in range(50)],
        [],
    ],
    ids=["words", "two patterns", "too few", "prose", "nothing"],
)
def test_what_has_no_format_has_none(values: list[str]) -> None:
    assert formats.find(pl.Series(values, dtype=pl.String)) is None
