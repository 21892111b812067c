"""Recall: a rerun is given what its recording holds, instead of tools, people and time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from heapq import heappop, heappush
from itertools import count, groupby
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec.structs import replace

from stenograph.engine.core.commands import Due, Signal
from stenograph.engine.core.edges import compile_graph
from stenograph.engine.core.events import (
    ErrorInfo,
    LogWritten,
    NodeAttemptFailed,
    NodeExited,
    RerunOf,
    StatePatched,
)
from stenograph.engine.core.run import Run
from stenograph.engine.core.scopes import Scope
from stenograph.engine.core.standing import due_at, peek
from stenograph.engine.errors import RunGone
from stenograph.engine.executor.recordings import (
    Answers,
    Recorded,
    Recording,
    Said,
    callers_of,
    turn_of,
)
from stenograph.engine.state.vault import name_in_json
from stenograph.engine.stored.histories import Histories
from stenograph.journal import Journal

if TYPE_CHECKING:
    from stenograph.engine.executor.attempt import Attempt
    from stenograph.engine.executor.world import World

ACTOR: Final = "rerun"
"""Who gives the signals of a recording again."""
NOT_RERUN: Final = "not-rerun"

_Moment: TypeAlias = tuple[str, str, int, int, str, tuple[int, ...]]


class Recall:
    """Answers the attempts and waits of one rerun; ``tell`` is told what ends a wait.

    Attempts are answered in the order in which they ended then, so that of branches that race the
    same is first. One that was cut off then is begun when nothing else is under way, or tried again,
    any more: what cut it off has not come this time.
    """

    def __init__(
        self, run: Run, answers: Answers, world: World, tell: Callable[[Due | Signal], None]
    ) -> None:
        self._run, self._answers, self._world, self._tell = run, answers, world, tell
        self._told: set[_Moment] = set()
        self._held: list[tuple[int, int, Attempt, Callable[[], None]]] = []
        self._cut_off: list[tuple[Attempt, Callable[[], None]]] = []
        self._next: Attempt | None = None
        self._count = count()

    def hold(
        self, attempt: Attempt, begin: Callable[[], None], refuse: Callable[[ErrorInfo, str], None]
    ) -> None:
        """Answer an attempt at a tool in its turn, or ``begin`` it.

        One of a tool with ``effects: once`` that is not named is never begun, but refused.
        """
        scope = self._run.scopes[attempt.place.scope]
        assert scope.position is not None, "an attempt is made where a scope stands"
        node = compile_graph(scope.graph).nodes[scope.position.node]
        name = str(node.tool)
        tool = self._world.registry.tools.get(name)
        effects = node.node.effects or (None if tool is None else tool.effects)
        if effects == "once" and not self._answers.is_named(name):
            message = f"{name!r} has its effect once, and a rerun calls it only when it is named"
            begin = partial(refuse, ErrorInfo(NOT_RERUN, message), NOT_RERUN)
        found = self._answers.look(self._run, scope, None if tool is None else tool.version)
        if isinstance(found, Recorded):
            answer: Callable[[], None] = partial(attempt.recall, partial(self._read, found), begin)
            heappush(self._held, (found.seq, next(self._count), attempt, answer))
        elif found == "cut-off":
            self._cut_off.append((attempt, begin))
        else:
            begin()

    def answer(self, under_way: Mapping[str, Attempt], *, is_idle: bool) -> None:
        """Have the next of the attempts that are ``under_way`` answered, if it is time for one."""
        if self._next is not None and _is_in(under_way, self._next):
            return
        self._next = None
        while self._held:
            _, _, attempt, answer = heappop(self._held)
            if _is_in(under_way, attempt):
                self._next = attempt
                answer()
                return
        if not is_idle or len(self._cut_off) < len(under_way) or self._run.count("backing-off"):
            return
        self._cut_off = [each for each in self._cut_off if _is_in(under_way, each[0])]
        if len(self._cut_off) == len(under_way) and not self._times_are_up():
            begins, self._cut_off = self._cut_off, []
            for _, begin in begins:
                begin()

    def _times_are_up(self) -> bool:
        """Let the time be up of sub-graphs that took too long then; returns whether there are any."""
        if not self._answers.recording.timed_out:
            return False
        count = len(self._told)
        for scope in self._run.scopes.values():
            at, due = scope.position, due_at(self._run, scope.path)
            if at is None or due is None or at.phase != "calling":
                continue
            moment = _moment_of(self._run, scope)
            known = turn_of(self._run, scope) in self._answers.recording.timed_out
            if known and moment not in self._told:
                self._told.add(moment)
                self._tell(Due(scope.path, due))
        return len(self._told) > count

    async def _read(self, found: Recorded) -> Recorded | None:
        """Return a recorded outcome with all that it left to its events; None: they were erased."""
        try:
            return await whole(Histories(self._world.journal), self._answers.rerun.run_id, found)
        except RunGone:
            return None

    def follow(self, paths: Iterable[str]) -> None:
        """Give the waits in these scopes what ended them, each once; no time is waited for."""
        for path in paths:
            scope = peek(self._run, path)
            if scope is None or scope.position is None or not self._run.goes_on:
                continue
            moment = _moment_of(self._run, scope)
            if moment not in self._told and (message := self._ending(scope)) is not None:
                self._told.add(moment)
                self._tell(message)

    def _ending(self, scope: Scope) -> Due | Signal | None:
        """Return what ends the wait, or the backoff, that a scope is in, if that is known."""
        at, due = scope.position, due_at(self._run, scope.path)
        assert at is not None, "only what stands somewhere can wait"
        if at.phase == "backing-off":
            return Due(scope.path, due) if due is not None and self._was_answered(scope) else None
        if at.kind in ("time", "delay"):
            return Due(scope.path, due) if due is not None and at.phase == "waiting" else None
        if at.phase != "waiting" or at.signal is None:
            return None
        known = self._answers.recording.waits.get(turn_of(self._run, scope))
        if known is None or name_in_json(known.payload) is not None:
            return None
        if known.reason == "signal":
            return Signal(name=at.signal, payload=known.payload, actor=ACTOR, scope=scope.path)
        return Due(scope.path, due) if due is not None else None

    def _was_answered(self, scope: Scope) -> bool:
        """Tell whether the last try failed in the recording alone: what was called is given its time."""
        assert scope.position is not None, "only what stands somewhere backs off"
        name = compile_graph(scope.graph).nodes[scope.position.node].node.tool
        if not isinstance(name, str):
            return True
        tool = self._world.registry.tools.get(name)
        version = None if tool is None else tool.version
        return isinstance(self._answers.look(self._run, scope, version, before=1), Recorded)


async def recording_of(journal: Journal, rerun: RerunOf, *, values: bool = True) -> Recording:
    """Read what a rerun was made from; where that is not here, or erased, it holds no answers."""
    recording, histories = Recording(values=values), Histories(journal)
    try:
        at = histories.events(rerun.run_id, after=rerun.seq - 1, to=rerun.seq)
        if [each.hash async for each in at] == [rerun.hash]:
            async for event in histories.events(rerun.run_id, to=rerun.seq):
                recording.note(event)
    except RunGone:
        return Recording()
    return recording


async def whole(histories: Histories, run_id: str, found: Recorded) -> Recorded:
    """Return a recorded outcome with its values, which are read where they are left to events.

    Raises RunGone.
    """
    if found.is_whole:
        return found
    error, patch = found.error, found.patch
    async for event in histories.events(run_id, after=found.seq - 1, to=found.last):
        if isinstance(event.data, NodeExited | NodeAttemptFailed):
            error = event.data.error
        elif isinstance(event.data, StatePatched):
            patch = event.data.patch
    logs: list[Said] = []
    for first, last in _stretches(found.lines):
        async for event in histories.events(run_id, after=first - 1, to=last):
            assert isinstance(event.data, LogWritten), "these are its log lines"
            logs.append(Said(event.data.level, event.data.message, event.data.fields))
    return replace(found, error=error, patch=patch, logs=tuple(logs), is_whole=True)


def _stretches(seqs: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of those that follow one another without gaps."""
    for _, each in groupby(enumerate(seqs), key=lambda pair: pair[1] - pair[0]):
        stretch = [seq for _, seq in each]
        yield stretch[0], stretch[-1]


def _moment_of(run: Run, scope: Scope) -> _Moment:
    """Return when a scope of a rerun stands where it does, and in the how many-th call of its graph."""
    at = scope.position
    assert at is not None, "only what stands somewhere has a moment"
    calls = tuple(caller.attempt for caller in callers_of(run, scope.path))
    return scope.path, at.node, at.visit, at.attempt, at.phase, calls


def _is_in(under_way: Mapping[str, Attempt], attempt: Attempt) -> bool:
    return under_way.get(attempt.place.scope) is attempt
