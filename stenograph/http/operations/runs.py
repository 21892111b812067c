"""Runs as resources: start, list, read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import BodyKwarg, FromPath, FromQuery, QueryParameter
from litestar.response import Response
from msgspec import Raw
from msgspec.structs import replace

from stenograph.engine import Engine, Fault
from stenograph.http.door.access import actor_of, audience_of
from stenograph.http.errors import Refused
from stenograph.http.operations.answers import NOT_MODIFIED, BeginsRun, also
from stenograph.http.operations.pages import check_journal
from stenograph.http.operations.queries import (
    At,
    Cursor,
    IfNoneMatch,
    JournalId,
    Key,
    Limit,
    Prefer,
    PreferHeader,
    before,
    etag_matches,
    next_cursor,
)
from stenograph.http.operations.starting import START_PROBLEMS, begin, headers_of, status_of
from stenograph.http.operations.waiting import wait_for_run
from stenograph.http.problems import problems
from stenograph.http.shapes.requests import StartRequest
from stenograph.http.shapes.views import run_answer, run_item
from stenograph.http.shapes.wire import (
    LIMIT_MAX,
    PAGE_DEFAULT,
    TAGS_MAX,
    RunAnswer,
    RunList,
    StateAnswer,
    Status,
    VisitList,
    run_etag,
)

StartBody: TypeAlias = Annotated[
    StartRequest,
    BodyKwarg(
        examples=[
            Example(
                summary="Start the sample graph",
                value={"graph": "triage", "input": {"issues_open": 1}, "tags": {"team": "a"}},
            )
        ]
    ),
]
IMMUTABLE = "max-age=31536000, immutable"


@post(
    "/runs",
    needs="run",
    status_code=202,
    responses={**also(200, RunAnswer, "It has ended, or had been begun"), **START_PROBLEMS},
    operation_class=BeginsRun,
    summary="Start a run",
    tags=["Runs"],
)
async def start_run(
    request: Request[Any, Any, Any],
    data: StartBody,
    engine: NamedDependency[Engine],
    prefer: PreferHeader = "",
    key: Key = None,
) -> Response[RunAnswer]:
    """Start a run: 202 at once, or with `Prefer: wait=S` 200 when it ended within S seconds.

    The same body again with its `run_id`, or its `Idempotency-Key`, begins nothing: 200.
    """
    wish = Prefer(prefer)
    begun = await begin(engine, data, key, actor_of(request))
    run = await wait_for_run(engine, begun.id, wish.wait_s or 0, request)
    return Response(
        run_answer(replace(run, replayed=begun.replayed)),
        status_code=status_of(begun, run),
        headers={**headers_of(begun), **wish.headers},
    )


@get("/runs", needs="read", responses=problems("query-invalid"), summary="List runs", tags=["Runs"])
async def list_runs(
    engine: NamedDependency[Engine],
    graph: FromQuery[str | None] = None,
    status: FromQuery[Status | None] = None,
    tag: Annotated[
        list[str] | None,
        QueryParameter(description="`name:value`; several must all be there"),
    ] = None,
    origin: Annotated[
        str | None, QueryParameter(description="The run that they were forked from")
    ] = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> RunList:
    """List the runs, newest first; all that is asked of them must hold."""
    limit = min(limit, LIMIT_MAX)
    labels = {"graph": graph, "status": status, "origin": origin, **_tags(tag or [])}
    wanted = {name: value for name, value in labels.items() if value is not None}
    if max(map(len, [*wanted, *wanted.values()]), default=0) > 255:
        raise Refused("query-invalid", "nothing to find runs by has more than 255 characters")
    streams = await engine.runs(wanted, before=before(cursor), limit=limit)
    return RunList(items=list(map(run_item, streams)), next=next_cursor(streams, limit))


@get(
    "/runs/{run_id:str}",
    needs="read",
    responses=problems("run-not-found"),
    summary="Read a run",
    tags=["Runs"],
)
async def get_run(
    run_id: FromPath[str], engine: NamedDependency[Engine], if_none_match: IfNoneMatch = ""
) -> Response[RunAnswer]:
    """Read what a run is now, without its state.

    Its `ETag` is for `If-Match`: whoever asks something of the run then asks it of this one alone.
    """
    run = await engine.get(run_id)
    etag = run_etag(engine.journal.id, run.seq)
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if etag_matches(if_none_match, etag):
        return Response(None, status_code=304, headers=headers)  # type: ignore[arg-type]
    return Response(run_answer(run), headers=headers)


@get(
    "/runs/{run_id:str}/state",
    needs="read",
    responses={
        **NOT_MODIFIED,
        **problems("query-invalid", "run-not-found", "seq-not-reached", "cursor-unknown"),
    },
    summary="State, now or after any event",
    tags=["Runs"],
)
async def get_state(
    request: Request[Any, Any, Any],
    run_id: FromPath[str],
    engine: NamedDependency[Engine],
    at: At = None,
    journal: JournalId = None,
    if_none_match: IfNoneMatch = "",
) -> Response[StateAnswer]:
    """Read the state of a run, now or right after event `at`; that one never changes in a journal."""
    check_journal(engine, journal)
    found = await engine.state(run_id, at)
    etag = run_etag(engine.journal.id, found.seq)
    # Another journal may hold another run of this id, at this very URL.
    forever = at is not None and journal is not None
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if forever:
        headers["Cache-Control"] = f"{audience_of(request)}, {IMMUTABLE}"
    if etag_matches(if_none_match, etag):
        return Response(None, status_code=304, headers=headers)  # type: ignore[arg-type]
    answer = StateAnswer(run_id=run_id, seq=found.seq, status=found.status, state=Raw(found.json))
    return Response(answer, headers=headers)


@get(
    "/runs/{run_id:str}/visits",
    needs="read",
    responses=problems("query-invalid", "run-not-found"),
    summary="Visits of nodes",
    tags=["Runs"],
)
async def list_visits(
    run_id: FromPath[str],
    engine: NamedDependency[Engine],
    limit: Limit = LIMIT_MAX,
    cursor: Cursor = None,
) -> VisitList:
    """List the visits of a run, in the order of their entry."""
    first, limit = cursor or 0, min(limit, LIMIT_MAX)
    visits = await engine.visits(run_id)
    following = first + limit
    return VisitList(
        items=visits[first:following],
        next=str(following) if following < len(visits) else None,
    )


def _tags(pairs: Sequence[str]) -> dict[str, str]:
    if len(pairs) > TAGS_MAX:
        raise Refused("query-invalid", f"no run has more than {TAGS_MAX} tags to be found by")
    faults = [
        Fault("/tag", f"{pair!r} is not of the form name:value")
        for pair in pairs
        if ":" not in pair
    ]
    if faults:
        raise Refused("query-invalid", "a tag is asked for as name:value", faults)
    split = (pair.partition(":") for pair in pairs)
    return {f"tag:{name}": value for name, _, value in split}


HANDLERS = (start_run, list_runs, get_run, get_state, list_visits)
