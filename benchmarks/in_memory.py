"""The kind of workflow engine one writes in an afternoon: graphs and runs in dicts, nothing durable.

It has what such engines have (a log with a snapshot of the state after each node, a status, errors)
and is what durability, the hash chain and streams that resume are to be weighed against.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from litestar import Litestar, post
from litestar.exceptions import NotFoundException
from msgspec import Struct, field

State: TypeAlias = dict[str, Any]
Node: TypeAlias = Callable[[State], Awaitable[State]]


class Graph(Struct):
    """Nodes by name, and where each leads; ``again`` says how long a loop goes on."""

    start: str
    nodes: dict[str, Node]
    edges: dict[str, str]
    again: Callable[[State], bool] | None = None


class LogEntry(Struct):
    """What a node came to."""

    step: int
    node: str
    status: str
    started_at: float
    finished_at: float
    state: State


class Run(Struct):
    """A run, in memory."""

    run_id: str
    graph_id: str
    status: str = "running"
    state: State = field(default_factory=dict)
    log: list[LogEntry] = field(default_factory=list)
    error: str | None = None


class RunRequest(Struct):
    """What a client asks for."""

    graph_id: str
    initial_state: State = field(default_factory=dict)
    wait: bool = True


RUNS: dict[str, Run] = {}


async def execute(run: Run, graph: Graph) -> Run:
    """Run the nodes one after the other."""
    node: str | None = graph.start
    try:
        while node is not None:
            started_at = time.time()
            run.state.update(await graph.nodes[node](run.state))
            run.log.append(
                LogEntry(len(run.log), node, "ok", started_at, time.time(), dict(run.state))
            )
            if graph.again is None or not graph.again(run.state):
                node = graph.edges.get(node)
        run.status = "completed"
    except Exception as error:
        run.status, run.error = "failed", repr(error)
    return run


def new_run(graph_id: str, state: State) -> Run:
    """Return a run, and keep it."""
    run = Run(run_id=str(uuid.uuid4()), graph_id=graph_id, state=dict(state))
    RUNS[run.run_id] = run
    return run


async def first(state: State) -> State:
    """Be the first of three nodes."""
    return {"a": state["n"] + 1}


async def second(state: State) -> State:
    """Be the second of three nodes."""
    return {"b": state["a"] * 2}


async def third(state: State) -> State:
    """Be the last of three nodes."""
    return {"c": state["b"] - 1}


async def count(state: State) -> State:
    """Change one small key."""
    return {"n": state["n"] + 1}


THREE = Graph(
    "first",
    {"first": first, "second": second, "third": third},
    {"first": "second", "second": "third"},
)
COUNT = Graph("work", {"work": count}, {}, again=lambda state: bool(state["n"] < state["limit"]))
GRAPHS: dict[str, Graph] = {"three": THREE, "count": COUNT}


@post("/graph/run", status_code=200)
async def run_graph(data: RunRequest) -> Run:
    """Run a graph and wait."""
    if (graph := GRAPHS.get(data.graph_id)) is None:
        raise NotFoundException(f"there is no graph {data.graph_id!r}")
    return await execute(new_run(data.graph_id, data.initial_state), graph)


@post("/echo", status_code=200)
async def echo(data: dict[str, Any]) -> dict[str, Any]:
    """Say what was said: the least that a handler can do with JSON."""
    return data


def serve(port: int) -> None:
    """Serve both on a port, with uvicorn as Stenograph sets it up."""
    import uvicorn

    uvicorn.run(
        Litestar([run_graph, echo], logging_config=None, openapi_config=None),
        port=port,
        http="h11",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )


if __name__ == "__main__":
    import sys

    if len(sys.argv) != 2:
        sys.exit("say on which port: python -m benchmarks.in_memory PORT")
    serve(int(sys.argv[1]))
