"""Commands: what may be asked of a run, or be found out about it, and what comes from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from msgspec import Struct

from stenograph.engine.bounds import BOUNDS, Bounds
from stenograph.engine.core.edges import Answers
from stenograph.engine.core.events import ErrorInfo, Origin, PinnedGraph, RerunOf, RunLimits
from stenograph.engine.graphs.graph import Limits, Outcome
from stenograph.engine.state.patch import PatchOp
from stenograph.engine.state.state import State, Update
from stenograph.engine.tools.tools import Effects


class Place(Struct, frozen=True, gc=False):
    """One attempt: where, which visit, which try."""

    scope: str
    node: str
    visit: int
    attempt: int


class Inheritance(Struct, frozen=True, kw_only=True):
    """What a run that is to begin takes over from another, and what it is given on top."""

    origin: Origin
    data: bytes
    patches: Mapping[str, tuple[PatchOp, ...]] = {}
    signals: tuple[Signal, ...] = ()


class Start(Struct, frozen=True, kw_only=True):
    """Begin a run of a graph; after ``delay_s``, and in its ``turn`` when it has to queue."""

    graph_id: str
    version: str
    graph: bytes
    state: bytes
    limits: Limits
    tags: dict[str, str]
    actor: str
    graphs: dict[str, PinnedGraph] = {}
    key: str | None = None
    request: str | None = None
    secrets: Mapping[str, bytes] = {}
    delay_s: float = 0.0
    turn: str | None = None
    is_queued: bool = False
    inheritance: Inheritance | None = None
    rerun: RerunOf | None = None
    traceparent: str | None = None


class ToolReturned(Struct, frozen=True, kw_only=True, gc=False):
    """An attempt came back with what it changed, and perhaps with where to go."""

    place: Place
    update: Update
    goto: str | None
    duration_ms: float
    secrets: Mapping[str, bytes] = {}


class ToolFailed(Struct, frozen=True, kw_only=True):
    """An attempt raised, or ran out of time; ``types``: the error's and its bases, for ``retry.on``.

    ``is_final``: it is known not to be made again.
    """

    place: Place
    outcome: Outcome
    error: ErrorInfo
    types: tuple[str, ...]
    duration_ms: float
    is_final: bool = False


class Due(Struct, frozen=True):
    """What a scope waited for until ``at`` is due: a retry, the end of a wait, a time limit."""

    scope: str
    at: str


class TimeUp(Struct, frozen=True, kw_only=True):
    """The run has had nodes running for as long as ``time_s`` allows; for how long by scope, in ms."""

    running_ms: Mapping[str, float]


class Turn(Struct, frozen=True):
    """The run may begin: its turn has come."""


class Signal(Struct, frozen=True, kw_only=True):
    """Give the run input: to the wait in ``scope``, or to whichever asks for it first.

    ``shown``: the payload as schemas are to see it, when ``payload`` only stands for a secret.

    Here and wherever somebody asks, ``key`` is an idempotency key, and ``if_seqs`` are the events of
    which one must be the run's last.
    """

    name: str
    payload: bytes
    shown: bytes | None = None
    secrets: Mapping[str, bytes] = {}
    actor: str
    scope: str | None = None
    saw: int | None = None
    key: str | None = None
    if_seqs: frozenset[int] | None = None


class Cancel(Struct, frozen=True, kw_only=True):
    """Stop the run."""

    actor: str
    reason: str
    if_seqs: frozenset[int] | None = None


class Pause(Struct, frozen=True, kw_only=True):
    """Begin nothing new until the run is resumed."""

    actor: str
    reason: str
    if_seqs: frozenset[int] | None = None


class Resume(Struct, frozen=True, kw_only=True):
    """Let a paused or parked run go on.

    ``result`` answers for the node that parked it: it has had its effect, and this came of it.
    With ``scope`` it is for a run alone that is parked there.
    """

    actor: str
    limits: RunLimits | None = None
    result: Mapping[str, object] | None = None
    scope: str | None = None
    secrets: Mapping[str, bytes] = {}
    key: str | None = None
    if_seqs: frozenset[int] | None = None


class Retry(Struct, frozen=True, kw_only=True):
    """Reopen a failed run where it failed."""

    actor: str
    limits: RunLimits | None = None
    key: str | None = None
    if_seqs: frozenset[int] | None = None


class Migrate(Struct, frozen=True, kw_only=True):
    """Have the run go on in another graph, which was asked for as ``named``."""

    actor: str
    named: str = ""
    key: str | None = None
    if_seqs: frozenset[int] | None = None
    graph_id: str
    version: str
    graph: bytes
    graphs: dict[str, PinnedGraph]


class Stopped(Struct, frozen=True):
    """Nothing of a run that is being cancelled runs any more."""


class Recover(Struct, frozen=True):
    """The engine started anew: what ran was interrupted."""


class Advance(Struct, frozen=True):
    """Go on with what was more than one commit may hold: in these scopes, or wherever it is."""

    scopes: tuple[str, ...] | None = None


class Fail(Struct, frozen=True):
    """The engine itself cannot go on with this run."""

    error: ErrorInfo


Command: TypeAlias = (
    Start
    | ToolReturned
    | ToolFailed
    | Due
    | TimeUp
    | Turn
    | Signal
    | Cancel
    | Pause
    | Resume
    | Retry
    | Migrate
    | Stopped
    | Recover
    | Advance
    | Fail
)

Keyable: TypeAlias = Signal | Resume | Retry | Migrate
"""What may be asked with an idempotency key: asked twice it would be done twice."""

Asked: TypeAlias = tuple[str, str, int]
"""Where predicates were asked: scope, node and visit."""


class Outside(Struct, frozen=True, gc=False):
    """What a decision needs from outside: the tools' versions and effects, the time, chance.

    ``draw``: a number from [0, 1); ``answers``: what the predicates said that were asked;
    ``ahead``: how many events are written first, which change nothing that a decision looks at;
    ``bounds``: how much there may be; ``haste``: how many parts of work it may do at once, if not all
    that it takes.
    """

    version: Callable[[str], str | None]
    effects: Callable[[str], Effects]
    now_us: int
    draw: float
    answers: Mapping[Asked, Answers] = {}
    ahead: int = 0
    bounds: Bounds = BOUNDS
    haste: int | None = None


class Unanswered(Exception):
    """A decision needs to know what predicates say of a state; ask, and decide again."""

    def __init__(self, asked: Asked, names: list[str], state: State) -> None:
        super().__init__(f"predicates {', '.join(names)} were not asked")
        self.asked, self.names, self.state = asked, names, state
