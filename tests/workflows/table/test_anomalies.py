from __future__ import annotations

import codecs
import encodings.aliases
import errno
import http
import locale
import mimetypes
import os
import sysconfig
import unicodedata
import zoneinfo
from collections.abc import Mapping, Sequence
from pathlib import Path
from pydoc_data import topics
from typing import Any

import polars as pl
import pytest

from stenograph.workflows.table import anomalies, column_checks, table_rules, tables
from stenograph.workflows.table.anomalies import Finding
from stenograph.workflows.table.tables import ROW

Cell = str | None


def find(
    columns: Mapping[str, Sequence[Cell]],
    key: Sequence[str] = (),
    rules: Sequence[dict[str, Any]] = (),
) -> dict[tuple[str, str], Finding]:
    table = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    text = tables.texts(table)
    known = column_checks.settled(table_rules.parse(list(rules)))
    found = anomalies.find(text, anomalies.study(text), key, known)
    return {(one.kind, one.column): one for one in found}


def rows(finding: Finding) -> list[int]:
    return finding.cells[ROW].to_list()


NUMBERS = [str(n) for n in range(10, 50)]

ODD: dict[str, tuple[list[Cell], str, list[Cell]]] = {
    "missing": ([*NUMBERS, None, "n/a"], "missing", [None, "n/a"]),
    "white space": ([*"abcdefghijmnopqr", " k", "l "], "whitespace", [" k", "l "]),
    "two spaces": ([*["New York"] * 9, "New  York"], "whitespace", ["New  York"]),
    "text": ([*NUMBERS, "twelve"], "type", ["twelve"]),
    "a currency": ([*NUMBERS, "$12"], "type", ["$12"]),
    "no truth": ([*["yes", "no"] * 20, "maybe"], "type", ["maybe"]),
    "no truth among one word": ([*["yes"] * 20, "2"], "type", ["2"]),
    "no date": ([*["2024-01-02"] * 20, "soon"], "type", ["soon"]),
    "too large": ([*NUMBERS, "4000"], "outlier", ["4000"]),
    "too small": ([*NUMBERS, "-4000"], "outlier", ["-4000"]),
    "a day that is none": ([*["2024-01-02"] * 20, "2024-02-30"], "date", ["2024-02-30"]),
    "a day far away": (
        [*[f"2024-01-{n:02}" for n in range(1, 31)], "9999-12-31", "0001-01-01"],
        "date",
        ["9999-12-31", "0001-01-01"],
    ),
    "another date": ([*["2024-01-02"] * 20, "3.4.2024"], "format", ["3.4.2024"]),
    "the other order": ([*["13/01/2024"] * 20, "01/30/2024"], "format", ["01/30/2024"]),
    "no e-mail": ([*[f"u{n}@example.com" for n in range(20)], "u@x"], "format", ["u@x"]),
    "no number of an order": ([*[f"A-{n}" for n in range(60)], "A7"], "format", ["A7"]),
    "a spelling": ([*["Berlin"] * 20, *["Bonn"] * 5, "Berln"], "spelling", ["Berln"]),
    "a truth in capitals": ([*["yes", "no"] * 20, "YES"], "spelling", ["YES"]),
}


@pytest.mark.parametrize(("cells", "kind", "odd"), ODD.values(), ids=ODD.keys())
def test_what_is_odd_in_a_column_is_found(cells: list[Cell], kind: str, odd: list[Cell]) -> None:
    found = find({"c": cells, "row": [str(n) for n in range(len(cells))]})
    assert list(found) == [(kind, "c")]
    assert found[kind, "c"].cells["value"].to_list() == odd


def test_every_kind_of_a_column_has_a_case() -> None:
    whole = {"duplicate_row", "duplicate_key"}
    assert {kind for _, kind, _ in ODD.values()} == anomalies.KINDS.keys() - whole


def test_where_much_is_missing_only_another_spelling_is_odd() -> None:
    found = find(
        {"c": [*[None] * 60, "-", *["note"] * 20, *["gift"] * 19], "n": NUMBERS * 2 + ["1"] * 20}
    )
    assert rows(found["missing", "c"]) == [61]
    assert found["missing", "c"].facts["spelled"] == ["-"]
    assert not find({"c": [*["NA"] * 60, *["note"] * 40], "n": [str(n) for n in range(100)]})


def test_white_space_that_is_usual_is_no_anomaly() -> None:
    assert not find({"c": [f"{word} " for word in "abcdefgh"], "n": list("12345678")})


def test_rows_that_are_there_twice_are_found() -> None:
    found = find({"a": [*NUMBERS, "10"], "b": [*NUMBERS, "10"]})
    assert rows(found["duplicate_row", ""]) == [41]


def test_rows_may_be_alike_where_many_are() -> None:
    assert not find({"a": ["1", "2"] * 20})


def test_a_given_key_that_is_there_twice_is_found() -> None:
    cells: dict[str, list[Cell]] = {"k": ["a", "b", "a", None, None, "c"], "v": list("123456")}
    found = find({**cells, "k2": ["x"] * 6}, ["k", "k2"])
    assert rows(found["duplicate_key", "k"]) == [3]
    assert found["duplicate_key", "k"].facts == {"columns": ["k", "k2"], "given": True}


def test_a_column_called_id_is_a_key_if_its_values_are_all_but_unique() -> None:
    ids = [f"id{n}" for n in range(60)]
    columns = {"orderId": [*ids, "id7"], "v": [str(n) for n in range(61)]}
    assert not find(columns)["duplicate_key", "orderId"].facts["given"]
    assert not find({"grid": [*ids, "id7"], "v": columns["v"]})
    assert not find({"orderId": ids[:2] * 30 + ["id7"], "v": columns["v"]})


def test_numbers_that_only_name_have_no_outliers() -> None:
    assert not find({"user_id": [*NUMBERS, "900000"], "n": [*NUMBERS, "9"]})
    assert not find({"inode": [*map(str, range(100)), "99999999"]})


def test_a_key_that_is_not_there_is_an_error() -> None:
    with pytest.raises(
        ValueError, match="\"key\" names the column 'k', which is not there; there are a"
    ):
        find({"a": ["1"]}, ["k"])


def test_what_rules_have_settled_is_no_anomaly() -> None:
    ranged = {"kind": "range", "column": "n", "do": "clip", "min": 0, "max": 45}
    assert rows(find({"n": NUMBERS}, rules=[ranged])["outlier", "n"]) == [37, 38, 39, 40]
    emptied = {"kind": "type", "column": "n", "type": "integer"}
    assert not find({"n": [*NUMBERS, None]}, rules=[emptied])
    days: list[Cell] = [*["2024-01-02"] * 20, "9999-12-31"]
    dated = {"kind": "date", "column": "d", "format": "%Y-%m-%d", "max": "9999-12-31"}
    assert not find({"d": days, "n": NUMBERS[:21]}, rules=[dated])


def test_a_range_is_rounded_outwards() -> None:
    far = find({"c": [*[f"{n}.5" for n in range(100, 200)], "0.001", "9999.5"]})
    assert "outside " in far["outlier", "c"].why
    assert far["outlier", "c"].facts["max"] == 377.0
    both = find({"c": [*NUMBERS, "-4000"], "n": [*NUMBERS, "9"]})["outlier", "c"]
    assert (both.facts["max"], both.facts["min"]) == (None, -0.0)


def test_a_column_may_have_one_fence() -> None:
    counts = [*["1"] * 60, *["2"] * 20, *["3"] * 12, *["4"] * 8, "900"]
    found = find({"c": counts, "n": [str(n) for n in range(101)]})["outlier", "c"]
    assert found.why.startswith("outside … to ")


def test_an_outlier_says_why() -> None:
    why = find({"c": [*NUMBERS, "4000"], "n": [*NUMBERS, "9"]})["outlier", "c"].why
    assert "the median being 30; robust z-score > " in why


def test_a_few_negative_numbers_say_why_and_are_told_in_later_rounds_too() -> None:
    cells: dict[str, list[Cell]] = {"c": [*NUMBERS, "-4000"], "n": [*NUMBERS, "9"]}
    first = find(cells)["outlier", "c"]
    assert first.why == "negative, as hardly any other is, the median being 29"
    capped = {"kind": "range", "column": "c", "do": "clip", "max": 45}
    later = find({**cells, "c": [*NUMBERS[:36], *["45"] * 4, "-4000"]}, rules=[capped])
    assert rows(later["outlier", "c"]) == [41]
    assert later["outlier", "c"].facts["sign"]


def test_a_gap_may_be_filled_with_a_median_or_a_common_value() -> None:
    number = find({"c": ["1", "2", "2", "3", "9", "5", "4", None]})["missing", "c"].facts
    assert (number["fill"], number["share"]) == ("3", None)
    common = find({"c": [*["a"] * 10, *["b"] * 5, None]})["missing", "c"].facts
    assert (common["fill"], common["share"]) == ("a", 0.6667)
    rare = find({"c": [*["a", "b", "c"] * 5, None], "n": list("0123456789abcdef")})
    assert rare["missing", "c"].facts["fill"] is None
    text = find({"c": [*"abcdefgh", None]})["missing", "c"].facts
    assert text["fill"] is None


def table_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return tables.from_rows(rows)


def stats() -> list[dict[str, Any]]:
    library = Path(sysconfig.get_path("stdlib"))
    paths = sorted(path for path in library.rglob("*.py") if "site-packages" not in path.parts)
    return [
        {"path": str(path), "size": info.st_size, "mode": info.st_mode, "inode": info.st_ino}
        for path in paths
        for info in [path.stat()]
    ]


def letters() -> list[dict[str, Any]]:
    return [
        {
            "code": f"U+{number:04X}",
            "name": unicodedata.name(chr(number), None),
            "category": unicodedata.category(chr(number)),
            "direction": unicodedata.bidirectional(chr(number)) or None,
            "width": unicodedata.east_asian_width(chr(number)),
            "combining": unicodedata.combining(chr(number)),
        }
        for number in range(0x100, 0x2000)
    ]


OUTSIDE: dict[str, tuple[Any, int]] = {
    "files": (stats, 2),
    "letters": (letters, 60),  # the columns of letters without a name or a direction are sparse
    "topics": (lambda: [{"t": k, "text": v, "size": len(v)} for k, v in topics.topics.items()], 0),
    "statuses": (
        lambda: [{"n": s.value, "name": s.name, "says": s.phrase} for s in http.HTTPStatus],
        0,
    ),
    "locales": (lambda: [{"a": k, "locale": v} for k, v in locale.locale_alias.items()], 0),
    "zones": (
        lambda: [
            {"z": z, "area": z.partition("/")[0]} for z in sorted(zoneinfo.available_timezones())
        ],
        0,
    ),
    "types": (lambda: [{"end": k, "type": v} for k, v in mimetypes.types_map.items()], 0),
    "errors": (
        lambda: [{"n": n, "name": k, "says": os.strerror(n)} for n, k in errno.errorcode.items()],
        0,
    ),
    "codecs": (
        lambda: [
            {"a": k, "codec": v, "name": codecs.lookup("utf-8").name}
            for k, v in encodings.aliases.aliases.items()
        ],
        0,
    ),
}


@pytest.mark.parametrize(("make", "most"), OUTSIDE.values(), ids=OUTSIDE.keys())
def test_tables_that_nobody_spoilt_raise_few_alarms(make: Any, most: int) -> None:
    text = tables.texts(table_of(make()))
    found = anomalies.find(text, anomalies.study(text))
    assert sum(one.count for one in found) <= most, [
        (one.kind, one.column, one.count) for one in found
    ]
