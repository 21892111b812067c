"""Trails: what led to what in a run, so that every event can name the events that it follows from.

A trail is kept for each scope that is open, so what is remembered is as large as the run stands
wide, and not as its history is long. The trails of a fork go on from those of its origin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from msgspec import Struct, field

from stenograph.engine.core.edges import edge_key
from stenograph.engine.core.events import (
    BranchEnded,
    Event,
    ForkJoined,
    ForkOpened,
    LimitReached,
    LogWritten,
    NodeAttemptFailed,
    NodeEntered,
    NodeExited,
    PinnedGraph,
    RunCancelled,
    RunCancelling,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunMigrated,
    RunParked,
    RunPaused,
    RunPausing,
    RunRecovered,
    RunResumed,
    RunRetried,
    SignalReceived,
    StatePatched,
    TimerFired,
    TimerSet,
    TransitionTaken,
    WaitOpened,
    WaitResolved,
)
from stenograph.engine.core.folding import evolve
from stenograph.engine.core.regraphing import called_at
from stenograph.engine.core.run import Run
from stenograph.engine.core.scopes import ROOT, call_path, node_of, parent_of

CAUSES_MAX: Final = 100
"""So many causes of one event are named; only a restart under many branches has more."""


class Trail(Struct):
    """How a scope that is open came to where it is.

    ``at``: its last step; ``decided``: the last branch of its fork that arrived or failed;
    ``timer``: the timer that is set; ``taken``: how often each edge was taken here, by ``edge_key``.
    """

    graph: bytes
    at: Event
    decided: Event | None = None
    timer: Event | None = None
    taken: dict[str, int] = field(default_factory=dict)
    inner: dict[str, Trail] = field(default_factory=dict)


class Trails:
    """Takes in the events of a run in their order; ``because`` is asked before an event is.

    Those of a fork come after those of its origin, up to the point where it was forked; without
    them whatever it took over follows from its ``run.created``.
    """

    def __init__(self) -> None:
        self._latest: Event | None = None
        self._runs: dict[str, int] = {}
        self._created: Event
        self._root: Trail
        self._graphs: Mapping[str, PinnedGraph] = {}
        self._last: dict[str, Event] = {}
        self._let_on: Event | None = None
        self._limited: Event | None = None
        self._signals: dict[int, Event] = {}
        self._failing: dict[tuple[str, str, int], Event] = {}
        self._failed_by: dict[tuple[str, int], Event] = {}

    def trail(self, path: str) -> Trail:
        """Return the trail of a scope, or of the innermost one around it that has begun."""
        trail = self._root
        for name in names_of(path):
            if name not in trail.inner:
                break
            trail = trail.inner[name]
        return trail

    def signal(self, seq: int | None) -> Event | None:
        """Return the event of a signal that came before."""
        return None if seq is None else self._signals.get(seq)

    def failures(self, event: Event) -> list[Event]:
        """Return the failures that led to one, the nearest first, down to where it began."""
        found: list[Event] = []
        causes = self.because(event)
        while causes and is_failure(causes[0]):
            found.append(causes[0])
            before = self._failed_by.get(_id_of(causes[0]))
            causes = [] if before is None else [before]
        return found

    def because(self, event: Event) -> list[Event]:
        """Return the events that the next one follows from, the nearest cause first.

        All are earlier, and only ``run.created`` has none, but for that of a fork, which follows
        from an event of its origin: whoever follows them ends there.
        """
        if isinstance(event.data, RunCreated):
            return [] if self._latest is None else [self._latest]
        causes = self._in_scope(event)
        if causes is None:
            causes = self._of_the_run(event)
        known = {_id_of(each): each for each in causes if each is not None}
        return list(known.values()) or [self._created]

    def _in_scope(self, event: Event) -> list[Event | None] | None:
        """Return the causes of what happens in a scope; None for what happens to the run."""
        match event.data:
            case NodeEntered(scope=scope):
                return self._of_an_entry(scope)
            case NodeExited(scope=scope):
                trail = self.trail(scope)
                return [self._tail_of(trail), self._newer(trail.at)]
            case NodeAttemptFailed(scope=scope, error=error):
                outside = {"Lost": RunRecovered.TYPE, "Interrupted": LimitReached.TYPE}
                return [
                    self._tail_of(self.trail(scope)),
                    self._last.get(outside.get(error.type, "")),
                ]
            case BranchEnded():
                return [self._of_a_branch(event.data)]
            case ForkJoined(scope=scope):
                trail = self.trail(scope)
                return [trail.decided or trail.at]
            case TimerFired(scope=scope):
                return [self.trail(scope).timer]
            case TimerSet(scope=scope):
                at = self.trail(scope).at
                return [at, self._newer(at)]
            case WaitResolved(scope=scope, signal_seq=signal_seq):
                return [self.trail(scope).at, self.signal(signal_seq)]
            case (
                StatePatched(scope=scope)
                | TransitionTaken(scope=scope)
                | ForkOpened(scope=scope)
                | WaitOpened(scope=scope)
                | LogWritten(scope=scope)
            ):
                return [self.trail(scope).at]
            case _:
                return None

    def _of_an_entry(self, scope: str) -> list[Event | None]:
        trail = self.trail(scope)
        opened = trail.at.data
        made_room = None
        if isinstance(opened, ForkOpened) and opened.width is not None:
            made_room = trail.decided
        return [trail.at, made_room, self._newer(trail.at)]

    def _of_a_branch(self, ended: BranchEnded) -> Event | None:
        if ended.outcome == "cancelled":
            return self.trail(parent_of(ended.scope)[0]).decided
        began = self._failing.get((ended.failed_in, ended.node, ended.visit))
        return began or self._tail_of(self.trail(ended.scope))

    def _of_the_run(self, event: Event) -> list[Event | None]:
        match event.data:
            case RunPaused():
                return [self._last.get(RunPausing.TYPE)]
            case RunCancelled():
                return [self._last.get(RunCancelling.TYPE)]
            case RunResumed():
                held = [self._last.get(kind.TYPE) for kind in (RunPaused, RunParked)]
                return [max((each for each in held if each), key=self._seq_of, default=None)]
            case RunRetried():
                return [self._last.get(RunFailed.TYPE)]
            case RunParked(reason="limit"):
                return [self._last.get(LimitReached.TYPE)]
            case RunParked(scope=scope):
                at = self.trail(scope).at
                return [at, self._newer(at)]
            case RunRecovered():
                own = (e for e in running(self._root) if e.run_id == event.run_id)
                return list(islice(own, CAUSES_MAX))
            case LimitReached():
                return [self._limited]
            case SignalReceived(name=name, scope=scope):
                return [next(waiting_for(self._root, name, scope), None)]
            case RunFailed() as failed:
                began = self._failing.get((failed.scope, failed.node, failed.visit))
                return [began or self._tail_of(self._root)]
            case RunCompleted():
                return [self._tail_of(self._root)]
            case _:  # somebody asked, from outside
                return [None]

    def _newer(self, at: Event) -> Event | None:
        """Return the event by which somebody let the run go on, if that came after a step."""
        let_on = self._let_on
        return let_on if let_on is not None and self._seq_of(let_on) > self._seq_of(at) else None

    def _tail_of(self, trail: Trail) -> Event:
        """Return the last step in a scope, in the sub-graph it runs, or of its fork's branches."""
        steps = [trail.at] if trail.decided is None else [trail.at, trail.decided]
        steps += [self._tail_of(e) for name, e in trail.inner.items() if not name.endswith("]")]
        return max(steps, key=self._seq_of)

    def _seq_of(self, event: Event) -> tuple[int, int]:
        """Return an event's place among those of the run and of the runs it goes on from."""
        return self._runs[event.run_id], event.seq

    def note(self, event: Event) -> None:
        """Take in what has happened."""
        data = event.data
        if is_failure(event) or isinstance(data, NodeAttemptFailed):
            self._failed_by[_id_of(event)] = self.because(event)[0]
        match data:
            case RunCreated():
                self._create(event)
            case RunMigrated(graph=graph, graphs=graphs):
                self._graphs, self._root.graph = graphs, bytes(graph)
                _regraph(self._root, graphs)
            case RunResumed(limits=limits) | RunRetried(limits=limits):
                self._let_on = event
                self._limited = self._limited if limits is None else event
            case SignalReceived():
                self._signals[event.seq] = event
            case BranchEnded():
                self._ended(event, data)
            case TimerSet(scope=scope):
                self.trail(scope).timer = event
            case NodeEntered():
                self._entered(event, data)
            case (
                NodeExited(scope=scope)
                | NodeAttemptFailed(scope=scope)
                | TransitionTaken(scope=scope)
                | ForkOpened(scope=scope)
                | ForkJoined(scope=scope)
                | WaitOpened(scope=scope)
                | WaitResolved(scope=scope)
                | TimerFired(scope=scope)
            ):
                self._stepped(event, self.trail(scope))
            case _:
                pass
        self._last[event.type] = self._latest = event

    def _create(self, event: Event) -> None:
        """Begin a run, or go on in a fork where its origin stood: nothing halts it any more."""
        self._created, self._limited = event, None
        self._runs[event.run_id] = len(self._runs)
        run = Run()
        evolve(run, event)
        self._graphs = run.graphs
        if self._latest is None:
            self._root = Trail(run.graph, event)
        else:
            self._let_on, self._last = event, {}
            head = self._latest.seq
            self._signals = {seq - head: each for seq, each in self._signals.items()}
        for path, scope in run.scopes.items():
            trail = self._root
            for name in names_of(path):
                trail = trail.inner.setdefault(name, Trail(scope.graph, event))
            trail.graph, trail.taken = scope.graph, dict(scope.taken)

    def _entered(self, event: Event, entered: NodeEntered) -> None:
        trail = self.trail(entered.scope)
        names = names_of(entered.scope)
        if names and (outer := self.trail(parent_of(entered.scope)[0])) is trail:
            trail = outer.inner[names[-1]] = Trail(outer.graph, event)
        trail.at = event
        self._failing.pop((entered.scope, entered.node, entered.visit), None)
        if entered.graph is not None:
            pinned = self._pinned(entered.graph)
            name = names_of(call_path(entered.scope, entered.node, entered.visit))[-1]
            trail.inner[name] = Trail(pinned, event)

    def _pinned(self, ref: str) -> bytes:
        return bytes(self._graphs[ref].graph)

    def _stepped(self, event: Event, trail: Trail) -> None:
        trail.at = event
        match event.data:
            case NodeExited() | NodeAttemptFailed() | ForkOpened() | ForkJoined():
                trail.inner, trail.decided = {}, None
            case TransitionTaken(node=node, edge=edge) if edge is not None:
                key = edge_key(node, edge)
                trail.taken[key] = trail.taken.get(key, 0) + 1
            case _:
                pass
        if is_failure(event):
            data = event.data
            assert isinstance(data, NodeExited | TransitionTaken | ForkJoined)
            self._failing[data.scope, data.node, data.visit] = event

    def _ended(self, event: Event, ended: BranchEnded) -> None:
        outer = self.trail(parent_of(ended.scope)[0])
        if ended.outcome != "cancelled":
            outer.decided = event
        if ended.outcome == "ok":
            outer.inner.pop(names_of(ended.scope)[-1], None)
        elif ended.outcome == "error":
            self._failing[ended.failed_in, ended.node, ended.visit] = event


def names_of(path: str) -> list[str]:
    """Return the names of a scope's path, the outermost first; none for the run itself."""
    return path[1:-1].split("/") if path != ROOT else []


def _id_of(event: Event) -> tuple[str, int]:
    return event.run_id, event.seq


def _regraph(trail: Trail, graphs: Mapping[str, PinnedGraph]) -> None:
    """Have all within a trail go on in other graphs, as their scopes do."""
    for name, inner in trail.inner.items():
        if name.endswith("]"):
            inner.graph = trail.graph
        else:
            inner.graph = called_at(trail.graph, node_of(name), graphs) or inner.graph
        _regraph(inner, graphs)


def is_failure(event: Event) -> bool:
    """Tell whether by this event something failed, for good or until it is retried."""
    match event.data:
        case NodeExited(outcome=outcome):
            return outcome != "ok"
        case BranchEnded(outcome="error") | RunFailed() | TransitionTaken(to="$fail"):
            return True
        case ForkJoined(error=error):
            return error is not None
        case _:
            return False


def running(trail: Trail) -> Iterator[Event]:
    """Yield the entries of the attempts that are under way."""
    if isinstance(trail.at.data, NodeEntered) and trail.at.data.graph is None:
        yield trail.at
    for each in trail.inner.values():
        yield from running(each)


def waiting_for(trail: Trail, name: str, scope: str | None) -> Iterator[Event]:
    """Yield the waits that are open for a signal, in one scope or anywhere."""
    wait = trail.at.data
    if isinstance(wait, WaitOpened) and wait.signal == name and scope in (None, wait.scope):
        yield trail.at
    for each in trail.inner.values():
        yield from waiting_for(each, name, scope)
