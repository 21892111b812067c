"""The classic answer: a run's state and its log, an entry a visit, all of one moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from msgspec import UNSET, Raw

from stenograph.engine import (
    Engine,
    Event,
    Run,
    RunView,
    SeqNotReached,
    UnknownRun,
    Visit,
    decode,
    evolve,
    fold,
    view,
    visits,
)
from stenograph.http.shapes.classic_wire import CLASSIC_MAX_BYTES, LOGS_MAX, ClassicAnswer, LogEntry
from stenograph.http.streaming.frames import sentence
from stenograph.journal import Record, are_few, run_at_length

LISTS = 3
"""How often an answer holds its log, and its state: under each name that earlier clients use."""
ENTRY_BYTES = 400
"""About what an entry takes without the state."""


async def classic_answer(engine: Engine, run_id: str, at: int | None = None) -> ClassicAnswer:
    """Return what a run is, now or right after event ``at``; raises UnknownRun, SeqNotReached."""
    records = await _history(engine, run_id, at)
    return await run_at_length(partial(_folded, records), at_once=are_few(records))


async def answer_of(engine: Engine, run: RunView) -> ClassicAnswer:
    """Return the same of a run that was just looked at, of which only the log is to be read."""
    records = await _history(engine, run.id, run.seq)
    return await run_at_length(partial(_told_of, run, records), at_once=are_few(records))


def _folded(records: Sequence[Record]) -> ClassicAnswer:
    events = list(map(decode, records))
    return _answer(view(fold(events)), events)


def _told_of(run: RunView, records: Sequence[Record]) -> ClassicAnswer:
    return _answer(run, list(map(decode, records)))


def _answer(run: RunView, events: Sequence[Event]) -> ClassicAnswer:
    rows = visits(events, ended=run.done)
    shown = rows[-LOGS_MAX:]
    room = CLASSIC_MAX_BYTES - LISTS * (len(run.state_json) + ENTRY_BYTES * len(shown))
    states = dict(_states_after(events, sorted(row.seq for row in shown), room // LISTS))
    log = [_entry(run.id, row, states.get(row.seq)) for row in shown]
    state = Raw(run.state_json)
    return ClassicAnswer(
        run_id=run.id,
        id=run.id,
        graph_id=run.graph_id,
        status=run.status,
        done=run.done,
        message=sentence(run),
        state=state,
        current_state=state,
        final_state=state if run.done else UNSET,
        logs=log,
        log=log,
        execution_log=log,
        error=run.error,
        errors=[] if run.error is None else [run.error],
        current_node=run.current[0] if run.current else None,
        current_nodes=list(run.current),
        waits=list(run.waits),
        created_at=run.created_at,
        started_at=rows[0].started_at if rows else None,
        updated_at=run.updated_at,
        finished_at=run.finished_at,
        seq=run.seq,
        head=run.seq,
        next=None if len(shown) == len(rows) else f"/runs/{run.id}/visits",
    )


async def _history(engine: Engine, run_id: str, at: int | None) -> list[Record]:
    found: list[Record] = []
    while records := await engine.journal.read(run_id, after=len(found)):
        found += records
        if at is not None and len(found) >= at:
            return found[:at]
    if not found:
        raise UnknownRun(run_id)
    if at is not None:
        raise SeqNotReached(run_id, asked=at, head=len(found))
    return found


def _states_after(
    events: Sequence[Event], seqs: Sequence[int], room: int
) -> Iterator[tuple[int, bytes]]:
    """Yield the state after each event of ``seqs``, in one pass, while there is room for it."""
    run = Run()
    done = 0
    for seq in seqs:
        for event in events[done:seq]:
            evolve(run, event)
        done = seq
        text = run.state.to_json()
        room -= len(text)
        if room < 0:
            return
        yield seq, text


def _entry(run_id: str, visit: Visit, state: bytes | None) -> LogEntry:
    return LogEntry(
        node=visit.node,
        node_id=visit.node,
        tool=visit.tool,
        status=visit.status,
        started_at=visit.started_at,
        finished_at=visit.finished_at,
        timestamp=visit.finished_at or visit.started_at,
        duration_ms=visit.duration_ms,
        message=visit.message or _told(visit),
        error=visit.error,
        seq=visit.seq,
        scope=visit.scope,
        visit=visit.visit,
        attempts=visit.attempts,
        to=visit.to,
        state=UNSET if state is None else Raw(state),
        state_url=UNSET if state is not None else f"/runs/{run_id}/state?at={visit.seq}",
    )


def _told(visit: Visit) -> str:
    """Return what a visit came to, for one whose tool did not say anything."""
    if visit.error is not None:
        return f"{visit.error.type}: {visit.error.message}"
    went = "" if visit.to is None else f", and went on to {visit.to}"
    return f"{visit.node} is {visit.status}{went}"
