"""Recordings: what came of each attempt of a run, to be looked up by who runs the same again. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from stenograph.engine.core.edges import compile_graph
from stenograph.engine.core.events import (
    ErrorInfo,
    Event,
    LogWritten,
    NodeAttemptFailed,
    NodeEntered,
    NodeExited,
    RerunOf,
    StatePatched,
    TransitionTaken,
    WaitResolved,
)
from stenograph.engine.core.folding import evolve
from stenograph.engine.core.folding_scopes import NOT_A_TRY
from stenograph.engine.core.run import Run
from stenograph.engine.core.scopes import ROOT, Position, Scope, parent_of
from stenograph.engine.core.standing import position_of
from stenograph.engine.errors import CannotReduce, SchemaViolated, SecretLeaked
from stenograph.engine.graphs.graph import TIMEOUT_S, Outcome
from stenograph.engine.state.patch import PatchOp, target
from stenograph.engine.state.vault import name_in_json
from stenograph.engine.values import encode

What: TypeAlias = Literal[
    "new", "cut-off", "named", "tool", "version", "config", "timeout", "retry", "state", "rules",
    "secret",
]  # fmt: skip
"""Why an attempt is not answered: it was never made, or did not end, or is other than the recorded one.

``timeout``: it has more time than was too little, or less than it took; ``retry``: it failed, and is
tried again by other rules; ``rules``: what it changed, or why that was refused, is declared otherwise;
``secret``: what it changed is not in the recording.
"""

Turn: TypeAlias = tuple[str, str, int, int, tuple[int, ...]]
"""Scope, node, visit, how many tries of the visit had failed before; and so of each visit that called
the graph it is in, the innermost first: a sub-graph that is tried again has the same scopes."""


class Said(Struct, frozen=True):
    """A log line; ``fields`` is the JSON of an object."""

    level: str
    message: str
    fields: Raw | UnsetType = UNSET


class Asked(Struct, frozen=True, kw_only=True):
    """What an attempt is made with: all that its outcome may depend on."""

    tool: str
    version: str | None
    config: bytes
    state: bytes
    timeout_s: float
    retry: tuple[int, tuple[str, ...]]


class Recorded(Struct, frozen=True, kw_only=True):
    """What came of an attempt, by the events of its entry and its end.

    ``types`` are those of the error, and with them those for which the node was tried again;
    ``is_final``: it was not, and left. ``keys``
    are those that it changed, ``rules`` how the graph declares them. ``last`` is the last event that
    tells of its outcome, ``lines`` are its log lines. Where a recording keeps no values, ``patch``,
    ``logs`` and the error's text are left to these events, and ``is_whole`` is false.
    """

    entered: int
    seq: int
    last: int
    asked: Asked
    outcome: Outcome
    duration_ms: float
    patch: tuple[PatchOp, ...] = ()
    keys: tuple[str, ...] = ()
    has_secret: bool = False
    rules: bytes = b""
    goto: str | None = None
    error: ErrorInfo | None = None
    types: tuple[str, ...] = ()
    is_final: bool = True
    logs: tuple[Said, ...] = ()
    lines: tuple[int, ...] = ()
    is_whole: bool = True


class Answered(Struct, frozen=True):
    """What ended a wait: a signal's payload, or the time."""

    reason: str
    payload: bytes = b""


class Recording:
    """Takes in the events of a run in their order, and says what came of each attempt and wait.

    Of a visit that a person had retried, what came of it in the end. Attempts that the engine lost
    are as if they had not been made, unless a person told what came of one; those that never came to
    an end are ``cut_off``: others decided, or the recording ends there. ``timed_out``: the turns at
    which a sub-graph was too slow. Without ``values`` it takes as much memory as there are attempts,
    whatever they changed and said. ``run`` is the recorded run, folded.
    """

    def __init__(self, *, values: bool = True) -> None:
        self.run = Run()
        self.answers: dict[Turn, Recorded] = {}
        self.cut_off: dict[Turn, Asked] = {}
        self.waits: dict[Turn, Answered] = {}
        self.timed_out: set[Turn] = set()
        self._values = values
        self._open: dict[str, _Open] = {}
        self._last: dict[str, Turn] = {}

    def note(self, event: Event) -> None:
        """Take in what has happened."""
        match event.data:  # as the run is before it
            case WaitResolved() as resolved:
                self._waited(resolved)
            case NodeExited() | NodeAttemptFailed() as ended if ended.scope not in self._open:
                if _outcome(ended) == "timeout":
                    self.timed_out.add(turn_of(self.run, self.run.scopes[ended.scope]))
            case _:
                pass
        evolve(self.run, event)
        match event.data:
            case NodeEntered() as entered:
                self._entered(event.seq, entered)
            case LogWritten(scope=path) as line if path in self._open:
                self._open[path].lines.append(event.seq)
                if self._values:
                    self._open[path].logs.append(Said(line.level, line.message, line.fields))
            case NodeExited() | NodeAttemptFailed() as ended:
                self._ended(event.seq, ended)
            case StatePatched(scope=path, patch=patch):
                self._changed(event.seq, path, patch)
            case TransitionTaken() as taken:
                self._left(event.seq, taken)
            case _:
                pass

    def _waited(self, resolved: WaitResolved) -> None:
        """Keep what ended a wait."""
        payload = b""
        for kept in (each for name in self.run.signals.values() for each in name):
            if kept.seq == resolved.signal_seq:
                payload = kept.payload
        turn = turn_of(self.run, self.run.scopes[resolved.scope])
        self.waits[turn] = Answered(resolved.reason, payload)

    def _entered(self, seq: int, entered: NodeEntered) -> None:
        self._open.pop(entered.scope, None)
        if entered.tool is None:
            return
        scope = self.run.scopes[entered.scope]
        turn, asked = turn_of(self.run, scope), asked_of(scope, entered.tool_version)
        self._open[entered.scope] = _Open(seq, turn, asked)
        self.cut_off[turn] = asked
        self.answers.pop(turn, None)

    def _ended(self, seq: int, ended: NodeExited | NodeAttemptFailed) -> None:
        self._last.pop(ended.scope, None)
        if ended.scope not in self._open:
            return
        opened, error = self._open.pop(ended.scope), ended.error
        if isinstance(ended, NodeAttemptFailed) and ended.error.type in NOT_A_TRY:
            self._open[ended.scope] = _Open(opened.seq, opened.turn, opened.asked)
            return
        del self.cut_off[opened.turn]
        scope, is_whole = self.run.scopes[ended.scope], self._values or error is None
        self.answers[opened.turn] = Recorded(
            entered=opened.seq,
            seq=seq,
            last=seq,
            asked=opened.asked,
            outcome=_outcome(ended),
            duration_ms=ended.duration_ms,
            rules=rules_of(scope, (), error),
            error=error if is_whole or error is None else ErrorInfo(error.type, ""),
            types=_types(ended, opened.asked),
            is_final=isinstance(ended, NodeExited),
            logs=tuple(opened.logs),
            lines=tuple(opened.lines),
            is_whole=is_whole and (self._values or not opened.lines),
        )
        self._last[ended.scope] = opened.turn

    def _changed(self, seq: int, path: str, patch: tuple[PatchOp, ...]) -> None:
        turn = self._last.get(path)
        if turn is None:
            return
        keys = tuple(sorted({target(op)[0] for op in patch}))
        values = (bytes(op.value) for op in patch if op.value is not UNSET)
        self.answers[turn] = replace(
            self.answers[turn],
            last=seq,
            patch=patch if self._values else (),
            keys=keys,
            has_secret=any(name_in_json(each) is not None for each in values),
            rules=rules_of(self.run.scopes[path], keys),
            is_whole=self._values,
        )

    def _left(self, seq: int, taken: TransitionTaken) -> None:
        """Keep where a tool said to go; what is patched from here on is a join's, and not the tool's."""
        turn = self._last.pop(taken.scope, None)
        if turn is not None and taken.reason == "goto":
            self.answers[turn] = replace(self.answers[turn], goto=taken.to, last=seq)


class _Open(Struct):
    """An attempt that has not ended: its entry, and what it has said."""

    seq: int
    turn: Turn
    asked: Asked
    logs: list[Said] = []
    lines: list[int] = []


class Answers:
    """A recording, as one rerun asks it: with the tools that are to be run anew."""

    def __init__(self, recording: Recording, rerun: RerunOf) -> None:
        self.recording, self.rerun = recording, rerun

    def is_named(self, tool: str) -> bool:
        """Tell whether a tool is to be run anew."""
        return tool in self.rerun.tools

    def look(
        self, run: Run, scope: Scope, version: str | None, *, before: int = 0
    ) -> Recorded | What:
        """Return what came of the attempt that a scope of a run stands at, or why that is not known.

        Or, where it backs off, of a try ``before``, which saw the same state.
        Where tools are named, those alone are run anew; else those whose ``version`` is another. A
        tool that is not here, None, has no other.
        """
        path, node, visit, tries, calls = turn_of(run, scope)
        turn = path, node, visit, tries - before, calls
        found = self.recording.answers.get(turn)
        then = self.recording.cut_off.get(turn) if found is None else found.asked
        if then is None:
            return "new"
        asked = asked_of(scope, version)
        if (why := self._other(asked, then, found)) is not None:
            return why
        if found is None:
            return "cut-off"
        if found.rules != rules_of(scope, found.keys, found.error):
            return "rules"
        return "secret" if found.has_secret else found

    def _other(self, asked: Asked, then: Asked, found: Recorded | None) -> What | None:
        """Return in what an attempt is made otherwise than the recorded one, if it is."""
        if asked.tool != then.tool:
            return "tool"
        if self.is_named(asked.tool):
            return "named"
        if not self.rerun.tools and asked.version not in (None, then.version):
            return "version"
        if asked.config != then.config:
            return "config"
        if asked.state != then.state:
            return "state"
        if found is not None and found.error is not None and asked.retry != then.retry:
            return "retry"
        if found is None or asked.timeout_s == then.timeout_s:
            return None
        took_too_long = found.duration_ms > asked.timeout_s * 1000
        return "timeout" if found.outcome == "timeout" or took_too_long else None


def turn_of(run: Run, scope: Scope) -> Turn:
    """Return the turn that a scope of a run stands at."""
    at = scope.position
    assert at is not None, "an attempt is made where a scope stands"
    calls = (caller.tries for caller in callers_of(run, scope.path))
    return scope.path, at.node, at.visit, at.tries, tuple(calls)


def callers_of(run: Run, path: str) -> Iterator[Position]:
    """Yield where those scopes stand that called the graphs a scope is in, the innermost first."""
    while path != ROOT:
        path, index = parent_of(path)
        if index is None:
            yield position_of(run, path)


def asked_of(scope: Scope, version: str | None) -> Asked:
    """Return what the attempt that a scope stands at is made with."""
    assert scope.position is not None, "an attempt is made where a scope stands"
    node = compile_graph(scope.graph).nodes[scope.position.node].node
    return Asked(
        tool=node.tool if isinstance(node.tool, str) else "",
        version=version,
        config=_hash(encode(dict(node.config))),
        state=scope.state.digest(),
        timeout_s=node.timeout_s or TIMEOUT_S,
        retry=(1, ()) if node.retry is None else (node.retry.attempts, tuple(node.retry.on)),
    )


def rules_of(scope: Scope, keys: tuple[str, ...], error: ErrorInfo | None = None) -> bytes:
    """Return how a scope's graph declares the keys that an attempt changes.

    Of an ``error`` that the graph has judged by: how it declares all of them, and its nodes where
    one was not there.
    """
    graph = compile_graph(scope.graph).graph
    if error is not None:
        nodes = sorted(graph.nodes) if error.type == UNKNOWN_NODE else []
        return _hash(encode([graph.state, nodes])) if error.type in JUDGED else b""
    return _hash(encode([graph.state.get(key) for key in keys])) if keys else b""


def _outcome(ended: NodeExited | NodeAttemptFailed) -> Outcome:
    """Return how an attempt ended: what a tool raises itself has a traceback, its time limit none."""
    if isinstance(ended, NodeExited):
        return ended.outcome
    ran_out = ended.error.type == "TimeoutError" and not ended.error.traceback
    return "timeout" if ran_out else "error"


def _types(ended: NodeExited | NodeAttemptFailed, asked: Asked) -> tuple[str, ...]:
    if ended.error is None:
        return ()
    tried_again = asked.retry[1] if isinstance(ended, NodeAttemptFailed) else ()
    return ended.error.type, *tried_again


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


UNKNOWN_NODE: Final = "UnknownNode"
JUDGED: Final = frozenset(
    {*(kind.code for kind in (CannotReduce, SchemaViolated, SecretLeaked)), UNKNOWN_NODE}
)
"""Errors that say of a tool's result that it does not fit the graph; another graph may take it."""
RERUN_OF: Final = "rerun_of"
"""The tag of a rerun that names what it was made from."""
