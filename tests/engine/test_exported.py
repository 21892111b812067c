"""The file of a run: what it says, and that whatever is changed in one is found."""

from __future__ import annotations

import gzip
import json
from hashlib import sha256

import pytest

from stenograph.engine.errors import ExportRefused
from stenograph.engine.export.exported import (
    FORMAT,
    ExportHeader,
    ExportReader,
    ExportWriter,
    read_export,
)
from stenograph.journal import GENESIS, Record, chain_hash

EVENTS = 60


def some_records(count: int = EVENTS) -> list[Record]:
    records: list[Record] = []
    previous = GENESIS
    for seq in range(1, count + 1):
        at = f"2026-11-20T22:00:{seq % 60:02}.000001Z"
        data = json.dumps({"scope": "/", "é": seq}).encode()
        previous = chain_hash("r-1", seq, previous, at, "log", data)
        records.append(Record(seq * 3, "r-1", seq, at, "log", data, previous))
    return records


def exported(records: list[Record], **other: object) -> bytes:
    writer = ExportWriter()
    said = {
        "stenograph": FORMAT,
        "run_id": "r-1",
        "journal": "0123456789abcdef",
        "head": len(records),
        "hash": records[-1].hash,
        "graphs": [],
        "tools": [],
        "exported_at": "2026-11-20T23:00:00.000000Z",
    }
    header = ExportHeader(**{**said, **other})  # type: ignore[arg-type]
    return writer.begin(header) + writer.add(records) + writer.end()


FILE = exported(some_records())


def refusal(data: bytes) -> ExportRefused:
    with pytest.raises(ExportRefused) as caught:
        read_export([data])
    return caught.value


def test_what_was_written_is_read_whatever_the_pieces() -> None:
    for size in (1, 7, 4096, len(FILE)):
        pieces = [FILE[at : at + size] for at in range(0, len(FILE), size)]
        assert read_export(pieces).records == some_records()
    assert read_export([gzip.compress(FILE)]).header.head == EVENTS


def test_the_last_line_is_the_digest_of_every_byte_before_it() -> None:
    before, last = FILE[: FILE.rindex(b"{")], FILE[FILE.rindex(b"{") :]
    assert json.loads(last) == {"sha256": sha256(before).hexdigest()}


def test_a_new_digest_does_not_hide_a_changed_event() -> None:
    lines = FILE.splitlines(keepends=True)
    lines[30] = lines[30].replace('"é"'.encode(), b'"e"').replace(b"\\u00e9", b"e")
    body = b"".join(lines[:-1])
    forged = body + b'{"sha256":"%b"}\n' % sha256(body).hexdigest().encode()
    assert (refusal(forged).line, refusal(forged).sound) == (31, 29)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"hello\n", "does not begin as"),
        (b"", "cut off"),
        (exported(some_records(), stenograph="run/2"), "use a later version"),
        (exported(some_records(), run_id="graph/x"), "no id of a run"),
        (exported(some_records(), run_id="r-2"), "not of r-2"),
        (exported(some_records(), head=59), "end otherwise"),
        (FILE + b"\n", "something follows"),
        (FILE[: FILE.index(b"\n") + 1] + b'{"a":1}\n', "no event"),
        (FILE[: FILE.index(b"\n") + 1] + b"[" * 5000 + b"\n", "no event"),
        (b"{" + b"x" * (5 * 1024 * 1024), "a line may have"),
        (gzip.compress(FILE, mtime=0)[:-1], "compressed file is cut off"),
        (gzip.compress(FILE, mtime=0) + b"x", "follows the end of the compressed"),
        (b"\x1f\x8bnot gzip", "cannot be decompressed"),
        (gzip.compress(b"\n".join([b"x" * 1000] * 3), mtime=0), "does not begin as"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, why: str) -> None:
    assert why in str(refusal(data))


def test_a_small_file_that_grows_without_end_is_stopped() -> None:
    reader = ExportReader(most=len(FILE) - 1)
    with pytest.raises(ExportRefused, match="uncompressed"):
        reader.feed(gzip.compress(FILE))


def test_without_keeping_only_the_hashes_are_held() -> None:
    reader = ExportReader(keep=False)
    reader.feed(FILE)
    assert reader.run().records == []
    assert reader.seq == EVENTS
