"""Forking a run: a new one that goes on from any of its events."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from litestar import Request, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import BodyKwarg, FromPath
from litestar.response import Response
from msgspec.structs import asdict

from stenograph.engine import Engine, RunView
from stenograph.http.asked import traceparent
from stenograph.http.door.access import actor_of
from stenograph.http.errors import Refused
from stenograph.http.operations.answers import BeginsRun, also
from stenograph.http.operations.bodies import run_id_of, within
from stenograph.http.operations.queries import Key, check_key
from stenograph.http.operations.starting import START_CODES, headers_of, status_of
from stenograph.http.problems import problems
from stenograph.http.shapes.fork_wire import ForkAnswer, ForkRequest
from stenograph.http.shapes.requests import KEY_HEADER
from stenograph.http.shapes.views import run_answer

FORK_CODES = (
    "run-not-found",
    "seq-not-reached",
    "fork-refused",
    "schema-violated",
    "unknown-signal",
    "signal-refused",
)

ForkBody: TypeAlias = Annotated[
    ForkRequest,
    BodyKwarg(
        examples=[
            Example(
                summary="Go on after event 2 with another value",
                value={"at": 2, "state": {"issues_open": 0}},
            )
        ]
    ),
]


@post(
    "/runs/{run_id:str}/fork",
    needs="run",
    status_code=202,
    responses={
        **also(200, ForkAnswer, "It had been begun"),
        **problems(*START_CODES, *FORK_CODES),
    },
    operation_class=BeginsRun,
    summary="Fork a run",
    tags=["Runs"],
)
async def fork_run(
    request: Request[Any, Any, Any],
    run_id: FromPath[str],
    data: ForkBody,
    engine: NamedDependency[Engine],
    key: Key = None,
) -> Response[ForkAnswer]:
    """Begin a new run that goes on from where another was after event `at`: 202, and its `Location`.

    A point inside a step means the boundary before it, and `forked_at` says which. What ran there is
    entered again, waits stay open. `state` sets keys, `patch` changes them, `graph` is another
    version, `signals` are given at once. Nothing is written to the run that is forked.
    """
    check_key(key)
    new_id = run_id_of(data)
    if key is not None and new_id is not None:
        detail = f"{KEY_HEADER} makes an id of its own: leave the run's id out, or the key"
        raise Refused("idempotency-key-invalid", detail)
    with within(graph="/graph", state="/state"):
        begun = await engine.fork(
            run_id,
            data.at,
            state=data.state,
            patch=data.patch,
            scope=data.scope,
            graph=data.graph,
            signals=data.signals,
            new_id=new_id,
            key=key,
            limits=data.limits,
            tags=data.tags,
            traceparent=traceparent(),
            actor=actor_of(request),
        )
    return Response(
        fork_answer(begun), status_code=status_of(begun, begun), headers=headers_of(begun)
    )


def fork_answer(run: RunView) -> ForkAnswer:
    """Return a fork as the outside sees it."""
    assert run.origin is not None, "a fork has an origin"
    return ForkAnswer(**asdict(run_answer(run)), forked_at=run.origin.seq)


HANDLERS = (fork_run,)
