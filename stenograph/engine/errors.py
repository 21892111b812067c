"""What can go wrong in the engine.

EngineError
├── GraphInvalid     the graph cannot run: every fault with its pointer
├── UnknownGraph     no graph of that id or version
├── UnknownRun       no run of that id
├── RunExists        the id is taken by another run
├── RunFinished      the run has ended; what was asked needs a live one
├── RunUnfinished    the run has not ended; what was asked needs one that has
├── RunGone          the run was erased: only hashes are left of it
├── SeqNotReached    the run has not come that far
├── PathNotFound     nothing stands at a path of a state
├── ScopeNotFound    a run has no such scope open at an event
├── KeyReused        the idempotency key was used before, for something else
├── TooManyKeys      as many requests with an idempotency key as a run remembers
├── PreconditionFailed  the last event of the run is not the one that it had to be
├── NotHeld          what was asked needs a run that is held, or failed; this one is not
├── RunTooLong       a run that has as many events as one may have
├── UnknownSignal    no node of the run ever waits for a signal of that name
├── SignalRefused    a signal that does not fit what the run waits for
├── TooManySignals   more signals than a run keeps
├── TooManyRuns      more runs than a graph's rules allow, or the engine
├── WriteRefused     what a state does not take; ``code`` names the kind in events
│   ├── NotJson         a value that JSON cannot say, with its pointer
│   ├── StateTooLarge   a state over its limit
│   ├── CannotReduce    a value that does not fit the reducer of its key
│   ├── SchemaViolated  a value that does not fit the schema of its key
│   ├── MergeConflict   branches whose writes to a key cannot both stand
│   └── SecretLeaked    a secret in what is about to be written where everybody reads it
├── StateRefused     a first state that does not fit: every fault with its pointer
├── RerunRefused     a run that cannot be rerun as was asked
├── EngineClosed     the engine was closed before the answer was known
├── ExportRefused    a file that is no exported run, or not as it was written
├── RunImported      what was asked would have an imported run go on, which is only read here
├── DataRefused      a data folder, or a path in it, that cannot be read
├── ToolRefused      a function that cannot serve as a tool, or a name taken twice
├── Misfit           what does not fit the type that a tool declares; ``code`` as above
└── SecretRefused    a value from outside that poses as the engine's stand-in for a secret
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar, Final

from msgspec import Struct

NAMED_MAX: Final = 3
"""So many of the branches in a conflict are named; the rest are counted."""


class EngineError(Exception):
    """The base of all errors of this room."""


class Fault(Struct, frozen=True):
    """One thing that is wrong (or doubtful) in a graph: ``pointer`` is a JSON pointer into it."""

    pointer: str
    detail: str


class GraphInvalid(EngineError):
    """The graph cannot run; ``faults`` names everything that is wrong, ``warnings`` the rest."""

    def __init__(self, faults: list[Fault], warnings: list[Fault]) -> None:
        super().__init__(f"the graph cannot run: {told(faults)}")
        self.faults, self.warnings = faults, warnings


class UnknownGraph(EngineError):
    """There is no graph of that id, or it has no such version."""

    def __init__(self, graph_id: str) -> None:
        super().__init__(f"there is no graph {graph_id!r}; create it first")
        self.graph_id = graph_id


class UnknownRun(EngineError):
    """There is no run of that id."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run {run_id!r}")
        self.run_id = run_id


class RunExists(EngineError):
    """The id is taken by another run."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is already a run {run_id!r}; choose another id, or leave it out")
        self.run_id = run_id


class RunFinished(EngineError):
    """The run has ended, and what was asked needs a live one."""

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(f"run {run_id} has ended: it is {status}")
        self.run_id, self.status = run_id, status


class RunUnfinished(EngineError):
    """The run has not ended, and what was asked needs one that has."""

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(f"run {run_id} has not ended, it is {status}: cancel it first")
        self.run_id, self.status = run_id, status


class RunGone(EngineError):
    """The run was erased: its events are there, with the hashes of what they said."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} was erased; its events tell when, and keep their hashes")
        self.run_id = run_id


class KeyReused(EngineError):
    """The idempotency key was used before, for something else."""

    def __init__(self, key: str | None, run_id: str, seq: int | None = None) -> None:
        did = f"began run {run_id}" if seq is None else f"made event {seq} of run {run_id}"
        super().__init__(
            f"the idempotency key {key!r} {did}, which was asked for otherwise; "
            "use a new key, or ask for the same"
        )
        self.key, self.run_id, self.seq = key, run_id, seq


class TooManyKeys(EngineError):
    """As many requests with an idempotency key as a run remembers; it forgets none."""

    def __init__(self, run_id: str, limit: int) -> None:
        super().__init__(
            f"run {run_id} remembers {limit:,} idempotency keys, and no more; ask without a key, "
            "or fork the run and go on there"
        )
        self.run_id = run_id


class PreconditionFailed(EngineError):
    """The last event of a run is ``head``, and none of those that it had to be."""

    def __init__(self, run_id: str, *, asked: Collection[int], head: int) -> None:
        wanted = " or ".join(map(str, sorted(asked)[:NAMED_MAX])) or "one of another journal"
        super().__init__(
            f"run {run_id} is at event {head}, and was to be at {wanted}; "
            "look at it again, and then decide"
        )
        self.run_id, self.asked, self.head = run_id, frozenset(asked), head


class NotHeld(EngineError):
    """What was asked needs a run of another status."""

    def __init__(self, run_id: str, status: str, asked: str, needed: str) -> None:
        super().__init__(f"run {run_id} is {status}; {asked} needs one that is {needed}")
        self.run_id, self.status = run_id, status


class RunTooLong(EngineError):
    """A run that has as many events as one may have: it goes on no more."""

    def __init__(self, run_id: str, events: int, most: int) -> None:
        told = f"run {run_id} has {events:,} events, and goes on no more after {most:,}"
        super().__init__(f"{told}: fork it, or have the engine take longer runs (run_events)")
        self.run_id, self.events = run_id, events


class UnknownSignal(EngineError):
    """No node of the run ever waits for a signal of that name."""

    def __init__(self, run_id: str, name: str, names: list[str]) -> None:
        there = f"there is {', '.join(names[:20])}" if names else "it waits for none"
        super().__init__(f"no node of run {run_id} waits for a signal {name!r}; {there}")
        self.run_id, self.name = run_id, name


class SignalRefused(EngineError):
    """A signal that does not fit what the run waits for; nothing was used up."""

    def __init__(self, name: str, faults: list[Fault]) -> None:
        super().__init__(f"the signal {name!r} does not fit: {told(faults)}")
        self.name, self.faults = name, faults


class TooManySignals(EngineError):
    """More signals of one name than a run keeps, or more bytes of all."""

    def __init__(self, run_id: str, name: str, kept: str) -> None:
        super().__init__(f"run {run_id} keeps {kept} already; wait until some are used")
        self.run_id, self.name = run_id, name


class TooManyRuns(EngineError):
    """More runs of a graph than its rules allow, or more at once than the engine does."""

    def __init__(self, turn: str, limit: str) -> None:
        told = f"of {turn}: its graph allows {limit}" if turn else f"at once: there may be {limit}"
        super().__init__(f"there are too many runs {told}")
        self.turn = turn


class SeqNotReached(EngineError):
    """The run has not come that far."""

    def __init__(self, run_id: str, *, asked: int, head: int) -> None:
        super().__init__(f"run {run_id} has no event {asked}; ask for one from 1 to {head}")
        self.run_id, self.asked, self.head = run_id, asked, head


class PathNotFound(EngineError):
    """Nothing stands at a path of a state."""

    def __init__(self, path: str, at: int) -> None:
        hint = "write a JSON pointer to what is in it, such as /key or /key/0"
        super().__init__(f"at event {at} the state has nothing at {path!r:.1000}; {hint}")
        self.path, self.at = path, at


class ScopeNotFound(EngineError):
    """A run has no such scope open at an event."""

    def __init__(self, run_id: str, scope: str, at: int) -> None:
        what = f"after event {at} of run {run_id} no scope {scope!r:.1000} is open"
        super().__init__(f"{what}; ask at an event while it was")
        self.scope, self.at = scope, at


class WriteRefused(EngineError):
    """What a state does not take; a node that writes it fails with ``code``."""

    code: ClassVar[str]


class NotJson(WriteRefused):
    """A value that JSON cannot say; ``path`` is the JSON pointer of the first one."""

    code = "not-json"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path or 'the value'} {reason}")
        self.path, self.reason = path, reason


class StateTooLarge(WriteRefused):
    """A state, or one change of it, is over its limit."""

    code = "state-too-large"


class CannotReduce(WriteRefused):
    """A value that does not fit the reducer of its key; ``path`` is the key's JSON pointer."""

    code = "cannot-reduce"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} {reason}")
        self.path, self.reason = path, reason


class SchemaViolated(WriteRefused):
    """A value that does not fit the schema of its key; ``pointer`` leads from the state to where."""

    code = "schema-violated"

    def __init__(self, key: str, pointer: str, sentence: str) -> None:
        super().__init__(f"{pointer} does not fit the schema of its key: {sentence}")
        self.key, self.pointer, self.sentence = key, pointer, sentence


class MergeConflict(WriteRefused):
    """Branches whose writes to a key cannot both stand.

    ``writers`` are the first of them in branch order, each with the ``seq`` of the event that wrote
    the key last; ``more`` counts the others.
    """

    code = "merge-conflict"

    def __init__(
        self, key: str, path: str, what: str, writers: Sequence[tuple[str, int]], fix: str
    ) -> None:
        self.key, self.path = key, path
        self.writers, self.more = tuple(writers[:NAMED_MAX]), max(0, len(writers) - NAMED_MAX)
        named = ", ".join(f"{branch} (event {seq})" for branch, seq in self.writers)
        rest = f" and {self.more:,} more" if self.more else ""
        super().__init__(f"{path} {what} {named}{rest}; {fix}")


class StateRefused(EngineError):
    """A first state that does not fit; ``faults`` names everything, with pointers into it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(f"the state cannot be taken: {told(faults)}")
        self.faults = faults


class MigrationRefused(EngineError):
    """A run cannot go on in another graph as it stands; ``faults`` names all that does not fit."""

    def __init__(self, run_id: str, faults: list[Fault]) -> None:
        super().__init__(f"run {run_id} cannot be migrated so: {told(faults)}")
        self.run_id, self.faults = run_id, faults


class ForkRefused(EngineError):
    """A run cannot be forked so; ``faults`` names everything that is in the way.

    Pointers begin at the request: ``/graph``, ``/state``, ``/patch``, ``/scope``, ``/signals``.
    """

    def __init__(self, run_id: str, faults: list[Fault]) -> None:
        super().__init__(f"run {run_id} cannot be forked so: {told(faults)}")
        self.run_id, self.faults = run_id, faults


class RerunRefused(EngineError):
    """A run cannot be rerun so, or is no rerun; ``faults`` names everything that is in the way.

    Pointers begin at the request: ``/graph``, ``/state``, ``/tools``.
    """

    def __init__(self, run_id: str, faults: list[Fault]) -> None:
        super().__init__(f"run {run_id} cannot be rerun so: {told(faults)}")
        self.run_id, self.faults = run_id, faults


class EngineClosed(EngineError):
    """The engine was closed before the answer was known; the journal knows what became of it."""

    def __init__(self) -> None:
        super().__init__("the engine was closed; the run goes on when it is opened again")


class ExportRefused(EngineError):
    """A file is no exported run, or not as it was written: ``line`` says where.

    ``sound``: the last event before it whose hash holds; 0 when there is none.
    """

    def __init__(self, why: str, *, line: int, sound: int) -> None:
        super().__init__(f"line {line}: {why}; sound up to seq {sound}")
        self.why, self.line, self.sound = why, line, sound


class RunImported(EngineError):
    """A run was imported: here it is only read, and what goes on is a fork of it."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} was imported, and is only read here: fork it to go on")
        self.run_id = run_id


class DataRefused(EngineError, ValueError):
    """A data folder, or a path that leads to no file in it."""


class ToolRefused(EngineError, ValueError):
    """A function that cannot serve as a tool, or a name that is taken by another."""


class Misfit(EngineError):
    """What a tool is given, or leaves, does not fit the type that it declares; no caller sees it.

    The node fails with ``code``: ``state-mismatch``, ``config-mismatch`` or ``not-json``. ``path``
    is the JSON pointer of the first thing that does not fit.
    """

    def __init__(self, code: str, path: str, reason: str) -> None:
        what = code.partition("-mismatch")[0]
        super().__init__(f"{path or f'the {what}'} {reason}")
        self.code, self.path, self.reason = code, path, reason


class SecretRefused(EngineError, ValueError):
    """A value from outside has the form that stands for a secret: it could be another's."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"{key!r} is a secret, and what was given for it only stands for one "
            '({"$secret": …}): give the value itself'
        )
        self.key = key


class SecretLeaked(WriteRefused):
    """The value of a secret key is in what would be written down; ``where`` says in what."""

    code = "secret-leaked"

    def __init__(self, key: str, where: str) -> None:
        super().__init__(
            f"the secret {key!r} is in {where}, which everybody can read: leave it out there, "
            f"or declare that key secret as well"
        )
        self.key, self.where = key, where


def told(faults: list[Fault]) -> str:
    """Return the first few faults as one line."""
    first = "; ".join(f"{fault.pointer or '/'}: {fault.detail}" for fault in faults[:NAMED_MAX])
    more = f"; and {len(faults) - NAMED_MAX} more" if len(faults) > NAMED_MAX else ""
    return first + more
