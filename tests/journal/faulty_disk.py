"""A journal on a disk that fails at its calls in turn: `faulty_disk.py SHIM FOLDER EVERY`.

Runs with the shim preloaded, and prints what came of it as one line of JSON.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from stenograph.journal import (
    CannotOpen,
    JournalFailed,
    JournalFull,
    NewRecord,
    SqliteJournal,
    checkpoints,
    open_journal,
)

AT = "2026-11-20T22:55:01.123456Z"
APPENDS = 24
CHECKPOINT_PAGES = 40
"""So that checkpoints are among the calls that fail."""

Acknowledged: TypeAlias = dict[str, list[str]]
"""The hashes of what each stream was acknowledged to hold."""


class Outcome(Struct):
    """What a fault at each call has come to."""

    points: int = 0
    not_opened: int = 0
    stopped: int = 0
    refused: int = 0
    unharmed: int = 0
    tried: int = 0
    acknowledged: int = 0
    lost: int = 0
    damaged: int = 0


class Disk:
    """The shim, which this process has before libc."""

    def __init__(self, shim: str, folder: Path) -> None:
        self.library = ctypes.CDLL(shim)
        self.folder = os.fsencode(folder)

    def fail(self, at: int, error: int, *, sticky: bool) -> None:
        self.library.fault_arm(self.folder, ctypes.c_long(at), error, int(sticky))

    def mend(self) -> None:
        self.library.fault_arm(self.folder, ctypes.c_long(0), 0, 0)

    @property
    def has_failed(self) -> bool:
        return bool(self.library.fault_hits())


async def fault(disk: Disk, file: Path, fail: Callable[[], None], outcome: Outcome) -> bool:
    """Write with one fault to come, and see what is there afterwards; False if it never came."""
    held: Acknowledged = {}
    became = "unharmed"
    fail()
    try:
        async with open_journal(file) as journal:
            became = await write(journal, held, outcome, disk)
    except CannotOpen:
        became = "not_opened"
    has_failed = disk.has_failed
    disk.mend()
    if has_failed:
        outcome.points += 1
        setattr(outcome, became, getattr(outcome, became) + 1)
    await check(file, held, outcome)
    return has_failed


async def write(journal: SqliteJournal, held: Acknowledged, outcome: Outcome, disk: Disk) -> str:
    """Append to a few streams, making room once there is none; returns what became of that."""
    became = "unharmed"
    for number in range(APPENDS):
        run_id = f"run-{number % 3}"
        hashes = held.setdefault(run_id, [])
        note = NewRecord("note", b'"%s"' % (b"x" * (number % 5 * 9000)), AT)
        while True:
            outcome.tried += 1
            try:
                [record] = await journal.append(run_id, [note], expected_seq=len(hashes))
            except JournalFull:
                assert isinstance(journal.trouble, JournalFull)
                assert await read(journal, held) == held
                became = "refused"
                disk.mend()
            except JournalFailed:
                assert isinstance(journal.trouble, JournalFailed)
                assert await read(journal, held) == held
                return "stopped"
            else:
                hashes.append(record.hash)
                outcome.acknowledged += 1
                break
    assert journal.trouble is None or disk.has_failed
    return became


async def read(journal: SqliteJournal, held: Acknowledged) -> Acknowledged:
    """Return what is stored of streams, as far as they were acknowledged."""
    return {
        run_id: [record.hash for record in await journal.storage.read(run_id, 0, 1000)][
            : len(hashes)
        ]
        for run_id, hashes in held.items()
    }


async def check(file: Path, held: Acknowledged, outcome: Outcome) -> None:
    """Open the file anew: all that was acknowledged is there, sound, and can be written on."""
    async with open_journal(file) as journal:
        there = await read(journal, held)
        outcome.lost += sum(there[run_id] != hashes for run_id, hashes in held.items())
        verdict = await journal.verify()
        outcome.damaged += verdict is None or bool(verdict.findings)
        head = await journal.head("run-0")
        await journal.append("run-0", [NewRecord("note", b"1", AT)], expected_seq=head)


def remove(file: Path) -> None:
    for each in file.parent.glob(f"{file.name}*"):
        each.unlink()


async def main(shim: str, folder: Path, every: int) -> None:
    disk, outcomes = Disk(shim, folder), {}
    checkpoints.WAL_PAGES = CHECKPOINT_PAGES  # type: ignore[misc]
    for name, error in (("EIO", errno.EIO), ("ENOSPC", errno.ENOSPC)):
        for sticky in (False, True):
            outcome = outcomes[f"{name} {'from then on' if sticky else 'once'}"] = Outcome()
            for at in count(1, every):
                file = folder / f"{name}-{sticky}-{at}.db"
                fail = partial(disk.fail, at, error, sticky=sticky)
                if not await fault(disk, file, fail, outcome):
                    break
                remove(file)
    print(msgspec.json.encode(outcomes).decode())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
