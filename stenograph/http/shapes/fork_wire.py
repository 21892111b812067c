"""Forks over HTTP: what is asked, and what is answered."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from stenograph.engine import Limits
from stenograph.http.shapes.wire import GraphId, Id, RunAnswer, State, Tags

PATCH_MAX_OPS = 1000


class ForkRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /runs/{id}/fork``. ``id`` and ``run_id`` are one thing, the new run's id; give one.

    Without ``limits`` and ``tags`` the new run has those of the one that is forked.
    """

    at: Annotated[
        int, Meta(ge=1, description="The event after which to go on, or whose step to begin again")
    ]
    state: State | None = None
    patch: Annotated[
        list[dict[str, Any]],
        Meta(
            max_length=PATCH_MAX_OPS,
            description="RFC 6902: add, replace, remove at /key; add at /key/-",
            examples=[[{"op": "replace", "path": "/issues_open", "value": 0}]],
        ),
    ] = []
    scope: Annotated[
        str, Meta(max_length=1000, description="Whose state to change", examples=["/split#1[0]/"])
    ] = "/"
    graph: Annotated[
        GraphId | dict[str, Any] | None,
        Meta(description="Go on in this graph: its id, id@version, or a whole graph"),
    ] = None
    signals: Annotated[
        dict[str, Any], Meta(max_length=100, description="Signals to give at once, by name")
    ] = {}
    id: Id | None = None
    run_id: Id | None = None
    limits: Limits | None = None
    tags: Tags | None = None


class ForkAnswer(RunAnswer, frozen=True, kw_only=True):
    """The new run; ``forked_at`` is the event after which it goes on, at or before the one asked for."""

    forked_at: int
