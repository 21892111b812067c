"""An engine's half of a journal, to be killed: says `ready`, then a line for each acknowledgement.

``writing_process.py FILE APPENDERS``: each appender writes to a stream of its own, for ever.
"""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import count

from stenograph.journal import Journal, NewRecord, open_journal

AT = "2026-11-20T22:55:01.123456Z"


def say(lines: str) -> None:
    os.write(1, lines.encode())  # in one piece: a pipe takes so little whole or not at all


async def write(journal: Journal, run_id: str) -> None:
    seq = 0
    for n in count():
        records = [NewRecord("note", b'{"n":%d}' % n, AT)] * (n % 5 + 1)
        written = await journal.append(run_id, records, expected_seq=seq)
        say("".join(f"{run_id} {record.seq} {record.hash}\n" for record in written))
        seq += len(records)


async def main(path: str, appenders: int) -> None:
    async with open_journal(path) as journal:
        say("ready\n")
        await asyncio.gather(*(write(journal, f"run-{n}") for n in range(appenders)))
        await asyncio.Event().wait()  # nobody writes: hold the journal until killed


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
