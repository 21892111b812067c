"""Audit as resources: why an event happened, who wrote a value, how two runs differ."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from litestar import get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response import Response

from stenograph.engine import BlameAt, Engine, Reason, RunDiff, lines_of
from stenograph.http.operations.queries import SCOPE_MAX_CHARS, Accept, At
from stenograph.http.problems import problems

PATH_MAX_CHARS = 2048
TEXT_TYPE = "text/plain"
JSON_TYPE = "application/json"
DIFF = ResponseSpec(
    RunDiff,
    generate_examples=False,
    description="How they differ; with `Accept: text/plain` as text for people",
)

Seq: TypeAlias = Annotated[int, QueryParameter(name="seq", ge=1, description="The event")]
Path: TypeAlias = Annotated[
    str,
    QueryParameter(
        name="path",
        max_length=PATH_MAX_CHARS,
        description="A JSON pointer into the state; all of it when left out",
    ),
]
Scope: TypeAlias = Annotated[
    str,
    QueryParameter(
        name="scope",
        max_length=SCOPE_MAX_CHARS,
        description="The scope whose state is meant; the run's own when left out",
    ),
]
OtherAt: TypeAlias = Annotated[
    int | None,
    QueryParameter(ge=1, description="The other as it was right after this event of its own"),
]


@get(
    "/runs/{run_id:str}/why",
    needs="read",
    responses=problems("query-invalid", "run-not-found", "seq-not-reached"),
    summary="Why an event happened",
    tags=["Audit"],
)
async def get_why(run_id: FromPath[str], engine: NamedDependency[Engine], seq: Seq) -> Reason:
    """Tell why event `seq` happened, with links to the events that it follows from."""
    return await engine.why(run_id, seq)


@get(
    "/runs/{run_id:str}/blame",
    needs="read",
    responses=problems(
        "query-invalid", "run-not-found", "seq-not-reached", "scope-not-found", "path-not-found"
    ),
    summary="Who wrote each part of the state",
    tags=["Audit"],
)
async def get_blame(
    run_id: FromPath[str],
    engine: NamedDependency[Engine],
    path: Path = "",
    at: At = None,
    within: Scope = "/",
) -> BlameAt:
    """Tell which event, node, visit and attempt last wrote each part of a state."""
    return await engine.blame(run_id, path, at=at, scope=within)


@get(
    "/runs/{run_id:str}/diff/{other:str}",
    needs="read",
    responses={200: DIFF, **problems("query-invalid", "run-not-found", "seq-not-reached")},
    summary="How two runs differ",
    tags=["Audit"],
)
async def get_diff(
    run_id: FromPath[str],
    other: FromPath[str],
    engine: NamedDependency[Engine],
    at: At = None,
    other_at: OtherAt = None,
    accept: Accept = "",
) -> Response[Any]:
    """Compare two runs, or one at two points: their paths, outcomes, states and times."""
    found = await engine.diff(run_id, other, at=at, other_at=other_at)
    if not prefers_text(accept):
        return Response(found)
    text = "".join(f"{line}\n" for line in lines_of(found))
    return Response(text, media_type=TEXT_TYPE)


def prefers_text(accept: str) -> bool:
    """Tell whether a client takes text and does not name JSON, as some name both with every request."""
    return TEXT_TYPE in accept.lower() and JSON_TYPE not in accept.lower()


HANDLERS = (get_why, get_blame, get_diff)
