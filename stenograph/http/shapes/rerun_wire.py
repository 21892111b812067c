"""Reruns over HTTP: what is asked."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Struct

from stenograph.engine import CHECK_S, CheckTime, Limits
from stenograph.http.shapes.wire import GraphId, Id, State, Tags

ToolNames: TypeAlias = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=128)]], Meta(max_length=1000)
]


class RerunRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /runs/{id}/rerun``; the whole body may be left out. ``id`` and ``run_id`` are one thing, the new run's id; give one.

    ``state`` sets keys of the first state. With ``tools`` these are run anew, whatever was recorded,
    and versions do not count.
    """

    graph: Annotated[
        GraphId | dict[str, Any] | None,
        Meta(description="Another graph: its id, id@version, or a whole graph"),
    ] = None
    state: State | None = None
    tools: ToolNames = []
    id: Id | None = None
    run_id: Id | None = None
    limits: Limits | None = None
    tags: Tags | None = None


class CheckRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /runs/{id}/check``: with ``tools``, those alone; the whole body may be left out."""

    tools: ToolNames = []
    time_s: Annotated[
        CheckTime,
        Meta(description="How long it may take, in seconds; what is not done then is left out"),
    ] = CHECK_S
