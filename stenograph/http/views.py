"""What an answer of the wire is to the engine's callers: the same views as in Python."""

from __future__ import annotations

from stenograph.engine import RunView, StoredGraph
from stenograph.http.wire import GraphAnswer, RunAnswer


def view_of(run: RunAnswer, state_json: bytes) -> RunView:
    """Return a run of the wire as the engine shows it."""
    return RunView(
        id=run.id,
        graph_id=run.graph_id,
        version=run.version,
        status=run.status,
        seq=run.seq,
        steps=run.steps,
        current=tuple(run.current),
        waits=tuple(run.waits),
        tags=run.tags,
        error=run.error,
        reason=run.reason,
        created_at=run.created_at,
        updated_at=run.updated_at,
        finished_at=run.finished_at,
        state_json=state_json,
        parked=run.parked,
        origin=run.origin,
        replayed=run.replayed,
        imported=run.imported,
    )


def stored_graph(answer: GraphAnswer, *, created: bool = False) -> StoredGraph:
    """Return a graph of the wire as the engine shows it."""
    return StoredGraph(
        graph_id=answer.graph_id,
        version=answer.version,
        data=bytes(answer.graph),
        created_at=answer.created_at,
        created=created,
        warnings=tuple(answer.warnings),
    )
