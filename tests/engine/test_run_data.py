"""A run as data is the run: whatever comes later, it goes on as if it had been folded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from stenograph.engine import Engine, Event, Run, decode, fold
from stenograph.engine.core.events import BranchEnded
from stenograph.engine.core.run_data import FORMAT, UnknownData, from_bytes, to_bytes
from stenograph.engine.state.state import State
from stenograph.journal import MemoryJournal, Record
from tests.crashes import drive
from tests.golden_histories import GOLDEN, end_of, read_history
from tests.graphs import SAMPLES, TOOLS, Sample, mapped

HISTORIES = sorted(GOLDEN.glob("*/*.ndjson"))


def seen(run: Run) -> tuple[Any, ...]:
    """All that later events, and readers, can see of a run."""
    phases = {phase: count for phase, count in run.phases.items() if count}
    scopes = [(path, each.graph, each.state.size) for path, each in run.scopes.items()]
    return msgspec.json.encode(end_of(run)), phases, [run.graph, *scopes]


def check(events: Sequence[Event]) -> None:
    """For each point: the run, taken from there as data, is and becomes what the fold says."""
    whole = seen(fold(events))
    run = Run()
    for done, event in enumerate(events, 1):
        run = fold([event], run)
        data = to_bytes(run)
        twin = from_bytes(data)
        assert seen(twin) == seen(run)
        assert to_bytes(twin) == data
        assert seen(fold(events[done:], twin)) == whole


async def history(sample: Sample) -> list[Record]:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await drive(engine, sample)
        return await journal.read("run")


@pytest.mark.parametrize("name", SAMPLES)
async def test_a_run_as_data_goes_on_as_the_fold_does(name: str) -> None:
    check(list(map(decode, await history(SAMPLES[name]))))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_histories_of_before_go_on_from_data(path: Path) -> None:
    check(list(map(decode, read_history(path))))


async def test_branches_share_in_the_data_what_they_share_in_the_run() -> None:
    """A thousand branches over a large state take no thousand states."""
    sample = Sample(
        mapped("double", width=None), {"items": list(range(50)), "large": "x" * 100_000}
    )
    events = list(map(decode, await history(sample)))
    at = next(n for n, event in enumerate(events) if isinstance(event.data, BranchEnded))
    run = fold(events[:at])
    assert len(run.scopes) == 51
    assert len(to_bytes(run)) < 120_000


def test_other_formats_and_damage_are_refused() -> None:
    data = to_bytes(fold(map(decode, read_history(HISTORIES[0]))))
    with pytest.raises(UnknownData, match=f"format 999; this version reads format {FORMAT}"):
        from_bytes(data.replace(b'{"format":2,', b'{"format":999,', 1))
    for broken in (b"", b"[]", data[:-1], b'{"format":2}', data.replace(b'"scopes"', b'"scoops"')):
        with pytest.raises(UnknownData):
            from_bytes(broken)
    with pytest.raises(UnknownData, match="no run can be read"):
        from_bytes(data.replace(b'"path":"/"', b'"path":"/gone#1[0]/"'))


KEYS = some.sampled_from(["a", "b", "c", "d", "ä/~"])
VALUES = some.sampled_from([b"1", b"null", b'"x"', b"[1,2]"])
STATES = some.lists(some.tuples(KEYS, VALUES)).map(dict)


@given(base=STATES, gone=some.lists(KEYS), extra=some.lists(some.tuples(KEYS, VALUES)))
def test_a_branch_is_what_its_fork_gave_it_and_what_has_changed(
    base: dict[str, bytes], gone: list[str], extra: list[tuple[str, bytes]]
) -> None:
    from stenograph.engine.core.run_data import _delta

    parent = State(base)
    child = parent.child({}, gone)
    for key, value in extra:
        child = child.child({key: value})
    less, more, alone = _delta(parent, child)
    twin = (State({}) if alone else parent).child({k: bytes(v) for k, v in more.items()}, less)
    assert twin.to_json() == child.to_json()
