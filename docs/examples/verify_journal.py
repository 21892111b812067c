"""Verify a journal's file with Python's standard library alone: python verify_journal.py steno.db

Prints each record that is not what its hash says, and exits with 5 when there is one.
"""

import hashlib
import json
import sqlite3
import sys
from pathlib import Path

ROWS = """
    SELECT offset, number, run_id, created_at, seq, at, type, hash, erased, data
    FROM record LEFT JOIN stream ON number = stream ORDER BY offset
"""
KINDS = [str, str, int, str, str, bytes, int, bytes]


def sha256(data):
    """Return a digest as hex digits."""
    return hashlib.sha256(data).hexdigest()


def verify(path):
    """Yield what is wrong, a line each."""
    db = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
    db.text_factory = lambda raw: raw.decode(errors="backslashreplace")
    heads, tally, last = {}, "0" * 64, 0
    for offset, number, run_id, created_at, seq, at, type_, hash_, erased, data in db.execute(ROWS):
        where = f"offset {offset}, {run_id} seq {seq}"
        if offset != last + 1:
            yield f"{where}: stands after offset {last}"
        last = offset
        kinds = [type(each) for each in (run_id, created_at, seq, at, type_, hash_, erased, data)]
        if kinds != KINDS or erased not in (0, 1):
            yield f"{where}: a field is not of its kind"
            continue
        begun, head, previous, was_erased = heads.get(number, (run_id, 0, "0" * 64, 1))
        if number is None or (number not in heads and number != len(heads) + 1):
            yield f"{where}: its stream is {number}"
        if seq != head + 1:
            yield f"{where}: stands after seq {head}"
        if run_id != begun or (seq == 1 and created_at != at):
            yield f"{where}: its stream is another's"
        if erased and not was_erased:
            yield f"{where}: is erased, and the one before it is not"
        # What stands in place of erased data is its SHA-256.
        digest = data.hex() if erased else sha256(data)
        link = ["stenograph/1", run_id, seq, previous, at, type_, digest]
        text = json.dumps(link, separators=(",", ":"), ensure_ascii=False)
        if sha256(text.encode(errors="replace")) != hash_.hex():
            yield f"{where}: is not what its hash says"
        heads[number] = (run_id, seq, hash_.hex(), erased)
        tally_link = ["stenograph-journal/1", tally, offset, run_id, seq, hash_.hex()]
        tally = sha256(json.dumps(tally_link, separators=(",", ":")).encode())
    for run_id, seq, _, erased in heads.values():
        if erased:
            yield f"{run_id} seq {seq}: is erased, and nothing behind it tells of that"
    print(f"{last} records in {len(heads)} streams; tally {tally}", file=sys.stderr)


if __name__ == "__main__":
    faults = list(verify(sys.argv[1]))
    print("\n".join(faults) or "every hash follows from the one before it")
    sys.exit(5 if faults else 0)
