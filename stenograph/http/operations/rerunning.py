"""Rerunning: a run made anew from its recording, what came of that, and checks of today's tools."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, TypeAlias

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import BodyKwarg, FromPath
from litestar.response import Response

from stenograph.engine import CheckReport, Engine, EngineClosed, RerunReport
from stenograph.http.asked import traceparent
from stenograph.http.door.access import actor_of
from stenograph.http.errors import Refused
from stenograph.http.operations.answers import OptionalBody, RerunsRun, also
from stenograph.http.operations.bodies import run_id_of, within
from stenograph.http.operations.queries import Key, check_key
from stenograph.http.operations.starting import START_CODES, headers_of, status_of
from stenograph.http.operations.waiting import first_of, until_gone
from stenograph.http.problems import BODY_CODES, problems
from stenograph.http.shapes.requests import KEY_HEADER
from stenograph.http.shapes.rerun_wire import CheckRequest, RerunRequest
from stenograph.http.shapes.views import run_answer
from stenograph.http.shapes.wire import RunAnswer

RERUN_CODES = ("run-not-found", "rerun-refused", "schema-violated")

RerunBody: TypeAlias = Annotated[
    RerunRequest | None,
    BodyKwarg(
        examples=[
            Example(summary="With another input", value={"state": {"code": "pass"}}),
            Example(summary="Run one tool anew", value={"tools": ["review"]}),
        ]
    ),
]

CheckBody: TypeAlias = Annotated[
    CheckRequest | None,
    BodyKwarg(
        examples=[
            Example(summary="All tools", value={}),
            Example(summary="One tool", value={"tools": ["review"]}),
        ]
    ),
]


@post(
    "/runs/{run_id:str}/rerun",
    needs="run",
    status_code=202,
    responses={
        **also(200, RunAnswer, "It had been begun"),
        **problems(*START_CODES, *RERUN_CODES),
    },
    operation_class=RerunsRun,
    summary="Rerun a run",
    tags=["Runs"],
)
async def rerun_run(
    request: Request[Any, Any, Any],
    run_id: FromPath[str],
    engine: NamedDependency[Engine],
    data: RerunBody = None,
    key: Key = None,
) -> Response[RunAnswer]:
    """Begin a run that is made anew from the recording of another: 202, and its `Location`.

    What is unchanged is answered from the recording: the same tool in the same version, `config` and
    state. The rest is run; `tools` names what to run anew in any case. Nothing is written to the run
    that is rerun. `GET` of the new run's path tells what was answered, and how the two differ.
    """
    check_key(key)
    asked = data or RerunRequest()
    new_id = run_id_of(asked)
    if key is not None and new_id is not None:
        detail = f"{KEY_HEADER} makes an id of its own: leave the run's id out, or the key"
        raise Refused("idempotency-key-invalid", detail)
    with within(graph="/graph", state="/state"):
        begun = await engine.rerun(
            run_id,
            graph=asked.graph,
            state=asked.state,
            tools=asked.tools,
            new_id=new_id,
            key=key,
            limits=asked.limits,
            tags=asked.tags,
            traceparent=traceparent(),
            actor=actor_of(request),
        )
    return Response(
        run_answer(begun), status_code=status_of(begun, begun), headers=headers_of(begun)
    )


@get(
    "/runs/{run_id:str}/rerun",
    needs="read",
    responses=problems("run-not-found", "rerun-refused"),
    summary="What came of a rerun",
    tags=["Audit"],
)
async def get_rerun(run_id: FromPath[str], engine: NamedDependency[Engine]) -> RerunReport:
    """Tell what a rerun was answered, what it ran anew and why, and how it differs so far."""
    return await engine.rerun_report(run_id)


@post(
    "/runs/{run_id:str}/check",
    needs="run",
    status_code=200,
    responses=problems(*BODY_CODES, "run-not-found", "rerun-refused"),
    operation_class=OptionalBody,
    summary="Check today's tools against a run",
    tags=["Audit"],
)
async def check_run(
    request: Request[Any, Any, Any],
    run_id: FromPath[str],
    engine: NamedDependency[Engine],
    stopping: NamedDependency[asyncio.Event],
    data: CheckBody = None,
) -> CheckReport:
    """Run today's tools on what they were given then, and tell where they do otherwise.

    No run is made and nothing is written. Tools with `effects: once` are left out, and what is not
    done after `time_s` seconds: `skipped` counts it. A client that leaves ends the check.
    """
    asked = data or CheckRequest()
    found: list[CheckReport] = []

    async def check() -> None:
        found.append(await engine.check_run(run_id, tools=asked.tools, time_s=asked.time_s))

    await first_of(check, lambda: until_gone(request), stopping.wait)
    if not found:
        raise EngineClosed
    return found[0]


HANDLERS = (rerun_run, get_rerun, check_run)
