"""Inheritance: what a run that is forked from another takes over, and how it goes on with it.

An event of the origin has in the fork a seq of 0 or less: 0 is the last one that it took over, -1
the one before. What ran is to be entered again, as work of the new run; waits stay open, and have
as long to go as they had then, but for those until a time of the calendar.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stenograph.engine.core.edges import compile_graph
from stenograph.engine.core.placing import move
from stenograph.engine.core.run import Run
from stenograph.engine.core.run_data import (
    KeptData,
    ScopeData,
    put_scopes,
    put_signals,
    scopes_data,
    signals_data,
)
from stenograph.engine.core.scopes import ROOT, Fork, Position, Scope
from stenograph.engine.core.standing import position_of
from stenograph.engine.state.state import State
from stenograph.engine.times import LAST_US, to_text, to_us

INHERITED_FORMAT: Final = 1


class InheritedData(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What stands in ``run.created`` for ever; the state of ``/`` stands there beside it."""

    format: int
    scopes: tuple[ScopeData, ...]
    signals: dict[str, tuple[KeptData, ...]] = {}
    steps: int = 0
    busy_ms: float = 0.0


_DECODER: Final = msgspec.json.Decoder(InheritedData)


def inherited(run: Run) -> bytes:
    """Return what a fork of a run takes over, but for the state of ``/``."""
    first, *rest = scopes_data(run)
    assert first.path == ROOT, "a run begins with its own scope"
    return msgspec.json.encode(
        InheritedData(
            format=INHERITED_FORMAT,
            scopes=(replace(first, state={}), *rest),
            signals=signals_data(run),
            steps=run.steps,
            busy_ms=run.busy_ms,
        )
    )


def inherit(run: Run, data: bytes, state: State) -> None:
    """Have a run that was just created take over what it was given."""
    given = _DECODER.decode(data)
    run.steps, run.busy_ms = given.steps, given.busy_ms
    put_signals(run, given.signals)
    put_scopes(run, given.scopes, state)


def as_new_work(run: Run, now_us: int) -> Run:
    """Return a run as another takes it up: nothing halts it, and what ran is to be entered again."""
    later_us = max(0, now_us - to_us(run.updated_at))
    new = run.copy()
    new.status, new.halt, new.reason, new.parked_at = "running", "", "", ("", "")
    new.signals = {
        name: tuple(replace(each, seq=each.seq - run.seq) for each in kept)
        for name, kept in run.signals.items()
    }
    for scope in new.scopes.values():
        scope.changed = {key: seq - run.seq for key, seq in scope.changed.items()}
        if scope.fork is not None:
            _count_back(scope.fork, run.seq)
        _take_up(new, scope, position_of(new, scope.path), later_us)
    return new


def _count_back(fork: Fork, head: int) -> None:
    for index, branch in fork.branches.items():
        changed = {key: (value, seq - head) for key, (value, seq) in branch.changed.items()}
        fork.branches[index] = replace(branch, changed=changed)


def _take_up(run: Run, scope: Scope, at: Position, later_us: int) -> None:
    at.lost, at.unsure, at.since = 0, False, at.since - run.seq
    if at.phase in ("running", "interrupted"):
        at.attempt -= 1
        run.steps -= at.attempt == 0
        move(run, at, "to-enter")
    elif at.phase == "waiting" and at.kind == "turn":
        at.due_at = None
        move(run, at, "to-enter")
    if not _is_of_the_calendar(scope, at):
        at.due_at = at.due_at and _later(at.due_at, later_us)
    at.retry_at = at.retry_at and _later(at.retry_at, later_us)


def _later(text: str, by_us: int) -> str:
    """Return a time put off; none is after the year 9999."""
    return to_text(min(LAST_US, to_us(text) + by_us))


def _is_of_the_calendar(scope: Scope, at: Position) -> bool:
    if at.phase != "waiting" or at.kind != "time":
        return False
    wait = compile_graph(scope.graph).nodes[at.node].node.wait
    return wait is not None and wait.at is not None
