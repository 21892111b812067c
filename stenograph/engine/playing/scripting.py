"""Scripting: the events of a run are read back into what came to it from outside. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from stenograph.engine.audit.reason_words import one_line
from stenograph.engine.bounds import WIDEST
from stenograph.engine.core.edges import CompiledNode, compile_graph
from stenograph.engine.core.events import (
    Event,
    LimitReached,
    NodeAttemptFailed,
    NodeEntered,
    NodeExited,
    RunCancelling,
    RunCreated,
    RunLimits,
    RunMigrated,
    RunPausing,
    RunResumed,
    RunRetried,
    SignalReceived,
    StatePatched,
    TimerFired,
    TransitionTaken,
)
from stenograph.engine.core.folding import evolve
from stenograph.engine.core.folding_scopes import NOT_A_TRY
from stenograph.engine.core.run import Run
from stenograph.engine.core.scopes import Scope, call_path
from stenograph.engine.errors import EngineError, WriteRefused
from stenograph.engine.playing.path_words import PathReader, place_of, standing_line
from stenograph.engine.playing.play_words import differences
from stenograph.engine.playing.playing import play, updated
from stenograph.engine.playing.scripts import (
    Did,
    Failed,
    RecordedRun,
    Returned,
    Signalled,
    Step,
    TimeCame,
)
from stenograph.engine.state.patch import PatchOp, target
from stenograph.engine.state.state import State


class CannotRecord(EngineError):
    """A run cannot be played again from what came to it."""

    def __init__(self, run_id: str, why: str) -> None:
        super().__init__(f"run {run_id} cannot be made a test of: {why}")
        self.run_id, self.why = run_id, why


def record_run(events: Iterable[Event]) -> RecordedRun:
    """Return a run as it can be played again, up to the last of its events, which come in order.

    Attempts that were cut off because the engine stopped are as if they had gone on. It is played
    once, to be sure. Raises CannotRecord for a run that was migrated, or has none, and for one
    that does not come to the same.
    """
    writer = _Writer()
    try:
        for event in events:
            writer.note(event)
        recorded = writer.recorded()
        told = differences(recorded, play(recorded))
    except EngineError:
        raise
    except Exception as error:  # an exported file may tell anything that its hashes hold for
        why = f"what it tells of cannot be played again ({type(error).__name__})"
        raise CannotRecord(writer.run.id, why) from error
    if told:
        why = "played again from its outcomes it comes to something else; " + one_line(told, 600)
        raise CannotRecord(writer.run.id, why)
    return recorded


class _Left(Struct):
    """A tool's visit that has just been left: which step that is, and its state before."""

    index: int
    scope: Scope


class _Writer:
    def __init__(self) -> None:
        self.run = Run()
        self._created: RunCreated | None = None
        self._began = ""
        self._steps: list[Step] = []
        self._reader = PathReader()
        self._predicates: dict[str, dict[str, bool]] = {}
        self._once: dict[str, None] = {}
        self._left: _Left | None = None

    def note(self, event: Event) -> None:
        """Take in what has happened, which the run does not know of yet."""
        left, self._left = self._left, None
        match event.data:
            case RunCreated() as created:
                self._created, self._began = created, event.at
            case RunMigrated():
                why = (
                    "it went over to another graph on its way; fork it where it did, and test that"
                )
                raise CannotRecord(self.run.id, why)
            case NodeExited() as exited:
                self._exited(exited)
            case NodeAttemptFailed() as failed if failed.error.type not in NOT_A_TRY:
                self._attempt_failed(failed)
            case StatePatched(patch=patch) if left is not None:
                self._patched(left, patch)
                self._left = left
            case TransitionTaken() as taken:
                self._went(left, taken)
            case NodeEntered() as entered:
                self._entered(entered)
            case TimerFired() as fired:
                self._fired(fired)
            case SignalReceived(name=name, payload=payload, scope=scope):
                self._steps.append(Signalled(name, msgspec.json.decode(payload), scope))
            case _:
                self._asked(event.data)
        evolve(self.run, event)
        self._reader.note(event)

    def recorded(self) -> RecordedRun:
        """Return what was read; raises CannotRecord."""
        created, run = self._created, self.run
        if created is None:
            raise CannotRecord(run.id, "it has not begun")
        graph = msgspec.json.decode(created.graph)
        path = [line.text for line in self._reader.lines()]
        if (standing := standing_line(run)) is not None:
            path.append(standing)
        limits = msgspec.to_builtins(created.limits)
        own = compile_graph(bytes(created.graph)).graph.limits
        is_own = (own.steps, own.time_s) == (created.limits.steps, created.limits.time_s)
        is_named = created.graph_id != f"g-{created.version[:16]}"
        return RecordedRun(
            graph={"id": created.graph_id, **graph} if is_named else graph,
            graphs={
                name: msgspec.json.decode(pinned.graph) for name, pinned in created.graphs.items()
            },
            state=msgspec.json.decode(created.state),
            began=self._began,
            outcomes=self._steps,
            predicates=self._predicates,
            limits={} if is_own else {key: value for key, value in limits.items() if value},
            once=list(self._once),
            fork=_fork(created),
            path=path,
            final=run.state.to_values(),
        )

    def _exited(self, exited: NodeExited) -> None:
        scope = self.run.scopes[exited.scope]
        node = _node(scope, exited.node)
        if node.node.wait is not None or node.node.graph is not None:
            return  # by a signal, a time or the end of the sub-graph, which were told before
        at, error = place_of(exited), exited.error
        if error is None:
            self._left = _Left(len(self._steps), scope.copy())
            self._steps.append(Returned(at))
            return
        is_late = exited.outcome == "timeout"
        if is_late and node.node.retry is not None and node.node.tool is not None:
            assert scope.position is not None, "what is left stands there"
            if scope.position.tries + 1 < node.node.retry.attempts:
                self._once[str(node.node.tool)] = None  # or it would have been tried again
        self._steps.append(Failed(at, error.type, error.message, is_late))

    def _attempt_failed(self, failed: NodeAttemptFailed) -> None:
        node = _node(self.run.scopes[failed.scope], failed.node)
        if node.node.graph is not None:
            return
        on = () if node.node.retry is None else node.node.retry.on
        bases = () if failed.error.type in on else tuple(on)
        step = Failed(place_of(failed), failed.error.type, failed.error.message, bases=bases)
        self._steps.append(step)

    def _patched(self, left: _Left, patch: tuple[PatchOp, ...]) -> None:
        step = self._steps[left.index]
        assert isinstance(step, Returned), "only what returned has changed something"
        self._steps[left.index] = _outcome(step.at, left.scope, patch)

    def _went(self, left: _Left | None, taken: TransitionTaken) -> None:
        if left is not None and taken.reason == "goto":
            step = self._steps[left.index]
            assert isinstance(step, Returned), "only what returned can say where to go"
            self._steps[left.index] = replace(step, goto=taken.to)
        for each in taken.considered:
            asked = each.until if each.when is None else each.when
            if isinstance(asked, dict) and "fn" in asked:
                said = self._predicates.setdefault(place_of(taken), {})
                said[asked["fn"]] = each.verdict is (each.when is not None)

    def _entered(self, entered: NodeEntered) -> None:
        scope = self.run.scopes.get(entered.scope)
        at = None if scope is None else scope.position
        if at is not None and at.phase == "backing-off":
            self._steps.append(TimeCame(call_path(entered.scope, at.node, at.visit)[:-1]))

    def _fired(self, fired: TimerFired) -> None:
        at = self.run.scopes[fired.scope].position
        if at is None or at.kind not in ("delay", "turn"):  # a test begins at once
            self._steps.append(TimeCame(place_of(fired)))

    def _asked(self, data: Any) -> None:
        """Take in what a person asked, where that is not only to go on where the engine was unsure."""
        match data:
            case RunPausing():
                self._steps.append(Did("pause"))
            case RunCancelling():
                self._steps.append(Did("cancel"))
            case RunRetried(limits=limits):
                self._steps.append(_did("retry", limits))
            case RunResumed(limits=limits) if self.run.reason not in ("effects-once", "crash-loop"):
                self._steps.append(_did("resume", limits))
            case LimitReached(limit="time_s"):
                self._steps.append(Did("time-up"))
            case _:
                pass


def _did(what: Any, limits: RunLimits | None) -> Did:
    return Did(what) if limits is None else Did(what, limits.steps, limits.time_s)


def _node(scope: Scope, name: str) -> CompiledNode:
    return compile_graph(scope.graph).nodes[name]


def _fork(created: RunCreated) -> Mapping[str, Any] | None:
    if created.origin is None or created.inherited is UNSET:
        return None
    return {
        "origin": msgspec.to_builtins(created.origin),
        "inherited": msgspec.json.decode(created.inherited),
        "patches": msgspec.json.decode(msgspec.json.encode(created.patches)),
    }


def _outcome(at: str, scope: Scope, patch: tuple[PatchOp, ...]) -> Returned:
    """Return an outcome that comes to a patch: what was returned, where its reducer tells that."""
    before, after = scope.state, scope.state.copy()
    after.apply(patch)
    update: dict[str, Any] = {}
    put: dict[str, Any] = {}
    grew: dict[str, list[Any]] = {}
    dropped: list[str] = []
    reducers = compile_graph(scope.graph).rules.reducers
    for key in dict.fromkeys(target(op)[0] for op in patch):
        old, new = before.get(key), after.get(key)
        if key not in after:
            dropped.append(key)
        elif key not in reducers and (more := _more(old, new)):
            grew[key] = more
        else:
            found, value = _given(scope, key, old, new, after.encoded(key))
            (update if found else put)[key] = value
    returned = Returned(at, update, put, grew, dropped)
    return returned if _comes_to(scope, returned, after) else _plainly(at, patch, after)


def _plainly(at: str, patch: tuple[PatchOp, ...], after: Mapping[str, Any]) -> Returned:
    keys = list(dict.fromkeys(target(op)[0] for op in patch))
    put = {key: after[key] for key in keys if key in after}
    return Returned(at, put=put, dropped=[key for key in keys if key not in after])


def _comes_to(scope: Scope, returned: Returned, expected: State) -> bool:
    state = scope.state.copy()
    try:
        state.apply(updated(scope, returned).patch)
    except WriteRefused:
        return False
    return dict(state.raw()) == dict(expected.raw())


def _given(scope: Scope, key: str, old: Any, new: Any, expected: bytes | None) -> tuple[bool, Any]:
    """Return whether a key's reducer makes the new value of what was returned, and of what."""
    rules = compile_graph(scope.graph).rules
    for value in _candidates(old, new):
        state = scope.state.copy()
        try:
            state.apply(state.accept({key: value}, rules, WIDEST).patch)
        except WriteRefused:
            continue
        if state.encoded(key) == expected:
            return True, value
    return False, new


def _candidates(old: Any, new: Any) -> list[Any]:
    """Return what a tool may have returned so that a reducer made ``new`` of ``old``, the least first."""
    found: list[Any] = []
    if _is_number(old) and _is_number(new):
        found.append(new - old)
    if more := _more(old, new):
        found += [*more, more] if len(more) == 1 else [more]
    if isinstance(old, dict) and isinstance(new, dict):
        found.append({key: value for key, value in new.items() if old.get(key, UNSET) != value})
    if isinstance(new, list) and len(new) == 1:
        found += new
    return [*found, new]


def _more(old: Any, new: Any) -> list[Any]:
    """Return what a list grew by; nothing where it did not only grow."""
    is_grown = isinstance(old, list) and isinstance(new, list) and new[: len(old)] == old
    return new[len(old) :] if is_grown else []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
