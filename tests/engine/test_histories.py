"""What an older version wrote means for ever what it meant then."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from stenograph.engine import Engine, decode, fold, read_export
from stenograph.engine.core.events import encode_payload
from stenograph.journal import GENESIS, MemoryJournal, chain_hash, envelope
from tests.golden_histories import GOLDEN, end_of, read_history, written

HISTORIES = sorted(GOLDEN.glob("*/*.ndjson"))
EXPORTED = sorted(GOLDEN.glob("*/exported.ndjson.gz"))


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


@pytest.mark.parametrize("path", EXPORTED, ids=lambda path: path.parent.name)
async def test_an_exported_run_is_read_and_taken_in(path: Path) -> None:
    kept = read_history(path.with_name("forked-again.ndjson"))
    exported = read_export(unpacked(path))
    async with MemoryJournal() as journal, Engine(journal) as engine:
        run = await engine.import_run(exported)
        records = await journal.read("forked-again")
    assert (run.status, run.imported) == ("completed", True)
    assert [each.hash for each in records] == [each.hash for each in kept]
    assert [each.data for each in records] == [each.data for each in kept]


def test_there_are_exported_runs() -> None:
    assert EXPORTED


def unpacked(path: Path) -> list[bytes]:
    return [gzip.decompress(path.read_bytes())]
