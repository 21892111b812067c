"""Migrations over HTTP: what is asked."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from stenograph.http.shapes.wire import GraphId


class MigrateRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /runs/{id}/migrate``; with ``dry_run`` nothing is written."""

    graph: Annotated[
        GraphId | dict[str, Any],
        Meta(description="The graph to go on in: its id, id@version, or a whole graph"),
    ]
    dry_run: bool = False
