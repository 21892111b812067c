"""Recordings: what came of each attempt of a run, to be looked up by who runs the same again. Pure."""

from __future__ import annotations

import hashlib
from typing import Final, Literal, TypeAlias

from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from stenograph.engine.edges import compile_graph
from stenograph.engine.events import (
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
from stenograph.engine.folding import evolve
from stenograph.engine.folding_scopes import NOT_A_TRY
from stenograph.engine.graph import Outcome
from stenograph.engine.patch import PatchOp, target
from stenograph.engine.run import Run
from stenograph.engine.scopes import Scope
from stenograph.engine.state import State
from stenograph.engine.values import encode
from stenograph.engine.vault import name_in_json

What: TypeAlias = Literal["new", "named", "tool", "version", "config", "state", "rules", "secret"]
"""Why an attempt is not answered: it was never made, or in what it is other than the recorded one."""

Turn: TypeAlias = tuple[str, str, int, int]
"""Scope, node, visit, and how many tries of the visit had failed before."""


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


class Recorded(Struct, frozen=True, kw_only=True):
    """What came of an attempt, by the events of its entry and its end.

    ``rules``: how the graph declares the keys that it changed. ``types`` are those of the error, and with them those for which the node was tried again.
    """

    entered: int
    seq: int
    asked: Asked
    outcome: Outcome
    patch: tuple[PatchOp, ...] = ()
    rules: bytes = b"[]"
    goto: str | None = None
    error: ErrorInfo | None = None
    types: tuple[str, ...] = ()
    logs: tuple[Said, ...] = ()


class Answered(Struct, frozen=True):
    """What ended a wait: a signal's payload, or the time."""

    reason: str
    payload: bytes = b""


class Recording:
    """Takes in the events of a run in their order, and says what came of each attempt and wait.

    Of a visit that a person had retried, what came of it in the end. Attempts that were cut off
    are as if they had not been made. ``run`` is the recorded run, folded.
    """

    def __init__(self) -> None:
        self.run = Run()
        self.answers: dict[Turn, Recorded] = {}
        self.waits: dict[tuple[str, str, int], Answered] = {}
        self._open: dict[str, tuple[Turn, Asked, list[Said], int]] = {}
        self._last: dict[str, Turn] = {}

    def note(self, event: Event) -> None:
        """Take in what has happened."""
        if isinstance(event.data, WaitResolved):
            self._waited(event.data)
        evolve(self.run, event)
        match event.data:
            case NodeEntered(tool=str()) as entered:
                scope = self.run.scopes[entered.scope]
                turn = turn_of(scope)
                self._open[entered.scope] = (
                    turn,
                    asked_of(scope, entered.tool_version),
                    [],
                    event.seq,
                )
            case LogWritten(scope=path) as line if path in self._open:
                self._open[path][2].append(Said(line.level, line.message, line.fields))
            case NodeExited() | NodeAttemptFailed() as ended:
                self._ended(event.seq, ended)
            case StatePatched(scope=path, patch=patch):
                self._changed(path, patch)
            case TransitionTaken(scope=path, reason="goto", to=to) if path in self._last:
                turn = self._last[path]
                self.answers[turn] = replace(self.answers[turn], goto=to)
            case _:
                pass

    def _waited(self, resolved: WaitResolved) -> None:
        """Keep what ended a wait; the run is as it was before."""
        payload = b""
        for kept in (each for name in self.run.signals.values() for each in name):
            if kept.seq == resolved.signal_seq:
                payload = kept.payload
        place = (resolved.scope, resolved.node, resolved.visit)
        self.waits[place] = Answered(resolved.reason, payload)

    def _ended(self, seq: int, ended: NodeExited | NodeAttemptFailed) -> None:
        self._last.pop(ended.scope, None)
        if ended.scope not in self._open:
            return
        turn, asked, logs, entered = self._open.pop(ended.scope)
        error = ended.error
        if isinstance(ended, NodeAttemptFailed) and ended.error.type in NOT_A_TRY:
            return
        types: tuple[str, ...] = () if error is None else (error.type,)
        outcome: Outcome = "error"
        if isinstance(ended, NodeExited):
            outcome = ended.outcome
        else:
            node = compile_graph(self.run.scopes[ended.scope].graph).nodes[ended.node].node
            types += tuple(node.retry.on) if node.retry else ()
        self.answers[turn] = Recorded(
            entered=entered,
            seq=seq,
            asked=asked,
            outcome=outcome,
            error=error,
            types=types,
            logs=tuple(logs),
        )
        self._last[ended.scope] = turn

    def _changed(self, path: str, patch: tuple[PatchOp, ...]) -> None:
        turn = self._last.get(path)
        if turn is not None:
            rules = rules_of(self.run.scopes[path], patch)
            self.answers[turn] = replace(self.answers[turn], patch=patch, rules=rules)


class Answers:
    """A recording, as one rerun asks it: with the tools that are to be run anew."""

    def __init__(self, recording: Recording, rerun: RerunOf) -> None:
        self.recording, self._rerun = recording, rerun

    def is_named(self, tool: str) -> bool:
        """Tell whether a tool is to be run anew."""
        return tool in self._rerun.tools

    def look(self, scope: Scope, version: str | None) -> Recorded | What:
        """Return what came of the attempt that a scope stands at, or why that is not known.

        Where tools are named, those alone are run anew; else those whose ``version`` is another. A
        tool that is not here, None, has no other.
        """
        found = self.recording.answers.get(turn_of(scope))
        if found is None:
            return "new"
        asked = asked_of(scope, version)
        if asked.tool != found.asked.tool:
            return "tool"
        if self.is_named(asked.tool):
            return "named"
        if not self._rerun.tools and version not in (None, found.asked.version):
            return "version"
        if asked.config != found.asked.config:
            return "config"
        if asked.state != found.asked.state:
            return "state"
        if found.rules != rules_of(scope, found.patch):
            return "rules"
        values = [bytes(op.value) for op in found.patch if op.value is not UNSET]
        return "secret" if any(name_in_json(each) for each in values) else found


def turn_of(scope: Scope) -> Turn:
    """Return the turn that a scope stands at."""
    at = scope.position
    assert at is not None, "an attempt is made where a scope stands"
    return scope.path, at.node, at.visit, at.tries


def asked_of(scope: Scope, version: str | None) -> Asked:
    """Return what the attempt that a scope stands at is made with."""
    assert scope.position is not None, "an attempt is made where a scope stands"
    node = compile_graph(scope.graph).nodes[scope.position.node]
    config = encode(dict(node.node.config))
    return Asked(tool=node.tool or "", version=version, config=config, state=digest(scope.state))


def digest(state: State) -> bytes:
    """Return a hash of a state, in whatever order its keys are."""
    return hashlib.sha256(
        encode(sorted((key, data.decode()) for key, data in state.raw()))
    ).digest()


def rules_of(scope: Scope, patch: tuple[PatchOp, ...]) -> bytes:
    """Return how a scope's graph declares the keys that a patch changes."""
    declared = compile_graph(scope.graph).graph.state
    keys = sorted({target(op)[0] for op in patch})
    return encode([declared.get(key) for key in keys])


RERUN_OF: Final = "rerun_of"
"""The tag of a rerun that names what it was made from."""
