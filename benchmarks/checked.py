"""Whether what a benchmark has made is whole: told by plain sqlite3 and SHA-256, not by the engine."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import msgspec

GENESIS = "0" * 64
ROWS = """
    SELECT run_id, seq, at, type, data, hash FROM record JOIN stream ON number = stream
    ORDER BY offset
"""


def ends(path: Path) -> dict[str, int]:
    """Return how many records each stream of a journal has.

    Raises RuntimeError where one is missing, or has not the hash that the chain prescribes.
    """
    last: dict[str, tuple[int, str]] = {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        for run_id, seq, at, type_, data, digest in db.execute(ROWS):
            count, previous = last.get(run_id, (0, GENESIS))
            link = ("stenograph/1", run_id, seq, previous, at, type_, sha256(data).hexdigest())
            if seq != count + 1 or sha256(msgspec.json.encode(link)).digest() != digest:
                raise RuntimeError(f"{path}: record {seq} of {run_id} does not follow from {count}")
            last[run_id] = seq, digest.hex()
    return {run_id: seq for run_id, (seq, _) in last.items()}
