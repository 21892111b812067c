"""Waits: how a scope begins to wait, what ends a wait, and signals, which are kept until used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw

from stenograph.engine.core.commands import Place, Signal
from stenograph.engine.core.edges import CompiledNode, compile_graph
from stenograph.engine.core.entering import enter, set_timer
from stenograph.engine.core.events import (
    ErrorInfo,
    SignalReceived,
    TimerFired,
    WaitOpened,
    WaitResolved,
)
from stenograph.engine.core.keying import marks
from stenograph.engine.core.leaving import fall_short, leave, leave_failed
from stenograph.engine.core.run import Kept, Run
from stenograph.engine.core.scopes import ROOT, Position, is_scope
from stenograph.engine.core.standing import within
from stenograph.engine.core.steps import Steps, refusal, where
from stenograph.engine.errors import (
    Fault,
    SignalRefused,
    TooManySignals,
    UnknownSignal,
    WriteRefused,
)
from stenograph.engine.graphs.graph import Wait
from stenograph.engine.graphs.schemas import Effort, Schema, compile_schema
from stenograph.engine.state.state import Update
from stenograph.engine.state.vault import name_in
from stenograph.engine.times import to_text, to_us
from stenograph.engine.values import encode, look_up

SIGNALS_MAX: Final = 1000
"""Most signals of one name that a run keeps until they are used."""
SIGNALS_MAX_BYTES: Final = 8 * 1024 * 1024
"""Most that all signals have together which a run keeps; each counts for SIGNAL_BYTES besides."""
SIGNAL_BYTES: Final = 256
BYTE_PARTS: Final = 10
"""The work of checking a byte of a kept signal."""


def begin_wait(steps: Steps, place: Place, node: CompiledNode) -> None:
    """Enter a node that waits; a signal that is there already ends the wait at once."""
    wait = node.node.wait
    assert wait is not None, "only a node that waits is entered so"
    enter(steps, place, node)
    try:
        due_at = _due(steps, place.scope, wait)
    except (KeyError, ValueError, TypeError) as error:
        message = f"node {node.name!r} waits until {wait.at!r}, {_why(error)}"
        leave_failed(steps, place, "error", ErrorInfo("bad-time", message, node=node.name))
        return
    schema = UNSET if wait.schema is None else Raw(encode(wait.schema))
    kind: Any = "signal" if wait.signal else "time"
    steps.emit(WaitOpened(**where(place), kind=kind, signal=wait.signal, schema=schema))
    set_timer(steps, place.scope, due_at)
    steps.agenda[place.scope] = None


def begin_later(steps: Steps, kind: str, due_at: str | None) -> None:
    """Have the run wait before it enters its first node."""
    place = steps.place(ROOT)
    steps.emit(WaitOpened(**where(place), kind=kind))  # type: ignore[arg-type]
    set_timer(steps, ROOT, due_at)


def take_signal(steps: Steps, path: str) -> None:
    """End a wait by the oldest kept signal that fits it, if there is one."""
    position = steps.position(path)
    kept = steps.run.signals.get(position.signal or "", ())
    fitting = (each for each in kept if _fits(steps, each, path, position))
    if (signal := next(fitting, None)) is None or position.signal is None:
        return
    place = steps.place(path)
    steps.emit(WaitResolved(**where(place), reason="signal", signal_seq=signal.seq))
    known = steps.updates.get((path, signal.seq))
    if known is None:
        held = steps.scope(path).state.encoded(position.signal) or b""
        steps.wrote(len(signal.payload) + len(held))
    try:
        update = known or _update(steps, path, position.signal, signal.payload)
    except WriteRefused as refused:
        leave_failed(steps, place, "error", refusal(refused, place))
    else:
        leave(steps, place, update)


def time_out(steps: Steps, path: str, due_at: str) -> None:
    """Do what a scope's timer is for: end its wait, or the sub-graph that takes too long."""
    place, position = steps.place(path), steps.position(path)
    steps.emit(TimerFired(scope=path, node=place.node, visit=place.visit, due_at=due_at))
    if position.phase == "calling":
        seconds = steps.node(path).node.timeout_s
        # A run that was migrated meanwhile keeps its timer, and perhaps has no such time any more.
        message = f"the graph did not end in {'time' if seconds is None else f'{seconds:g} s'}"
        error = ErrorInfo("TimeoutError", message, node=place.node)
        fall_short(steps, place, "timeout", error, ("TimeoutError",))
    elif position.kind == "signal":
        steps.emit(WaitResolved(**where(place), reason="timeout"))
        message = f"no signal {position.signal!r} came in time"
        leave_failed(steps, place, "timeout", ErrorInfo("TimeoutError", message, node=place.node))
    elif position.kind != "turn":  # which still has to come
        steps.emit(WaitResolved(**where(place), reason="time"))
        if position.kind == "time":
            leave(steps, place, Update())
        else:
            steps.agenda[path] = None


def take_turn(steps: Steps) -> None:
    """Let a run begin that has queued; if it is too early for it, it waits for its time."""
    not_before = steps.position(ROOT).due_at
    steps.emit(WaitResolved(**where(steps.place(ROOT)), reason="turn"))
    if not_before is not None:
        begin_later(steps, "delay", not_before)
    steps.agenda[ROOT] = None


def receive(steps: Steps, signal: Signal) -> None:
    """Keep a signal; who waits for it takes it. Raises EngineError when nobody ever could."""
    run = steps.run
    if len(run.signals.get(signal.name, ())) >= SIGNALS_MAX:
        raise TooManySignals(run.id, signal.name, f"{SIGNALS_MAX:,} signals {signal.name!r}")
    _check_address(run, signal)
    taken = _taken(steps, signal)
    if taken is None or not run.goes_on:  # what halts a run keeps who waits from taking it
        _check_room(run, signal)
    steps.emit(
        SignalReceived(
            name=signal.name,
            payload=Raw(signal.payload),
            actor=signal.actor,
            scope=signal.scope,
            saw=signal.saw,
            **marks(run, signal),
        )
    )
    if taken is not None:
        path, update = taken
        steps.agenda[path] = None
        steps.updates[path, run.seq] = update


def _taken(steps: Steps, signal: Signal) -> tuple[str, Update] | None:
    """Return the scope that takes a signal, and what that changes; None if it is to be kept.

    Raises SignalRefused when it fits none that waits for it, or else none that ever will.
    """
    open_waits = sorted(_open_waits(steps.run, signal), key=lambda each: each[1].since)
    waits: Iterable[tuple[str | None, bytes]] = (
        [(path, position.schema) for path, position in open_waits]
        if open_waits
        else ((None, schema) for schema in _awaited(steps.run, signal))
    )
    faults: list[Fault] = []
    effort, value = Effort(), cache(lambda: msgspec.json.decode(signal.shown or signal.payload))
    for path, schema in waits:
        if schema and (fault := _compiled(schema).fault(value(), effort)):
            faults.append(fault)
        elif path is None:
            return None
        else:
            try:
                return path, _update(steps, path, signal.name, signal.payload)
            except WriteRefused as refused:
                faults.append(Fault("", str(refused)))
    first = faults[0]
    if signal.shown is not None:
        first = Fault(first.pointer, "the secret does not fit what is waited for")
    raise SignalRefused(signal.name, [first])


def _check_room(run: Run, signal: Signal) -> None:
    """Raise TooManySignals when a run keeps so much already that this one would be too much."""
    kept = sum(
        len(each.payload) + SIGNAL_BYTES for several in run.signals.values() for each in several
    )
    if kept and kept + len(signal.payload) > SIGNALS_MAX_BYTES:
        held = f"{kept:,} of the {SIGNALS_MAX_BYTES:,} bytes that its signals may have"
        raise TooManySignals(run.id, signal.name, held)


def _update(steps: Steps, path: str, name: str, payload: bytes) -> Update:
    """Return what a signal changes in the state of a scope; raises WriteRefused."""
    rules, bounds = steps.graph(path).rules, steps.outside.bounds
    return steps.scope(path).state.accept_json(name, payload, rules, bounds)


def _check_address(run: Run, signal: Signal) -> None:
    """Raise SignalRefused for a scope that can be none, and for an event that nobody can have seen."""
    if signal.scope is not None and not is_scope(signal.scope):
        detail = "the scope is no path of one: give / or one such as /split#1[0]/"
        raise SignalRefused(signal.name, [Fault("", detail)])
    if signal.saw is not None and not 0 <= signal.saw <= run.seq:
        detail = f"saw is {signal.saw}, but the run has {run.seq} events"
        raise SignalRefused(signal.name, [Fault("", detail)])


def _open_waits(run: Run, signal: Signal) -> Iterator[tuple[str, Position]]:
    for scope in within(run, ROOT):
        at = scope.position
        if at is None or at.phase != "waiting" or signal.scope not in (None, scope.path):
            continue
        if at.signal == signal.name:
            yield scope.path, at


def _awaited(run: Run, signal: Signal) -> Iterator[bytes]:
    """Yield the schema of each node that may wait for a signal; raises UnknownSignal."""
    names: set[str] = set()
    found = False
    for graph in (run.graph, *(bytes(pinned.graph) for pinned in run.graphs.values())):
        for node in compile_graph(graph).graph.nodes.values():
            if node.wait is not None and node.wait.signal is not None:
                names.add(node.wait.signal)
                if node.wait.signal == signal.name:
                    found = True
                    yield b"" if node.wait.schema is None else encode(node.wait.schema)
    if not found:
        raise UnknownSignal(run.id, signal.name, sorted(names))


def _fits(steps: Steps, kept: Kept, path: str, position: Position) -> bool:
    if kept.scope not in (None, path):
        return False
    if not position.schema:
        return True
    steps.worked(BYTE_PARTS * len(kept.payload))
    value = msgspec.json.decode(kept.payload)
    if name_in(value) is not None:  # a secret was looked at when it came
        return True
    return _compiled(position.schema).fault(value) is None


@lru_cache(maxsize=128)
def _compiled(schema: bytes) -> Schema:
    return compile_schema(msgspec.json.decode(schema))


def _due(steps: Steps, path: str, wait: Wait) -> str | None:
    """Return when a wait is over by itself; raises KeyError or ValueError for what is no time."""
    if wait.at is None:
        seconds = wait.timeout_s if wait.signal else wait.for_s
        return None if seconds is None else steps.due(seconds)
    try:
        return to_text(to_us(wait.at))
    except ValueError:
        return to_text(to_us(look_up(steps.scope(path).state, wait.at)))


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return "which is not in the state"
    return 'where the state has no time such as "2026-11-20T22:55:01Z"'
