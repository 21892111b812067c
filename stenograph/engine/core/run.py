"""A run, as its events have told it so far: the struct, and the statuses it may have.

What an event changes in one is in ``folding``; what can be read from one, in ``standing``.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import Struct, field

from stenograph.engine.core.events import ErrorInfo, Origin, PinnedGraph, RerunOf, RunLimits
from stenograph.engine.core.growth import Growth
from stenograph.engine.core.scopes import ROOT, Layer, Phase, Scope, twin_of
from stenograph.engine.state.state import State
from stenograph.engine.values import request_hash

Status: TypeAlias = Literal[
    "running", "waiting", "paused", "parked", "cancelling", "completed", "failed", "cancelled"
]
Halt: TypeAlias = Literal["", "pause", "limit", "time", "events"]
ENDED: Final[frozenset[str]] = frozenset({"completed", "failed", "cancelled"})
ACTIVE: Final[frozenset[str]] = frozenset({"running", "cancelling"})
"""The statuses in which the engine has something to do by itself."""
GOING: Final[frozenset[str]] = frozenset({"running", "waiting"})
"""The statuses in which a run goes on."""


class Kept(Struct, frozen=True, gc=False):
    """A signal that nobody has used yet, by the event that brought it."""

    seq: int
    payload: bytes
    scope: str | None


class Keyed(Struct, frozen=True, gc=False, array_like=True):
    """What was asked with an idempotency key: the event that it made, and a hash of it.

    ``secret``: the name under which the journal keeps what it brought, where that was secret.
    """

    seq: int
    request: str
    secret: str = ""


class Run(Struct, gc=False):
    """A run, folded. Only ``evolve`` changes one, and only its owner calls that.

    ``halt``: why nothing new is begun although the run has not come to rest yet; ``phases``: how
    many scopes stand in each phase; ``parked_at``: the scope and the node that a person must judge;
    ``keyed``: what was asked with a key, by ``key_id``;
    ``growth``, which layers share, is nothing that events tell: it says when a snapshot is due.
    """

    id: str = ""
    seq: int = 0
    status: Status = "running"
    graph_id: str = ""
    version: str = ""
    graph: bytes = b""
    graphs: dict[str, PinnedGraph] = field(default_factory=dict)
    limits: RunLimits = RunLimits(10_000)
    tags: dict[str, str] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    phases: dict[Phase, int] = field(default_factory=dict)
    signals: dict[str, tuple[Kept, ...]] = field(default_factory=dict)
    keyed: dict[str, Keyed] = field(default_factory=dict)
    halt: Halt = ""
    parked_at: tuple[str, str] = ("", "")
    steps: int = 0
    busy_ms: float = 0.0
    error: ErrorInfo | None = None
    reason: str = ""
    failed_in: str = ""
    key: str | None = None
    request: str | None = None
    turn: str | None = None
    origin: Origin | None = None
    rerun: RerunOf | None = None
    traceparent: str | None = None
    created_at: str = ""
    updated_at: str = ""
    finished_at: str | None = None
    growth: Growth = field(default_factory=Growth)

    @property
    def state(self) -> State:
        """The state of the run: that of scope ``/``."""
        return self.scopes[ROOT].state

    @property
    def ended(self) -> bool:
        """Whether a terminal event was the last word."""
        return self.status in ENDED

    @property
    def goes_on(self) -> bool:
        """Whether new nodes may be entered."""
        return self.status in GOING and not self.halt

    @property
    def is_queued(self) -> bool:
        """Whether the run waits for its turn to begin."""
        at = self.scopes[ROOT].position if ROOT in self.scopes else None
        return at is not None and at.phase == "waiting" and at.kind == "turn"

    @property
    def only_waits(self) -> bool:
        """Whether scopes wait, and none runs or is tried again by itself."""
        phases = self.phases
        if not phases.get("waiting"):  # as after almost every event
            return False
        return not (phases.get("running") or phases.get("backing-off"))

    def count(self, *phases: Phase) -> int:
        """Return how many scopes stand in one of the phases."""
        number = 0
        for phase in phases:  # no generator: every decision asks this several times
            number += self.phases.get(phase, 0)
        return number

    def copy(self) -> Run:
        """Return a run that changes apart from this one."""
        twin = twin_of(self)
        twin.scopes = {path: scope.copy() for path, scope in self.scopes.items()}
        twin.growth = twin_of(self.growth)
        twin.phases, twin.signals = self.phases.copy(), self.signals.copy()
        twin.keyed = dict(self.keyed.items())
        return twin

    def layer(self) -> Run:
        """Return a copy that costs what is looked at in it, for as long as this one stays."""
        twin = twin_of(self)
        twin.scopes = Layer(self.scopes)
        twin.phases, twin.signals = self.phases.copy(), self.signals.copy()
        twin.keyed = Layer(self.keyed) if self.keyed else {}
        return twin

    def adopt(self, layer: Run) -> None:
        """Become what a layer over this run has become, which is not used any more."""
        assert isinstance(layer.scopes, Layer), "only a layer knows what was changed"
        scopes, keyed = layer.scopes.settle(), layer.keyed
        for name in _FIELDS:
            setattr(self, name, getattr(layer, name))
        self.scopes = scopes
        self.keyed = keyed.settle() if isinstance(keyed, Layer) else keyed

    def rebase(self, run: Run) -> None:
        """Be a layer over a run that has adopted the layer that this one was over."""
        assert isinstance(self.scopes, Layer), "only a layer lies over another run"
        self.scopes.rebase(run.scopes)
        if isinstance(self.keyed, Layer):
            self.keyed.rebase(run.keyed)


def key_id(actor: str, key: str) -> str:
    """Return what an idempotency key goes by: keys of two who ask are two."""
    return request_hash([actor, key])[:32]


_FIELDS: Final = tuple(n for n in Run.__struct_fields__ if n not in ("scopes", "keyed"))
