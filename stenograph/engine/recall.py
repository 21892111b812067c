"""Recall: a rerun is given what its recording holds, instead of tools, people and time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from stenograph.engine.commands import Due, Signal
from stenograph.engine.edges import compile_graph
from stenograph.engine.errors import RunGone
from stenograph.engine.events import ErrorInfo, RerunOf
from stenograph.engine.histories import Histories
from stenograph.engine.recordings import Answers, Recorded, Recording
from stenograph.engine.run import Run
from stenograph.engine.scopes import Scope
from stenograph.engine.standing import due_at, peek
from stenograph.engine.tools import Registry
from stenograph.engine.vault import name_in_json
from stenograph.journal import Journal

ACTOR: Final = "rerun"
"""Who gives the signals of a recording again."""
NOT_RERUN: Final = "not-rerun"


class Recall:
    """Answers the attempts and waits of one rerun; ``tell`` is told what ends a wait."""

    def __init__(
        self, run: Run, answers: Answers, registry: Registry, tell: Callable[[Due | Signal], None]
    ) -> None:
        self._run, self._answers, self._registry, self._tell = run, answers, registry, tell
        self._told: set[tuple[str, str, int, int, str]] = set()

    def answer(self, path: str) -> Recorded | ErrorInfo | None:
        """Return what came of the attempt that a scope stands at; None to make it.

        Or the error of one that must not be made: of a tool with ``effects: once`` that is not named.
        """
        scope = self._run.scopes[path]
        assert scope.position is not None, "an attempt is made where a scope stands"
        node = compile_graph(scope.graph).nodes[scope.position.node]
        if node.tool is None:
            return None
        tool = self._registry.tools.get(node.tool)
        found = self._answers.look(scope, None if tool is None else tool.version)
        if isinstance(found, Recorded):
            return found
        effects = node.node.effects or (None if tool is None else tool.effects)
        if effects != "once" or self._answers.is_named(node.tool):
            return None
        message = f"{node.tool!r} has its effect once, and a rerun calls it only when it is named"
        return ErrorInfo(NOT_RERUN, message)

    def follow(self, paths: Iterable[str]) -> None:
        """Give the waits in these scopes what ended them, each once; no time is waited for."""
        for path in paths:
            scope = peek(self._run, path)
            if scope is None or scope.position is None or not self._run.goes_on:
                continue
            at = scope.position
            moment = (path, at.node, at.visit, at.attempt, at.phase)
            if moment not in self._told and (message := self._ending(scope)) is not None:
                self._told.add(moment)
                self._tell(message)

    def _ending(self, scope: Scope) -> Due | Signal | None:
        """Return what ends the wait, or the backoff, that a scope is in, if that is known."""
        at, due = scope.position, due_at(self._run, scope.path)
        assert at is not None, "only what stands somewhere can wait"
        if at.phase == "backing-off" or at.kind in ("time", "delay"):
            is_waiting = at.phase in ("backing-off", "waiting")
            return Due(scope.path, due) if due is not None and is_waiting else None
        if at.phase != "waiting" or at.signal is None:
            return None
        known = self._answers.recording.waits.get((scope.path, at.node, at.visit))
        if known is None or name_in_json(known.payload) is not None:
            return None
        if known.reason == "signal":
            return Signal(name=at.signal, payload=known.payload, actor=ACTOR, scope=scope.path)
        return Due(scope.path, due) if due is not None else None


async def recording_of(journal: Journal, rerun: RerunOf) -> Recording:
    """Read what a rerun was made from; where that was erased since, it holds no answers."""
    recording = Recording()
    with suppress(RunGone):
        async for event in Histories(journal).events(rerun.run_id, to=rerun.seq):
            recording.note(event)
    return recording
