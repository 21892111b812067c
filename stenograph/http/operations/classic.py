"""The classic API: create a graph, run it, look at its state and log, cancel; in one answer each."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import BodyKwarg, FromPath
from litestar.response import Response

from stenograph.engine import Engine, Fault
from stenograph.http.door.access import actor_of
from stenograph.http.errors import Refused
from stenograph.http.operations.answers import BeginsRun, StoresGraph, also
from stenograph.http.operations.conditions import ETAG, Conditional, answered, moment_of
from stenograph.http.operations.control import CANCEL_PROBLEMS, CancelBody, reason_of
from stenograph.http.operations.graphs import GRAPH_PROBLEMS, GraphBody, store
from stenograph.http.operations.logbook import answer_of, classic_answer
from stenograph.http.operations.queries import At, Key, Prefer, PreferHeader
from stenograph.http.operations.starting import START_PROBLEMS, begin, headers_of, status_of
from stenograph.http.operations.waiting import wait_for_run
from stenograph.http.problems import problems
from stenograph.http.shapes.classic_wire import ClassicAnswer, GraphCreatedAnswer, RunRequest
from stenograph.http.shapes.wire import WAIT_DEFAULT_S, RunAnswer

RunBody: TypeAlias = Annotated[
    RunRequest,
    BodyKwarg(
        examples=[
            Example(
                summary="Run the sample graph",
                value={"graph_id": "triage", "initial_state": {"issues_open": 1}},
            )
        ]
    ),
]
CANCEL_WAIT_S: Final = 1.0
"""How long a request to cancel waits for the run to have stopped."""


@post(
    "/graph/create",
    needs="run",
    status_code=200,
    responses=GRAPH_PROBLEMS,
    operation_class=StoresGraph,
    summary="Store a graph",
    tags=["Classic"],
)
async def create(
    request: Request[Any, Any, Any],
    data: GraphBody,
    engine: NamedDependency[Engine],
) -> GraphCreatedAnswer:
    """Store a graph, or a new version of it. The body is the graph, or `{"graph": …}`."""
    stored = await store(data, engine, actor_of(request))
    done = "stored" if stored.created else "unchanged"
    return GraphCreatedAnswer(
        graph_id=stored.graph_id,
        id=stored.graph_id,
        version=stored.version,
        name=stored.graph.name,
        message=f"graph {stored.graph_id} {done}, version {stored.version[:12]}",
        warnings=list(stored.warnings),
    )


@post(
    "/graph/run",
    needs="run",
    status_code=200,
    responses={**also(202, ClassicAnswer, "It goes on"), **START_PROBLEMS},
    operation_class=BeginsRun,
    summary="Run a graph and wait",
    tags=["Classic"],
)
async def run(
    request: Request[Any, Any, Any],
    data: RunBody,
    engine: NamedDependency[Engine],
    prefer: PreferHeader = "",
    key: Key = None,
) -> Response[ClassicAnswer]:
    """Run a graph: 200 with state and log when it ended within 60 s, else 202 with the same body.

    It is 202 as soon as the run waits for input, is paused or is parked, too. `Prefer: wait=S`
    waits up to 300 s. With `wait: false` or `background: true` it is 202 at once.
    """
    wish = Prefer(prefer if _foreground(data) else "respond-async")
    begun = await begin(engine, data, key, actor_of(request))
    wait_s = WAIT_DEFAULT_S if wish.wait_s is None else wish.wait_s
    view = await wait_for_run(engine, begun.id, wait_s, request)
    return Response(
        await answer_of(engine, view),
        status_code=status_of(begun, view),
        headers={**headers_of(begun), **wish.headers},
    )


@post(
    "/graph/run-async",
    needs="run",
    status_code=202,
    responses={**also(200, ClassicAnswer, "It had been begun"), **START_PROBLEMS},
    operation_class=BeginsRun,
    summary="Start a run",
    tags=["Classic"],
)
async def run_async(
    request: Request[Any, Any, Any],
    data: RunBody,
    engine: NamedDependency[Engine],
    key: Key = None,
) -> Response[ClassicAnswer]:
    """Start a run and answer at once; `GET /graph/state/{run_id}` tells how it goes on."""
    _foreground(data)
    begun = await begin(engine, data, key, actor_of(request))
    return Response(
        await answer_of(engine, begun),
        status_code=200 if begun.replayed else 202,
        headers=headers_of(begun),
    )


@get(
    "/graph/state/{run_id:str}",
    needs="read",
    responses=problems("query-invalid", "run-not-found", "seq-not-reached"),
    summary="State and log of a run",
    tags=["Classic"],
)
async def state(
    run_id: FromPath[str], engine: NamedDependency[Engine], at: At = None
) -> ClassicAnswer:
    """Read the state and log of a run, now or as they were right after event `at`."""
    return await classic_answer(engine, run_id, at)


@post(
    "/graph/cancel/{run_id:str}",
    needs="control",
    status_code=200,
    responses={**also(202, RunAnswer, "It is stopping"), **CANCEL_PROBLEMS},
    response_headers=[ETAG],
    operation_class=Conditional,
    summary="Stop a run and wait a little",
    tags=["Classic"],
)
async def cancel(
    request: Request[Any, Any, Any],
    run_id: FromPath[str],
    engine: NamedDependency[Engine],
    data: CancelBody = None,
) -> Response[RunAnswer]:
    """Stop a run: 200 when it has stopped within a second, else 202 while it is stopping."""
    moment = moment_of(request, engine)
    view = await engine.cancel(run_id, reason=reason_of(data), actor=actor_of(request), **moment)
    if not view.done:
        view = await engine.wait(run_id, CANCEL_WAIT_S)
    return answered(engine, view, 200 if view.done else 202)


def _foreground(data: RunRequest) -> bool:
    """Tell whether the client waits; raises Refused when it says both."""
    if data.wait is not None and data.wait is data.background:
        both = "true" if data.background else "false"
        fault = Fault("/background", f"is {both}, and so is wait; give one of them")
        raise Refused("body-invalid", "wait and background contradict each other", [fault])
    return not data.background if data.wait is None else data.wait


HANDLERS = (create, run, run_async, state, cancel)
