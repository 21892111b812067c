"""Every flip of every bit that records are stored in is found, and whatever is done to whole records.

What the records' own chains leave open, a checkpoint over the journal finds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from stenograph.journal.verifying import Stored
from tests.figures import Figure
from tests.journal.tampering import RUNS, Tampered, flips_of, make_journal, renumbered, rows_of


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Tampered:
    path: Path = tmp_path_factory.mktemp("tampering") / "journal.db"
    asyncio.run(make_journal(path))
    return Tampered(rows_of(path))


def told(figure: Figure, what: str, counts: Counter[str]) -> None:
    total = sum(counts.values())
    listed = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    figure(f"{what}: {total:,} of {total:,} found ({listed})")


@pytest.mark.parametrize("field", ["at", "type", "hash", "data", "erased", "seq"])
def test_every_flip_within_a_record_is_found_in_that_record(
    whole: Tampered, field: str, figure: Figure
) -> None:
    found: Counter[str] = Counter()
    for place, row in enumerate(whole.rows):
        for value in flips_of(getattr(row, field)):
            assert whole.is_found([*whole.rows[:place], replace(row, **{field: value})], place)
            found[field] += 1
    told(figure, f"flips of bits in record.{field}", found)


def test_every_flip_of_an_offset_is_found(whole: Tampered, figure: Figure) -> None:
    found: Counter[str] = Counter()
    for place, row in enumerate(whole.rows):
        for value in flips_of(row.offset):
            others = whole.rows[:place] + whole.rows[place + 1 :]
            to = min(max(value - 1, 0), len(others))  # where a scan in order meets it
            rows = [*others[:to], replace(row, offset=value), *others[to:]]
            assert whole.is_found(rows, min(place, to))
            found["offset"] += 1
    told(figure, "flips of bits in record.offset", found)


def test_every_flip_of_a_stream_is_found(whole: Tampered, figure: Figure) -> None:
    """A record's, and those of the stream's own row, which all of its records are read with."""
    found: Counter[str] = Counter()
    streams = {row.stream: (row.run_id, row.created_at) for row in whole.rows}
    for place, row in enumerate(whole.rows):
        for value in flips_of(row.stream):
            run_id, created_at = streams.get(value, (None, None))
            changed = replace(row, stream=value, run_id=run_id, created_at=created_at)
            assert whole.is_found([*whole.rows[:place], changed, *whole.rows[place + 1 :]], place)
            found["record.stream"] += 1
    for number in streams:
        begin = next(n for n, row in enumerate(whole.rows) if row.stream == number)
        for field in ("run_id", "created_at", "number"):
            first = whole.rows[begin]
            for value in flips_of(getattr(first, "stream" if field == "number" else field)):
                lost = {"run_id": None, "created_at": None}
                change: dict[str, Any] = lost if field == "number" else {field: value}
                rows = [
                    replace(row, **change) if row.stream == number else row for row in whole.rows
                ]
                assert whole.is_found(rows, begin)
                found[f"stream.{field}"] += 1
    told(figure, "flips of bits in streams", found)


def test_every_record_that_is_taken_out_is_found(whole: Tampered, figure: Figure) -> None:
    found: Counter[str] = Counter()
    for place in range(len(whole.rows)):
        rows = whole.rows[:place] + whole.rows[place + 1 :]
        count(whole, rows, place, found)
        count(whole, renumbered(rows), place, found)
    told(figure, "records taken out, with a gap and without", found)


def test_every_swap_of_two_records_is_found(whole: Tampered, figure: Figure) -> None:
    found: Counter[str] = Counter()
    for one, other in combinations(range(len(whole.rows)), 2):
        rows = whole.rows[:]
        first, second = rows[one], rows[other]
        rows[one], rows[other] = replace(second, offset=one + 1), replace(first, offset=other + 1)
        count(whole, rows, one, found)
    told(figure, "swaps of two records", found)


def test_every_record_that_is_doubled_is_found(whole: Tampered, figure: Figure) -> None:
    found: Counter[str] = Counter()
    for place, row in enumerate(whole.rows):
        for to in range(place + 1, len(whole.rows) + 1):
            rows = renumbered([*whole.rows[:to], row, *whole.rows[to:]])
            count(whole, rows, place, found)
    told(figure, "records doubled", found)


def test_every_cut_and_every_missing_run_is_found(whole: Tampered, figure: Figure) -> None:
    found: Counter[str] = Counter()
    for end in range(len(whole.rows)):
        count(whole, whole.rows[:end], end, found)
    told(figure, "tails cut off", found)
    found = Counter()
    for some in range(1, 2 ** len(RUNS)):
        gone = {name for n, name in enumerate(RUNS) if some >> n & 1}
        rows = [row for row in whole.rows if row.run_id not in gone]
        count(whole, rows, 0, found)
        count(whole, renumbered(rows), 0, found)
    told(figure, "sets of runs taken out, with a gap and without", found)


def count(whole: Tampered, rows: list[Stored], begin: int, found: Counter[str]) -> None:
    if whole.is_found(rows, begin):
        found["by the chains"] += 1
    else:
        assert whole.is_witnessed(rows)
        found["with a checkpoint"] += 1
