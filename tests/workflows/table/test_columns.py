from __future__ import annotations

import polars as pl
import pytest

from stenograph.workflows.table import columns


def series(*values: str | None) -> pl.Series:
    return pl.Series("c", values, dtype=pl.String)


TYPES = {
    "integer": (["1", "-2", "+3", "1000000", "5", "6"], "integer", ""),
    "number": (["1.5", "2", ".5", "1e3", "-0.25"], "number", ""),
    "number with a comma": (["1,5", "2,25", "3", "4,0"], "number", ""),
    "boolean": (["yes", "no", "NO", "Yes"], "boolean", ""),
    "letters that are no booleans": (["N", "N", "N", "N", "N", "A"], "category", ""),
    "letters that are": (["N", "Y", "N"], "boolean", ""),
    "ISO date": (["2024-01-02", "2024-02-30", "2023-05-06"], "date", "%Y-%m-%d"),
    "time": (["2024-01-02T10:00:00Z", "2024-01-02 23:59"], "datetime", columns.STAMP),
    "day first": (["13/01/2024", "02/03/2024", "31/12/2023"], "date", "%d/%m/%Y"),
    "month first": (["01/13/2024", "02/03/2024", "12/31/2023"], "date", "%m/%d/%Y"),
    "dots": (["1.2.2024", "31.12.2023"], "date", "%d.%m.%Y"),
    "words": (["3 Mar 2024", "14 December 2023"], "date", "%d %b %Y"),
    "postcodes": (["01067", "10115", "04109", "80331"], "text", ""),
    "text": (["ann", "bob", "cleo", "dan"], "text", ""),
    "category": (["red", "blue", "red", "blue", "red", "red"], "category", ""),
    "empty": ([None, "", "N/A"], "empty", ""),
}


@pytest.mark.parametrize(("values", "type_", "format_"), TYPES.values(), ids=TYPES.keys())
def test_a_column_is_what_its_values_are(
    values: list[str | None], type_: str, format_: str
) -> None:
    column = columns.study(series(*values))
    assert (column.type, column.format) == (type_, format_)


def test_a_few_strangers_do_not_change_a_column() -> None:
    column = columns.study(series(*map(str, range(95)), *["x"] * 5))
    assert (column.type, column.filled, column.is_number) == ("integer", 100, True)
    assert columns.study(series(*map(str, range(94)), *["x"] * 6)).type == "text"


def test_few_is_a_twentieth_or_half_the_root() -> None:
    assert [columns.few(n) for n in (4, 100, 10_000)] == [1, 5, 500]


def test_spellings_of_missing_are_missing() -> None:
    column = columns.study(series("a", "", " ", "N/A", "null", None, "b", "c", "d"))
    assert column.missing.to_list() == [False] + [True] * 5 + [False] * 3
    assert column.distinct == 4


def test_a_vague_spelling_that_is_frequent_is_a_value() -> None:
    many = columns.study(series(*["none"] * 30, *["low"] * 40, *["high"] * 30))
    assert not many.missing.any()
    one = columns.study(series("none", *["low"] * 40, *["high"] * 30))
    assert one.missing.sum() == 1


def test_na_is_a_code_among_codes() -> None:
    codes = ["DE", "FR", "NA", "US", "PL", "IT"]
    assert not columns.study(series(*codes)).missing.any()
    assert columns.study(series("Germany", "France", "NA", "Poland")).missing.sum() == 1


def test_white_space_of_any_kind_is_trimmed() -> None:
    odd = series("\u00a0a  b\t", None, "\ufeffx")
    assert columns.trim(odd).to_list() == ["a b", None, "x"]
    assert columns.strip(odd).to_list() == ["a  b", None, "x"]


def test_two_spaces_after_a_sentence_are_tidy() -> None:
    texts = series("One.  Two", "One  two", "one two", "a\u00a0b", None)
    assert columns.untidy(texts).to_list() == [False, True, False, True, False]


NUMBERS = {
    "$12.50": "12.50",
    "12.50 EUR": "12.50",
    "EUR 12": "12",
    "€1,234.50": "1234.50",
    "1 234 567": "1234567",
    "-$5": "-5",
    "12,34": None,
    "1,23,4": None,
    "twelve": None,
    "45%": None,
    "1e999": None,
}


def test_numbers_that_can_be_read_in_one_way_are_read() -> None:
    read = columns.plain_numbers(series(*NUMBERS), ".")
    assert read.to_list() == list(NUMBERS.values())
    assert columns.plain_numbers(series("1.234,5", "1.234"), ",").to_list() == ["1234,5", "1234"]


def test_plain_numbers_are_numbers() -> None:
    assert columns.numbers(series("1", "x", "1e999", None), ".").to_list() == [
        1.0,
        None,
        None,
        None,
    ]
    assert columns.numbers(series("1,5", "2"), ",").to_list() == [1.5, 2.0]


def test_numbers_are_written_as_people_do() -> None:
    told = [columns.number_text(n) for n in (1234567.0, 0.037255, 12345.678, 1e20, -3.0)]
    assert told == ["1,234,567", "0.037255", "12,345.68", "1e+20", "-3"]


def test_dates_of_other_spellings_are_read_if_there_is_one_way() -> None:
    texts = series(
        "2024/3/5", "5.3.2024", "13/03/2024", "03/13/2024", "03/04/2024", "4/4/2024", "x"
    )
    found = columns.other_days(texts).cast(pl.String).to_list()
    assert found == [
        "2024-03-05",
        "2024-03-05",
        "2024-03-13",
        "2024-03-13",
        None,
        "2024-04-04",
        None,
    ]


def test_a_day_is_a_time_too() -> None:
    times = series("2024-01-02", "2024-01-02T25:00", "2024-01-02T10:00", "noon")
    found = columns.days(times, columns.STAMP).cast(pl.String).to_list()
    assert found == ["2024-01-02", None, "2024-01-02", None]
    assert columns.is_spelled(times, columns.STAMP).to_list() == [True, True, True, False]


def test_truths_are_told_by_their_word() -> None:
    assert columns.truths(series("Yes", "f", "1", "0", "x", None)).to_list() == [
        *(True, False, True, False, None, None)
    ]


def test_whole_numbers_of_one_length_of_which_some_begin_with_0_are_codes() -> None:
    zips = [f"{number}" for number in range(90000, 91000)]
    assert columns.study(series(*zips, "01234", "02138")).type == "text"
    assert columns.study(series(*zips, "01234", "7", *map(str, range(200)))).type == "integer"


def test_a_number_is_whole_as_far_as_a_float_knows_it() -> None:
    told = [columns.plain_number(number) for number in (2.0, 2.5, 2.0**53, 1e30, None)]
    assert told == [2, 2.5, 2**53, 1e30, None]
    assert isinstance(told[0], int)
    assert isinstance(told[3], float)
