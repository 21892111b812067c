"""One thing as one JSON document: a run, with its state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Raw

if TYPE_CHECKING:
    from stenograph.engine import RunView, StateAt


def run_document(run: RunView) -> dict[str, Any]:
    """Return a run as it is now."""
    return {
        "id": run.id,
        "run_id": run.id,
        "graph_id": run.graph_id,
        "version": run.version,
        "status": run.status,
        "done": run.done,
        "seq": run.seq,
        "steps": run.steps,
        "current": run.current,
        "waits": run.waits,
        "parked": run.parked,
        "origin": run.origin,
        "imported": run.imported,
        "erased": run.erased,
        "tags": run.tags,
        "error": run.error,
        "reason": run.reason,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "finished_at": run.finished_at,
        "state": Raw(run.state_json),
    }


def past_document(run: RunView, then: StateAt, graph_id: str, version: str) -> dict[str, Any]:
    """Return a run as it was after event ``seq``, in the graph that it was in then.

    ``head`` is the last event there is.
    """
    return {
        "id": run.id,
        "run_id": run.id,
        "graph_id": graph_id,
        "version": version,
        "status": then.status,
        "seq": then.seq,
        "head": run.seq,
        "tags": run.tags,
        "created_at": run.created_at,
        "state": Raw(then.json),
    }
