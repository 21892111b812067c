"""What an older version wrote means for ever what it meant then."""

from __future__ import annotations

from pathlib import Path

import pytest

from stenograph.engine import decode, fold
from stenograph.engine.events import encode_payload
from stenograph.journal import GENESIS, chain_hash, envelope
from tests.golden_histories import GOLDEN, end_of, read_history, written

HISTORIES = sorted(GOLDEN.glob("*/*.ndjson"))


def named(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


def test_there_are_histories() -> None:
    assert len(HISTORIES) >= 20


@pytest.mark.parametrize("path", HISTORIES, ids=named)
def test_a_history_folds_to_the_run_it_always_was(path: Path) -> None:
    run = fold(map(decode, read_history(path)))
    assert written(end_of(run)) == path.with_suffix(".json").read_bytes()


@pytest.mark.parametrize("path", HISTORIES, ids=named)
def test_its_chain_of_hashes_holds(path: Path) -> None:
    previous = GENESIS
    for each in read_history(path):
        previous = chain_hash(each.run_id, each.seq, previous, each.at, each.type, each.data)
        assert each.hash == previous


@pytest.mark.parametrize("path", HISTORIES, ids=named)
def test_its_bytes_are_written_the_same_today(path: Path) -> None:
    """A version that writes an event otherwise keeps this history, and adds its own."""
    records = read_history(path)
    assert [encode_payload(decode(each).data) for each in records] == [
        each.data for each in records
    ]
    lines = path.read_bytes().splitlines()
    assert [envelope(each) for each in records] == lines
