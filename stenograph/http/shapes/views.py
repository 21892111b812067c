"""What the engine shows of runs and graphs, as the wire has it, and back."""

from __future__ import annotations

from typing import Any

from stenograph.engine import IMPORTED, RunView, StoredGraph
from stenograph.http.shapes.wire import DONE, GraphAnswer, RunAnswer, RunItem
from stenograph.journal import Stream


def run_answer(run: RunView) -> RunAnswer:
    """Return a run as the outside sees it."""
    return RunAnswer(
        id=run.id,
        run_id=run.id,
        graph_id=run.graph_id,
        version=run.version,
        status=run.status,
        done=run.done,
        seq=run.seq,
        steps=run.steps,
        current=list(run.current),
        waits=list(run.waits),
        tags=run.tags,
        error=run.error,
        reason=run.reason,
        created_at=run.created_at,
        updated_at=run.updated_at,
        finished_at=run.finished_at,
        parked=run.parked,
        origin=run.origin,
        replayed=run.replayed,
        imported=run.imported,
        erased=run.erased,
    )


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
        erased=run.erased,
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


def run_item(stream: Stream) -> RunItem:
    """Return a run as the list shows it, from the labels of its stream."""
    labels = dict(stream.labels)
    status: Any = labels["status"]
    return RunItem(
        id=stream.run_id,
        run_id=stream.run_id,
        graph_id=labels["graph"],
        status=status,
        done=status in DONE,
        seq=stream.head,
        tags={
            name.removeprefix("tag:"): value
            for name, value in labels.items()
            if name.startswith("tag:")
        },
        created_at=stream.created_at,
        updated_at=stream.updated_at,
        origin=labels.get("origin"),
        imported=IMPORTED in labels,
        erased="erased" in labels,
    )
