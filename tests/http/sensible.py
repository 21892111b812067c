"""Has generated requests name graphs that are there, so that runs are begun and not only refused."""

from __future__ import annotations

from typing import Any, Final

import schemathesis

WAITS: Final = {
    "id": "waits",
    "start": "ask",
    "nodes": {"ask": {"wait": {"signal": "go"}, "next": "done"}, "done": {}},
}
LINE: Final = {"id": "line", "start": "a", "nodes": {"a": {"next": "b"}, "b": {}}}
FIELDS: Final = {"start_run": "graph", "run": "graph_id", "run_async": "graph_id"}


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Put the name of one of the graphs where any name stands; most often nothing beside it."""
    field = FIELDS.get(context.operation.definition.raw.get("operationId"))
    if not isinstance(body, dict) or not isinstance(name := body.get(field), str):
        return body
    asked = {field: (WAITS if len(name) % 2 else LINE)["id"]}
    return {**body, **asked} if len(name) % 5 == 4 else asked
