from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stenograph.workflows.table import table_limits, tables
from stenograph.workflows.table.tables import ROW


def read(folder: Path, name: str, content: bytes) -> pl.DataFrame:
    (folder / name).write_bytes(content)
    return tables.read(folder / name, name)


CSVS = {
    "quotes": (b'a,b\n"1,5","say ""hi"""\n', [("1,5", 'say "hi"')]),
    "semicolons and a byte order mark": (b"\xef\xbb\xbfa;b\n1,5;x\n", [("1,5", "x")]),
    "tabs": (b"a\tb\n1\t2\n", [("1", "2")]),
    "CR LF": (b"a,b\r\n1,2\r\n", [("1", "2")]),
    "blank lines": (b"\n\na,b\n\n1,2\n\n3,4\n\n", [("1", "2"), ("3", "4")]),
    "a short row": (b"a,b\n1\n3,4\n", [("1", None), ("3", "4")]),
    "a quote within": (b'a,b\n1,2 "inch\n3\n\n', [("1", '2 "inch'), ("3", None)]),
    "a separator in a quoted name": (b'"a, b";"c,,";d\n1;2;3\n', [("1", "2", "3")]),
    "the separator said, as spreadsheets do": (
        b"\xef\xbb\xbfsep=;\r\na,b;c\r\n1;2\r\n",
        [("1", "2")],
    ),
    "a comma in a quoted name": (b'"a, b",c\n1,2\n', [("1", "2")]),
    "a column without a name": (b"a,\n1,2\n", [("1", "2")]),
    "one column with an empty cell": (b"a\n1\n\n2\n", [("1",), (None,), ("2",)]),
    "no line end": (b"a,b\n1,2", [("1", "2")]),
}


@pytest.mark.parametrize(("content", "rows"), CSVS.values(), ids=CSVS.keys())
def test_a_csv_is_read_as_text(content: bytes, rows: list[Any], tmp_path: Path) -> None:
    assert read(tmp_path, "a.csv", content).rows() == rows


REFUSED = {
    "empty": ("a.csv", b"", "a.csv is empty"),
    "white": ("a.csv", b" \n \n", "a.csv is empty"),
    "header alone": ("a.csv", b"a,b\n", "a.csv has a header and no rows"),
    "names twice": ("a.csv", b"a,a\n1,2\n", "two columns are called 'a'; rename one"),
    "long row": ("a.csv", b"\na,b\n1,2\n1,2,3\n", "line 4 is no CSV: 3 cells, but 2 columns"),
    "open quote": ("a.csv", b'a,b\n1,2\n"3,4\n5,6\n', "line 3 is no CSV: unexpected end of data"),
    "open name": ("a.csv", b'"a,b\n1,2\n', "line 1, the names of the columns, is no CSV"),
    "Latin-1": ("a.csv", b"a,b\n1,\xe9\n", r"line 2 is not UTF-8 \(byte 0xE9\)"),
    "mixed": ("a.csv", b"a\n" + "é\n".encode() * 400_000 + b"\xe9\n", "line 400,002 is not UTF-8"),
    "cut off": ("a.csv", b"a\n\xc3", "line 2 is not UTF-8"),
    "null byte": ("a.csv", b"a,b\n1,\x002\n", "line 2 holds a null byte"),
    "CR alone": ("a.csv", b"a,b\r1,2\r", "ends its lines with CR alone"),
    "name with a line": ("a.csv", b'"a\nb",c\n1,2\n', r"'a\\nb' cannot name a column"),
    "many columns": ("a.csv", b",".join(b"c%d" % n for n in range(257)), "more than 256 columns"),
    "long line": (
        "a.csv",
        b"a,b\n1,2\n" + b"," * 2_000_000,
        "line 3 has more than 1,048,576 bytes",
    ),
    "long record": (
        "a.csv",
        b'a,b\n1,2\n"' + b"x,\n" * 50_000 + b'y"z,",\n' + b'\n"",' * 400_000,
        "line 3 is no CSV",
    ),
    "endless cell": (
        "a.csv",
        b'a,b\n1,2\n"' + b"x,y\n" * 50_000 + b'1,2 "inch\n',
        "line 3 is no CSV: a cell is very long; a quote may be missing; mend",
    ),
    "endless record": ("a.csv", b'a,b\n1,2\n"' + b'",",\n' * 300_000, "a quote may be missing"),
    "many rows": ("a.csv", b"a\n" + b"1\n" * 2_000_001, "2,000,000 are the most"),
    "many cells": (
        "a.csv",
        b",".join(b"c%d" % n for n in range(200)) + b"\n" * 200_000,
        "20,000,000 cells are the most",
    ),
    "spreadsheet": ("a.xlsx", b"PK", "no table by its name; it must end in .csv"),
    "no Parquet": ("a.parquet", b"hello", "a.parquet cannot be read as Parquet"),
    "no JSON": ("a.json", b"[", "a.json is no JSON"),
    "deep JSON": ("a.json", b"[" * 100_000, "a.json is no JSON"),
    "an object": ("a.json", b"{}", "a table is a list of objects"),
    "no rows": ("a.json", b"[]", "with at least one row"),
    "no objects": ("a.json", b'[{"a":1},2]', "row 2 is 2, which is no object"),
    "no columns": ("a.json", b"[{}]", "a.json has no columns"),
    "wide JSON": ("a.json", b"[{%s}]" % b",".join(b'"c%d":1' % n for n in range(257)), "257|256"),
    "a bad line": ("a.ndjson", b'{"a":1}\n{bad\n', "line 2 is no JSON"),
}


@pytest.mark.parametrize(("name", "content", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_table_is_refused_in_a_sentence(
    name: str, content: bytes, says: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=says):
        read(tmp_path, name, content)


def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(table_limits.SIZES, "csv", 3)
    with pytest.raises(ValueError, match="has 4 bytes, and a csv file may have 3: split it"):
        read(tmp_path, "a.csv", b"a\n1\n")


def test_a_slow_csv_is_put_together_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_limits, "BATCH", 2)
    found = read(tmp_path, "a.csv", b'a,b\n1,2 "inch\n3,4\n5,6\n')
    assert found.rows() == [("1", '2 "inch'), ("3", "4"), ("5", "6")]


def test_long_files_with_short_lines_are_read(tmp_path: Path) -> None:
    assert read(tmp_path, "a.csv", b"a,b\n" + b"1,2\n" * 400_000).height == 400_000


def test_json_rows_become_text(tmp_path: Path) -> None:
    rows = b'{"a": 1, "b": true}\n\n{"a": 2.5, "c": [1]}\n'
    found = read(tmp_path, "a.ndjson", rows)
    assert found.rows() == [("1", "true", None), ("2.5", None, "[1]")]
    assert read(tmp_path, "a.json", b'[{"a": "x"}]').rows() == [("x",)]


def test_a_parquet_file_keeps_its_types_until_they_are_text(tmp_path: Path) -> None:
    table = pl.DataFrame({"n": [1, None], "f": [0.5, 2.0], "d": [datetime.date(2024, 1, 2)] * 2})
    table = table.with_columns(
        list=pl.Series([[1], []]), bytes=pl.Series([b"x", b"y"]), x=pl.Series([Decimal("1.50")] * 2)
    )
    table.write_parquet(tmp_path / "a.parquet")
    found = tables.read(tmp_path / "a.parquet", "a.parquet")
    assert found.equals(table)
    text = tables.texts(found)
    assert text.rows() == [
        (1, "1", "0.5", "2024-01-02", "1.50"),
        (2, None, "2.0", "2024-01-02", "1.50"),
    ]
    assert tables.columns_of(text) == ["n", "f", "d", "x"]


def test_a_parquet_file_without_rows_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1]}).clear().write_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet has no rows"):
        tables.read(tmp_path / "a.parquet", "a.parquet")


def test_a_small_parquet_file_with_much_text_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pl.DataFrame({"a": ["x" * 1000] * 1000}).write_parquet(tmp_path / "a.parquet")
    monkeypatch.setattr(table_limits, "BYTES_MAX", 100_000)
    with pytest.raises(ValueError, match="holds more than 100,000 bytes of text"):
        tables.read(tmp_path / "a.parquet", "a.parquet")


def test_a_parquet_file_that_is_broken_within_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"a": [str(n) for n in range(5000)]}).write_parquet(path, compression="zstd")
    content = bytearray(path.read_bytes())
    content[40:400] = b"\xff" * 360
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as Parquet"):
        tables.read(path, "a.parquet")


def test_cells_that_are_as_they_were_keep_their_values() -> None:
    table = pl.DataFrame(
        {
            "int": [1, 2, 3],
            "float": [0.1, 1e300, 2.5],
            "bool": [True, False, None],
            "day": [datetime.date(2024, 1, 1)] * 3,
            "time": [datetime.datetime(2024, 1, 1, 12, tzinfo=None)] * 3,  # noqa: DTZ001
            "text": ["x", "y", "z"],
            "list": [[1], [2], [3]],
        }
    )
    before = tables.texts(table)
    assert tables.restored(before, before, table).equals(table)
    changed = before.with_columns(
        int=pl.Series(["1", "2.0", None]),
        float=pl.Series(["0.1", "1e+300", "7"]),
        bool=pl.Series(["true", "true", None]),
        day=pl.Series(["2024-01-01", "2025-02-03", None]),
        time=pl.Series([before["time"][0], "2025-02-03T00:00:00", None]),
        text=pl.Series(["x", "Y", None]),
    )[[0, 1, 2]].filter(pl.col(ROW) != 3)
    back = tables.restored(changed, before, table)
    assert back.schema == table.schema
    assert back.row(0) == table.row(0)
    noon = datetime.datetime(2025, 2, 3)  # noqa: DTZ001
    assert back.row(1) == (2, 1e300, True, datetime.date(2025, 2, 3), noon, "Y", [2])


@pytest.mark.parametrize("name", ["sales[2024].parquet", "*.parquet", "a{b,c}?.parquet"])
def test_a_parquet_file_is_one_file_whatever_its_name(name: str, tmp_path: Path) -> None:
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / name)
    pl.DataFrame({"a": [2]}).write_parquet(tmp_path / "other.parquet")
    assert tables.read(tmp_path / name, name).rows() == [(1,)]


def test_a_folder_named_as_a_pattern_leads_nowhere_else(tmp_path: Path) -> None:
    for folder, value in (("*", "mine"), ("other", "foreign")):
        (tmp_path / folder).mkdir()
        pl.DataFrame({"a": [value]}).write_parquet(tmp_path / folder / "x.parquet")
    assert tables.read(tmp_path / "*" / "x.parquet", "x.parquet").rows() == [("mine",)]
