"""The classic answer, over histories of every kind."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from stenograph.engine import Engine, decode, fold
from stenograph.http.operations.logbook import answer_of, classic_answer
from stenograph.http.shapes.classic_wire import ClassicAnswer
from stenograph.journal import MemoryJournal, NewRecord, Record
from tests.golden_histories import GOLDEN, read_history

HISTORIES = sorted(GOLDEN.glob("*/*.ndjson"))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_the_log_shows_the_states_that_the_history_folds_to(path: Path) -> None:
    records = read_history(path)
    events = list(map(decode, records))
    answer = await answered(records)
    shown = {each.seq: each.state for each in answer.logs if isinstance(each.state, Raw)}
    folded = {seq: fold(events[:seq]).state.to_json() for seq in shown}
    assert {seq: bytes(state) for seq, state in shown.items()} == folded
    assert len(shown) == len(answer.logs)


async def answered(records: list[Record]) -> ClassicAnswer:
    """Return what is answered to who reads a run, which is what one who waited for it is told."""
    async with MemoryJournal() as journal, Engine(journal, recover=False) as engine:
        run_id = records[0].run_id
        new = [NewRecord(each.type, each.data, each.at) for each in records]
        await journal.append(run_id, new, expected_seq=0)
        read = await classic_answer(engine, run_id)
        waited = await answer_of(engine, await engine.get(run_id))
    assert msgspec.json.encode(read) == msgspec.json.encode(waited)
    return read
