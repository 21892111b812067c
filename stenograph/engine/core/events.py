"""What can have happened to a run: a closed set, one frozen struct a type, frozen as history.

A new field has a default, since old history lacks it; a changed meaning is a new type.

In this order: what events are made of; the run as a whole; nodes, their patches and transitions; forks
and branches; waits, signals and timers; logs; graphs; and at the end how an event is written and read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, field

from stenograph.engine.errors import EngineError, RunGone
from stenograph.engine.state.patch import PatchOp
from stenograph.journal import Record, is_erased


class Fact(Struct, frozen=True, gc=False):
    """What history is made of: values that refer to no other thing of the program.

    So the garbage collector need not look for them in cycles (``gc=False``), as often as they are
    made.
    """


class ErrorInfo(Fact, frozen=True, omit_defaults=True):
    """Why something failed: ``type`` is an exception's name, or a code of the engine's own."""

    type: str
    message: str
    traceback: str = ""
    node: str = ""


class RunLimits(Fact, frozen=True):
    """How far a run may go before it parks, written out: a later default changes no old run."""

    steps: int
    time_s: float | None = None


class PinnedGraph(Fact, frozen=True, kw_only=True):
    """A graph as a run holds on to it: whole, so that no later version changes the run."""

    graph_id: str
    version: str
    graph: Raw


class Origin(Fact, frozen=True, kw_only=True):
    """The event of another run that a run goes on from: its run, its seq and its hash."""

    run_id: str
    seq: int
    hash: str


class RerunOf(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """The run, up to an event of it, from which a rerun is answered; but for ``tools``, run anew."""

    run_id: str
    seq: int
    hash: str
    tools: tuple[str, ...] = ()


class RunCreated(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A run began: its graph, whole and by version, and its first state.

    ``graphs``: the sub-graphs, by the name that nodes call them; ``key`` and ``request``: the
    idempotency key and a hash of what was asked; ``turn``: the queue of runs it stands in.

    A fork goes on from its ``origin``: with the ``state`` there, with what else it has ``inherited``,
    and with ``patches`` to the states of some scopes by who forked it. ``rerun``: what a rerun was
    made from. ``traceparent``: the trace that the request belonged to (W3C Trace Context).
    """

    TYPE: ClassVar[str] = "run.created"
    graph_id: str
    version: str
    graph: Raw
    state: Raw
    limits: RunLimits
    actor: str
    tags: dict[str, str] = {}
    graphs: dict[str, PinnedGraph] = {}
    key: str | None = None
    request: str | None = None
    turn: str | None = None
    origin: Origin | None = None
    inherited: Raw | UnsetType = UNSET
    patches: dict[str, tuple[PatchOp, ...]] = {}
    rerun: RerunOf | None = None
    traceparent: str | None = None


class RunPausing(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody asked the run to pause; nodes under way finish first."""

    TYPE: ClassVar[str] = "run.pausing"
    actor: str
    reason: str = ""


class RunPaused(Fact, frozen=True):
    """Nothing of the run is under way, and nothing will be until it is resumed."""

    TYPE: ClassVar[str] = "run.paused"


class RunResumed(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody let a paused or parked run go on, perhaps with other limits.

    ``key`` and ``request``, here and wherever somebody asked: the idempotency key and a hash of what
    was asked with it.
    """

    TYPE: ClassVar[str] = "run.resumed"
    actor: str
    limits: RunLimits | None = None
    key: str | None = None
    request: str | None = None


class RunRetried(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody reopened a failed run: what failed or was stopped by it is tried afresh."""

    TYPE: ClassVar[str] = "run.retried"
    actor: str
    limits: RunLimits | None = None
    key: str | None = None
    request: str | None = None


class RunMigrated(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody had the run go on in another graph, or another version of its own, whole as at first.

    Every scope stays where it stands, with its state and its counters.
    """

    TYPE: ClassVar[str] = "run.migrated"
    actor: str
    graph_id: str
    version: str
    graph: Raw
    graphs: dict[str, PinnedGraph] = {}
    key: str | None = None
    request: str | None = None


class RunParked(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """The engine stopped and needs a person."""

    TYPE: ClassVar[str] = "run.parked"
    reason: Literal["limit", "effects-once", "crash-loop"]
    message: str
    scope: str = "/"
    node: str = ""


class RunRecovered(Fact, frozen=True, kw_only=True):
    """The engine started anew and took the run up again; ``lost`` attempts were interrupted."""

    TYPE: ClassVar[str] = "run.recovered"
    lost: int


class RunCancelling(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody asked the run to stop; what runs is being stopped."""

    TYPE: ClassVar[str] = "run.cancelling"
    actor: str
    reason: str = ""


class RunCancelled(Fact, frozen=True):
    """The run stopped because somebody asked."""

    TYPE: ClassVar[str] = "run.cancelled"


class RunCompleted(Fact, frozen=True, kw_only=True):
    """The run came to its end."""

    TYPE: ClassVar[str] = "run.completed"
    reason: Literal["end", "loop-done", "loop-cap", "no-edge-matched"]


class RunFailed(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """The run could not go on; ``scope``, ``node`` and ``visit`` say where it began to fail."""

    TYPE: ClassVar[str] = "run.failed"
    error: ErrorInfo
    scope: str = ""
    node: str = ""
    visit: int = 0


class RunErased(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody had the run erased: of the events before only the hashes of their data are left."""

    TYPE: ClassVar[str] = "run.erased"
    actor: str
    reason: str = ""


class LimitReached(Fact, frozen=True, kw_only=True):
    """The run came to one of its limits; it parks."""

    TYPE: ClassVar[str] = "limit.reached"
    limit: Literal["steps", "time_s", "events"]
    value: int | float


class NodeEntered(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An attempt at a node began: the n-th try within the n-th visit.

    Where the node runs a ``graph``, its state begins with the keys of ``in``, each from a path of
    the state here, or as a copy of that.
    """

    TYPE: ClassVar[str] = "node.entered"
    scope: str
    node: str
    visit: int
    attempt: int
    tool: str | None = None
    tool_version: str | None = None
    graph: str | None = None
    graph_version: str | None = None
    in_: dict[str, str] | None = field(name="in", default=None)


class NodeAttemptFailed(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An attempt failed and is not the last: ``retry_at`` says when the next one starts."""

    TYPE: ClassVar[str] = "node.attempt_failed"
    scope: str
    node: str
    visit: int
    attempt: int
    error: ErrorInfo
    duration_ms: float = 0.0
    retry_at: str | None = None


class NodeExited(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A visit ended; its outcome is history and the node never runs again for it."""

    TYPE: ClassVar[str] = "node.exited"
    scope: str
    node: str
    visit: int
    attempt: int
    outcome: Literal["ok", "error", "timeout"]
    duration_ms: float
    error: ErrorInfo | None = None


class StatePatched(Fact, frozen=True, kw_only=True):
    """The state of a scope changed; left out when a visit changed nothing."""

    TYPE: ClassVar[str] = "state.patched"
    scope: str
    node: str
    visit: int
    attempt: int
    patch: tuple[PatchOp, ...]


class Considered(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An edge that was looked at: what it asked, the answer, and the values that it read."""

    edge: int
    verdict: bool
    when: Any = None
    until: Any = None
    max: int | None = None
    taken: int = 0
    read: dict[str, Any] = {}


class TransitionTaken(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """The way that was taken, and why; ``edge`` is None after a goto and at an end.

    After a fork, to the nodes of ``fork``, ``to`` is where the scope goes on once they have joined.
    """

    TYPE: ClassVar[str] = "transition.taken"
    scope: str
    node: str
    visit: int
    to: str
    reason: Literal[
        "next", "branch", "loop", "goto", "error", "timeout",
        "loop-done", "loop-cap", "no-edge-matched",
    ]  # fmt: skip
    edge: int | None = None
    label: str | None = None
    considered: tuple[Considered, ...] = ()
    fork: tuple[str, ...] = ()


class ForkOpened(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A scope went several ways: ``count`` branches, one for each of ``targets``.

    Or, with ``each``, to the one target for every item of the list at that path.
    """

    TYPE: ClassVar[str] = "fork.opened"
    scope: str
    node: str
    visit: int
    attempt: int
    targets: tuple[str, ...]
    count: int
    join: str
    need: int
    on_error: Literal["fail", "collect"]
    each: str | None = None
    as_: str | None = field(name="as", default=None)
    width: int | None = None


class BranchEnded(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A branch, whose own ``scope`` this is, came to its end, or was stopped for the others' sake.

    ``failed_in``, a scope, ``node`` and ``visit`` say where it began to fail.
    """

    TYPE: ClassVar[str] = "branch.ended"
    scope: str
    outcome: Literal["ok", "error", "cancelled"]
    reason: str = ""
    error: ErrorInfo | None = None
    failed_in: str = ""
    node: str = ""
    visit: int = 0


class ForkJoined(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """All that a fork waited for has arrived, and the scope goes on at ``join``.

    With ``error`` what the branches changed could not be brought together.
    """

    TYPE: ClassVar[str] = "fork.joined"
    scope: str
    node: str
    visit: int
    attempt: int
    join: str
    arrived: int
    failed: int = 0
    cancelled: int = 0
    error: ErrorInfo | None = None


class WaitOpened(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A scope waits: for a ``signal``, for a ``time``, or before its start for a ``delay`` or a turn."""

    TYPE: ClassVar[str] = "wait.opened"
    scope: str
    node: str
    visit: int
    attempt: int
    kind: Literal["signal", "time", "delay", "turn"]
    signal: str | None = None
    schema: Raw | UnsetType = UNSET


class WaitResolved(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A wait is over; ``signal_seq`` is the event of the signal that it used up."""

    TYPE: ClassVar[str] = "wait.resolved"
    scope: str
    node: str
    visit: int
    attempt: int
    reason: Literal["signal", "time", "timeout", "turn"]
    signal_seq: int | None = None


class SignalReceived(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody gave the run input; ``saw`` is the last event that they had seen."""

    TYPE: ClassVar[str] = "signal.received"
    name: str
    payload: Raw
    actor: str
    scope: str | None = None
    saw: int | None = None
    key: str | None = None
    request: str | None = None


class TimerSet(Fact, frozen=True, kw_only=True):
    """Something will happen to what a scope does now when its time comes."""

    TYPE: ClassVar[str] = "timer.set"
    scope: str
    node: str
    visit: int
    due_at: str


class TimerFired(Fact, frozen=True, kw_only=True):
    """The time of a timer came."""

    TYPE: ClassVar[str] = "timer.fired"
    scope: str
    node: str
    visit: int
    due_at: str


class LogWritten(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A tool said something while it ran."""

    TYPE: ClassVar[str] = "log"
    scope: str
    node: str
    visit: int
    attempt: int
    level: str
    message: str
    fields: Raw | UnsetType = UNSET


class GraphCreated(Fact, frozen=True, kw_only=True):
    """A graph, or a new version of it, was stored; in the graph's own stream."""

    TYPE: ClassVar[str] = "graph.created"
    graph_id: str
    version: str
    graph: Raw
    actor: str


Payload: TypeAlias = (
    RunCreated
    | RunPausing
    | RunPaused
    | RunResumed
    | RunRetried
    | RunMigrated
    | RunParked
    | RunRecovered
    | RunCancelling
    | RunCancelled
    | RunCompleted
    | RunFailed
    | RunErased
    | LimitReached
    | NodeEntered
    | NodeAttemptFailed
    | NodeExited
    | StatePatched
    | TransitionTaken
    | ForkOpened
    | BranchEnded
    | ForkJoined
    | WaitOpened
    | WaitResolved
    | SignalReceived
    | TimerSet
    | TimerFired
    | LogWritten
    | GraphCreated
)

TERMINAL: Final = frozenset({RunCompleted.TYPE, RunFailed.TYPE, RunCancelled.TYPE, RunErased.TYPE})
"""The types that end a run, or stand at the end of one that was erased."""

EVENT_TYPES: Final = frozenset(kind.TYPE for kind in get_args(Payload))
"""Every type there is."""

_ENCODER: Final = msgspec.json.Encoder()
_DECODERS: Final[Mapping[str, msgspec.json.Decoder[Payload]]] = {
    kind.TYPE: msgspec.json.Decoder(kind) for kind in get_args(Payload)
}


class Event(Fact, frozen=True):
    """A record as the engine reads it: the envelope's fields and the payload, decoded."""

    offset: int
    run_id: str
    seq: int
    at: str
    type: str
    data: Payload
    hash: str


class UnknownEvent(EngineError):
    """A record of a type, or with a payload, that this version cannot read."""


def encode_payload(payload: Payload) -> bytes:
    """Return a payload's bytes, as they are stored and sent for ever after."""
    return _ENCODER.encode(payload)


def decode(record: Record) -> Event:
    """Read a record; raises UnknownEvent, or RunGone where it was erased."""
    if is_erased(record):
        raise RunGone(record.run_id)
    try:
        payload = _DECODERS[record.type].decode(record.data)
    except (KeyError, msgspec.MsgspecError) as error:
        where = f"{record.run_id} seq {record.seq}"
        raise UnknownEvent(f"{where}: cannot read a {record.type}: {error}") from error
    return Event(
        record.offset, record.run_id, record.seq, record.at, record.type, payload, record.hash
    )
