"""A journal of 200 records to tamper with: several runs, erased records, secrets; and its tables."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

from msgspec.structs import replace

from stenograph.journal import NewRecord, open_journal
from stenograph.journal.stored import open_stored
from stenograph.journal.tally import Tally
from stenograph.journal.verifying import Checker, Stored

RECORDS = 200
RUNS = ("graph/loop", "r-1", "r-2", "order:7", "r-3", "a.b_c-d")
ERASED = ("r-2",)
INTEGERS = ("offset", "stream", "seq", "erased")

Field: TypeAlias = str


async def make_journal(path: Path) -> None:
    """Write 200 records in six streams, the runs' interleaved, and erase one run's."""
    chance = random.Random(7)
    heads = dict.fromkeys(RUNS, 0)
    async with open_journal(path, durability="normal") as journal:
        while sum(heads.values()) < RECORDS:
            begun = max(1, min(len(RUNS), sum(heads.values()) // 8))
            run_id = chance.choice(RUNS[:begun])
            most = min(chance.randint(1, 5), RECORDS - sum(heads.values()))
            records = [some_record(chance, heads[run_id] + 1 + n) for n in range(most)]
            await journal.append(
                run_id,
                records,
                expected_seq=heads[run_id],
                labels={"kind": "run", "status": "running"},
                secrets={"/token": b"s3cret"} if chance.random() < 0.2 else None,
            )
            heads[run_id] += most
    with closing(writable(path)) as db:
        for run_id in ERASED:
            db.execute(
                "UPDATE record SET erased = 1, data = sha256(data) "
                "WHERE stream = (SELECT number FROM stream WHERE run_id = ?) AND seq < ?",
                (run_id, heads[run_id]),
            )
        db.commit()


def some_record(chance: random.Random, seq: int) -> NewRecord:
    data = {"scope": "/", "node": chance.choice("abc"), "visit": seq, "é": chance.random()}
    at = f"2026-11-20T22:{seq // 60:02}:{seq % 60:02}.{chance.randrange(10**6):06}Z"
    return NewRecord(
        type=chance.choice(["node.entered", "log"]), data=json.dumps(data).encode(), at=at
    )


def writable(path: Path) -> sqlite3.Connection:
    """Open a journal as somebody does who means harm, or erases: triggers and all still hold."""
    db = sqlite3.connect(path)
    db.create_function("sha256", 1, lambda data: sha256(data).digest(), deterministic=True)
    return db


def rows_of(path: Path) -> list[Stored]:
    with open_stored(path) as file:
        rows: list[Stored] = []
        while page := file.records(len(rows)):
            rows += page
        return rows


class Tampered:
    """What verifying makes of rows that were changed in some place, from that place on."""

    def __init__(self, rows: list[Stored]) -> None:
        self.rows = rows
        self.checkers = [Checker()]
        for row in rows:
            checker = self.checkers[-1].copy()
            checker.take(row)
            self.checkers.append(checker)
        assert self.checkers[-1].findings.count == 0

    def is_found(self, rows: list[Stored], begin: int) -> bool:
        """Tell whether rows that are as they were up to ``begin`` are found to be bad."""
        checker = self.checkers[begin].copy()
        for row in rows[begin:]:
            checker.take(row)
            if checker.findings.count:
                return True
        return False

    def is_witnessed(self, rows: list[Stored]) -> bool:
        """Tell whether a checkpoint over the whole finds it."""
        return tally_of(rows) != tally_of(self.rows)


def tally_of(rows: list[Stored]) -> tuple[str, int]:
    tally = Tally()
    tally.take_all(rows)
    return tally.digest, tally.records


def flips_of(value: Any) -> Iterator[Any]:
    """Yield a stored value with each of its bits flipped, as a reader of the file gets it."""
    if isinstance(value, int):
        for bit in range(64):
            flipped = (value % 2**64) ^ (1 << bit)
            yield flipped - 2**64 if flipped >= 2**63 else flipped
        return
    data = bytearray(value.encode() if isinstance(value, str) else value)
    for place in range(len(data)):
        for bit in range(8):
            data[place] ^= 1 << bit
            flipped_text = bytes(data)
            yield (
                flipped_text.decode(errors="surrogateescape")
                if isinstance(value, str)
                else flipped_text
            )
            data[place] ^= 1 << bit


def renumbered(rows: list[Stored]) -> list[Stored]:
    """Return rows as somebody leaves them who hides that some are gone: offsets, streams, seqs."""
    streams: dict[Any, int] = {}
    return [
        replace(row, offset=n, stream=streams.setdefault(row.run_id, len(streams) + 1))
        for n, row in enumerate(rows, 1)
    ]
