"""LangGraph with its SQLite checkpointers and durability ``sync``, which commits before the next step.

``w1-sync`` is its API without asyncio.
"""

from __future__ import annotations

import asyncio
import operator
import uuid
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

from benchmarks.peers.workloads import CONSTANT, Work, asked, run_all, run_one


class Counted(TypedDict):
    """A counter."""

    n: int


class Grown(TypedDict):
    """A counter, a constant and a list that grows by a reducer."""

    n: int
    blob: str
    items: Annotated[list[Any], operator.add]


class Three(TypedDict, total=False):
    """What three nodes make of n."""

    n: int
    a: int
    b: int
    c: int


async def count(state: Any) -> dict[str, Any]:
    """Change one small key."""
    return {"n": state["n"] + 1}


def count_sync(state: Any) -> dict[str, Any]:
    """Change one small key."""
    return {"n": state["n"] + 1}


async def grow(state: Any) -> dict[str, Any]:
    """Append an item, through the list's reducer."""
    return {"n": state["n"] + 1, "items": [{"i": state["n"], "ok": True}]}


async def first(state: Any) -> dict[str, Any]:
    """Be the first of three nodes."""
    return {"a": state["n"] + 1}


async def second(state: Any) -> dict[str, Any]:
    """Be the second of three nodes."""
    return {"b": state["a"] * 2}


async def third(state: Any) -> dict[str, Any]:
    """Be the last of three nodes."""
    return {"c": state["b"] - 1}


def looping(schema: Any, node: Any, steps: int, saver: Any) -> Any:
    """Return the graph of one node that runs so many times."""
    graph = StateGraph(schema)
    graph.add_node("work", node)
    graph.add_edge(START, "work")
    graph.add_conditional_edges("work", lambda state: "work" if state["n"] < steps else END)
    return graph.compile(checkpointer=saver)


def three(saver: Any) -> Any:
    """Return the graph of three nodes."""
    graph = StateGraph(Three)
    for name, node in (("first", first), ("second", second), ("third", third)):
        graph.add_node(name, node)
    for source, target in ((START, "first"), ("first", "second"), ("second", "third")):
        graph.add_edge(source, target)
    graph.add_edge("third", END)
    return graph.compile(checkpointer=saver)


async def main(work: Work) -> None:
    """Do what is asked."""
    async with AsyncSqliteSaver.from_conn_string(str(work.folder / "checkpoints.db")) as saver:
        if work.name == "w3":
            graph = looping(Grown, grow, work.steps, saver)
            state: dict[str, Any] = {"n": 0, "blob": CONSTANT, "items": []}
        else:
            graph, state = looping(Counted, count, work.steps, saver), {"n": 0}

        async def run(number: int) -> int:
            ended = await graph.ainvoke(dict(state), config(work, number), durability="sync")
            return int(ended["n"])

        await run_all(work, run)


def main_sync(work: Work) -> None:
    """Do what is asked, one run."""
    with SqliteSaver.from_conn_string(str(work.folder / "checkpoints.db")) as saver:
        graph = looping(Counted, count_sync, work.steps, saver)

        def run(number: int) -> int:
            return int(graph.invoke({"n": 0}, config(work, number), durability="sync")["n"])

        run_one(work, run)


def config(work: Work, number: int) -> dict[str, Any]:
    """Return what names a run, and lets it make its steps."""
    return {
        "configurable": {"thread_id": f"run-{number}"},
        "recursion_limit": work.steps + 10,
    }


def serve(work: Work) -> None:
    """Serve the graph of three nodes behind FastAPI, as its users do."""
    import uvicorn
    from fastapi import Body, FastAPI

    graphs: list[Any] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> Any:
        async with AsyncSqliteSaver.from_conn_string(str(work.folder / "checkpoints.db")) as saver:
            graphs.append(three(saver))
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/graph/run")
    async def run(body: dict[str, Any] = Body(...)) -> dict[str, Any]:  # noqa: B008
        config = {"configurable": {"thread_id": str(uuid.uuid4())}}
        state = await graphs[0].ainvoke(body["initial_state"], config, durability="sync")
        return {"status": "completed", "state": state}

    uvicorn.run(app, port=work.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    if (work := asked()).name == "serve":
        serve(work)
    elif work.name == "w1-sync":
        main_sync(work)
    else:
        asyncio.run(main(work))
