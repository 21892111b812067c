"""What people tell a run: here is input, pause, go on, try again, stop."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias
from urllib.parse import unquote

from litestar import Request, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import BodyKwarg, FromPath, PathParameter
from litestar.response import Response

from stenograph.engine import Engine
from stenograph.http.door.access import actor_of
from stenograph.http.errors import Refused
from stenograph.http.operations.answers import also
from stenograph.http.operations.bodies import within
from stenograph.http.operations.conditions import (
    CONDITION_CODES,
    ETAG,
    KEY_CODES,
    REPLAYED,
    Conditional,
    Keyed,
    answered,
    conditions_of,
    moment_of,
)
from stenograph.http.operations.queries import Saw, SignalScope
from stenograph.http.problems import BODY_CODES, problems
from stenograph.http.shapes.requests import CancelRequest, PauseRequest, ResumeRequest, RetryRequest
from stenograph.http.shapes.wire import RunAnswer

COMMON = (
    *BODY_CODES,
    "run-not-found",
    "run-imported",
    *CONDITION_CODES,
    "read-only",
    "journal-busy",
    "disk-full",
)
CANCEL_PROBLEMS = problems(*COMMON, "run-finished")
SignalBody: TypeAlias = Annotated[
    Any,
    BodyKwarg(
        description="Any JSON value, which goes into the state under the signal's name; none: null",
        examples=[Example(summary="An approval", value={"approved": True, "by": "ann"})],
    ),
]
SignalName: TypeAlias = Annotated[str, PathParameter(description="What a node waits for")]
CancelBody: TypeAlias = Annotated[
    CancelRequest | None,
    BodyKwarg(examples=[Example(summary="With a reason", value={"reason": "by mistake"})]),
]
PauseBody: TypeAlias = Annotated[
    PauseRequest | None,
    BodyKwarg(examples=[Example(summary="With a reason", value={"reason": "look at the log"})]),
]
ResumeBody: TypeAlias = Annotated[
    ResumeRequest | None,
    BodyKwarg(examples=[Example(summary="Further than before", value={"limits": {"steps": 99}})]),
]
RetryBody: TypeAlias = Annotated[
    RetryRequest | None,
    BodyKwarg(examples=[Example(summary="Further than before", value={"limits": {"steps": 99}})]),
]


@post(
    "/runs/{run_id:str}/signals/{name:path}",
    needs="control",
    status_code=200,
    responses=problems(
        *COMMON,
        *KEY_CODES,
        "query-invalid",
        "run-finished",
        "unknown-signal",
        "signal-refused",
        "secret-refused",
        "state-not-json",
        "too-many-signals",
    ),
    response_headers=[ETAG, REPLAYED],
    operation_class=Keyed,
    summary="Give a run input",
    tags=["Runs"],
)
async def signal_run(
    request: Request[Any, Any, Any],
    run_id: FromPath[str],
    name: SignalName,
    engine: NamedDependency[Engine],
    data: SignalBody = None,
    given_scope: SignalScope = None,
    saw: Saw = None,
) -> Response[RunAnswer]:
    """Give a run the signal that a node waits for, or will wait for: it is kept until one does.

    One that fits nothing that waits for it is refused, and nothing is used up. A second one is a
    second signal, but for one with the `Idempotency-Key` of the first.
    """
    if unknown := sorted(set(request.query_params) - {"scope", "saw"}):
        raise Refused("query-invalid", f"{unknown[0][:100]!r} is no parameter here; use scope, saw")
    run = await engine.signal(
        run_id,
        _last_of(request),
        data,
        scope=given_scope,
        saw=saw,
        actor=actor_of(request),
        **conditions_of(request, engine),
    )
    return answered(engine, run)


@post(
    "/runs/{run_id:str}/pause",
    needs="control",
    status_code=202,
    responses={**also(200, RunAnswer, "It is paused"), **problems(*COMMON, "run-finished")},
    response_headers=[ETAG],
    operation_class=Conditional,
    summary="Have a run pause",
    tags=["Runs"],
)
async def pause_run(
    request: Request[Any, Any, Any],
    run_id: FromPath[str],
    engine: NamedDependency[Engine],
    data: PauseBody = None,
) -> Response[RunAnswer]:
    """Have a run begin nothing new: 202 while nodes finish that are under way, 200 once it pauses.

    Asking twice is as asking once; so it needs no `Idempotency-Key`.
    """
    moment = moment_of(request, engine)
    run = await engine.pause(run_id, reason=reason_of(data), actor=actor_of(request), **moment)
    return answered(engine, run, 200 if run.status == "paused" else 202)


@post(
    "/runs/{run_id:str}/resume",
    needs="control",
    status_code=200,
    responses=problems(
        *COMMON,
        *KEY_CODES,
        "not-held",
        "run-too-long",
        "secret-refused",
        "state-not-json",
        "schema-violated",
        "cannot-reduce",
        "state-too-large",
    ),
    response_headers=[ETAG, REPLAYED],
    operation_class=Keyed,
    summary="Let a run go on",
    tags=["Runs"],
)
async def resume_run(
    request: Request[Any, Any, Any],
    run_id: FromPath[str],
    engine: NamedDependency[Engine],
    data: ResumeBody = None,
) -> Response[RunAnswer]:
    """Let a paused or parked run go on, with other limits if given.

    `result` is for a run that is parked over a node's effects: they did happen, and this is what
    the node returned; without it the node is entered again. With `scope`, as `parked` gives it, it
    is for that node alone: nobody answers for another branch.
    """
    asked = data or ResumeRequest()
    with within(state="/result"):
        run = await engine.resume(
            run_id,
            limits=asked.limits,
            result=asked.result,
            scope=asked.scope,
            actor=actor_of(request),
            **conditions_of(request, engine),
        )
    return answered(engine, run)


@post(
    "/runs/{run_id:str}/retry",
    needs="control",
    status_code=200,
    responses=problems(*COMMON, *KEY_CODES, "not-held", "run-too-long"),
    response_headers=[ETAG, REPLAYED],
    operation_class=Keyed,
    summary="Try a failed run again",
    tags=["Runs"],
)
async def retry_run(
    request: Request[Any, Any, Any],
    run_id: FromPath[str],
    engine: NamedDependency[Engine],
    data: RetryBody = None,
) -> Response[RunAnswer]:
    """Reopen a failed run where it failed; what had finished does not run again."""
    asked, conditions = data or RetryRequest(), conditions_of(request, engine)
    run = await engine.retry(run_id, limits=asked.limits, actor=actor_of(request), **conditions)
    return answered(engine, run)


@post(
    "/runs/{run_id:str}/cancel",
    needs="control",
    status_code=202,
    responses={**also(200, RunAnswer, "It is cancelled"), **CANCEL_PROBLEMS},
    response_headers=[ETAG],
    operation_class=Conditional,
    summary="Ask a run to stop",
    tags=["Runs"],
)
async def cancel_run(
    request: Request[Any, Any, Any],
    run_id: FromPath[str],
    engine: NamedDependency[Engine],
    data: CancelBody = None,
) -> Response[RunAnswer]:
    """Ask a run to stop: 202 while it is stopping, 200 once it is cancelled.

    Asking twice is as asking once; so it needs no `Idempotency-Key`.
    """
    moment = moment_of(request, engine)
    run = await engine.cancel(run_id, reason=reason_of(data), actor=actor_of(request), **moment)
    return answered(engine, run, 200 if run.status == "cancelled" else 202)


def reason_of(request: CancelRequest | PauseRequest | None) -> str:
    """Return the reason that a request gives, if any."""
    return (request.reason if request else None) or ""


def _last_of(request: Request[Any, Any, Any]) -> str:
    """Return the name of a signal as it was sent: any text, so that it may have slashes in it."""
    return unquote(request.scope["raw_path"].decode().partition("/signals/")[2])


HANDLERS = (signal_run, pause_run, resume_run, retry_run, cancel_run)
