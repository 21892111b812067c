"""Scripts: a run as what came to it from outside, and what it came to; enough to make it again.

Plain data that a person can read and change in a file: of the engine's own decisions there is
nothing in it but what was expected of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from msgspec import Struct

Place: TypeAlias = str
"""A visit: its scope, node and number, as ``/review#2`` or ``/split#1[0]/summarize#1``."""


class Returned(Struct, frozen=True, omit_defaults=True):
    """The tool at a visit came back: what it returned, and what it did to its state in place.

    ``put``: keys that it set, ``grew``: items that it added to lists, ``dropped``: keys that it
    removed. ``goto`` is the node that it said to go to. A node without a tool just returns.
    """

    at: Place
    update: Mapping[str, Any] = {}
    put: Mapping[str, Any] = {}
    grew: Mapping[str, Sequence[Any]] = {}
    dropped: Sequence[str] = ()
    goto: str | None = None


class Failed(Struct, frozen=True, omit_defaults=True):
    """The tool at a visit raised, or ran out of time (``timeout``); ``bases``: names for retry.on."""

    at: Place
    type: str
    message: str = ""
    timeout: bool = False
    bases: Sequence[str] = ()


class Signalled(Struct, frozen=True, omit_defaults=True):
    """Somebody gave a signal, in a ``scope`` or to whoever waits for it."""

    name: str
    payload: Any = None
    scope: str | None = None


class TimeCame(Struct, frozen=True, omit_defaults=True):
    """What a visit waited for was due: the end of a wait, of a backoff, or of its time."""

    at: Place


class Did(Struct, frozen=True, omit_defaults=True):
    """A person paused, resumed, retried or cancelled the run, perhaps with other limits.

    ``time-up``: its nodes had run for as long as ``time_s`` allows.
    """

    what: Literal["pause", "resume", "retry", "cancel", "time-up"]
    steps: int | None = None
    time_s: float | None = None


Step: TypeAlias = Returned | Failed | Signalled | TimeCame | Did


class RecordedRun(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run that can be played again: how it began, what came to it, and what it came to.

    ``graph``: as it is stored, or None where whoever plays it says which; ``graphs``: the sub-graphs,
    by the name that nodes call them. ``began``: the time, in UTC, at which ``state`` was the first.
    ``limits``: where they are not the graph's. ``fork``: what a fork took over from its origin.
    ``outcomes`` in the order in which they came; ``predicates``: what each said, by visit; ``once``:
    tools that are not tried again when they ran out of time. ``path`` and ``final`` are expected: a
    line for each step that was taken, and the last state.
    """

    graph: Mapping[str, Any] | None = None
    graphs: Mapping[str, Mapping[str, Any]] = {}
    state: Mapping[str, Any]
    began: str
    limits: Mapping[str, Any] = {}
    fork: Mapping[str, Any] | None = None
    outcomes: Sequence[Step]
    predicates: Mapping[Place, Mapping[str, bool]] = {}
    once: Sequence[str] = ()
    path: Sequence[str]
    final: Mapping[str, Any]
