"""Graphs: store, validate, read."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import BodyKwarg, FromPath
from litestar.response import Response
from msgspec import Raw
from msgspec.structs import replace

from stenograph.engine import Engine, GraphInvalid, StoredGraph
from stenograph.http.door.access import actor_of
from stenograph.http.operations.answers import NOT_MODIFIED, StoresGraph, also
from stenograph.http.operations.bodies import graph_of, within_graph
from stenograph.http.operations.queries import (
    Cursor,
    IfNoneMatch,
    Limit,
    before,
    etag_matches,
    next_cursor,
)
from stenograph.http.problems import BODY_CODES, problems
from stenograph.http.shapes.wire import (
    LIMIT_MAX,
    PAGE_DEFAULT,
    GraphAnswer,
    GraphItem,
    GraphList,
    GraphVersionItem,
    GraphVersionList,
    ValidationAnswer,
)

GRAPH_PROBLEMS = problems(*BODY_CODES, "graph-invalid", "read-only", "journal-busy", "disk-full")

SAMPLE = {
    "id": "triage",
    "start": "look",
    "nodes": {
        "look": {"next": [{"to": "rest", "when": "issues_open == 0"}, {"to": "act"}]},
        "rest": {},
        "act": {},
    },
}
GraphBody: TypeAlias = Annotated[
    dict[str, Any],
    BodyKwarg(
        description='A graph, or `{"graph": …, "id": …}`',
        examples=[Example(summary="A graph that needs no tools", value=SAMPLE)],
    ),
]


async def store(data: dict[str, Any], engine: Engine, actor: str) -> StoredGraph:
    """Store the graph of a body; raises GraphInvalid with pointers into the body."""
    given = graph_of(data)
    with within_graph(given):
        stored = await engine.create_graph(given.graph, actor=actor)
    return replace(stored, warnings=tuple(given.moved(stored.warnings)))


@post(
    "/graphs",
    needs="run",
    status_code=201,
    responses={**also(200, GraphAnswer, "It was stored already"), **GRAPH_PROBLEMS},
    operation_class=StoresGraph,
    summary="Store a graph",
    tags=["Graphs"],
)
async def create_graph(
    request: Request[Any, Any, Any],
    data: GraphBody,
    engine: NamedDependency[Engine],
) -> Response[GraphAnswer]:
    """Store a graph, or a new version of it: 201; the same content again: 200.

    The body is the graph, or `{"graph": …, "id": …}`.
    """
    stored = await store(data, engine, actor_of(request))
    return Response(
        graph_answer(stored),
        status_code=201 if stored.created else 200,
        headers={"Location": f"/graphs/{stored.graph_id}@{stored.version}"},
    )


@post(
    "/graphs/validate",
    needs="read",
    status_code=200,
    responses=GRAPH_PROBLEMS,
    summary="Check a graph",
    tags=["Graphs"],
)
async def validate_graph(
    data: GraphBody,
    engine: NamedDependency[Engine],
) -> ValidationAnswer:
    """Tell everything that is wrong or doubtful in a graph, and store nothing."""
    given = graph_of(data)
    try:
        with within_graph(given):
            parsed = await engine.check_graph(given.graph)
    except GraphInvalid as error:
        return ValidationAnswer(
            valid=False, errors=error.faults, warnings=error.warnings, version=None, canonical=None
        )
    return ValidationAnswer(
        valid=True,
        errors=[],
        warnings=given.moved(parsed.warnings),
        version=parsed.version,
        canonical=Raw(parsed.data),
    )


@get(
    "/graphs",
    needs="read",
    responses=problems("query-invalid"),
    summary="List graphs",
    tags=["Graphs"],
)
async def list_graphs(
    engine: NamedDependency[Engine], limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> GraphList:
    """List the graphs, newest first."""
    limit = min(limit, LIMIT_MAX)
    streams = await engine.graphs(before=before(cursor), limit=limit)
    items = []
    for stream in streams:
        newest = await engine.graph(stream.run_id.removeprefix("graph/"))
        items.append(
            GraphItem(
                id=newest.graph_id,
                graph_id=newest.graph_id,
                name=newest.graph.name,
                version=newest.version,
                versions=stream.head,
                created_at=stream.created_at,
                updated_at=stream.updated_at,
            )
        )
    return GraphList(items=items, next=next_cursor(streams, limit))


@get(
    "/graphs/{graph_id:str}",
    needs="read",
    responses={**NOT_MODIFIED, **problems("graph-not-found")},
    summary="Read a graph",
    tags=["Graphs"],
)
async def get_graph(
    graph_id: FromPath[str],
    engine: NamedDependency[Engine],
    if_none_match: IfNoneMatch = "",
) -> Response[GraphAnswer]:
    """Read a graph's newest version, or with `id@version` the one whose hash begins so."""
    name, _, version = graph_id.partition("@")
    stored = await engine.graph(name, version or None)
    etag = f'"{stored.version}"'
    if etag_matches(if_none_match, etag):
        return Response(None, status_code=304, headers={"ETag": etag})  # type: ignore[arg-type]
    return Response(graph_answer(stored), headers={"ETag": etag})


@get(
    "/graphs/{graph_id:str}/versions",
    needs="read",
    responses=problems("graph-not-found"),
    summary="Versions of a graph",
    tags=["Graphs"],
)
async def list_versions(
    graph_id: FromPath[str], engine: NamedDependency[Engine]
) -> GraphVersionList:
    """List the versions of a graph, oldest first."""
    versions = await engine.graph_versions(graph_id)
    return GraphVersionList(
        items=[
            GraphVersionItem(
                version=each.version,
                name=each.graph.name,
                created_at=each.created_at,
                url=f"/graphs/{graph_id}@{each.version}",
            )
            for each in versions
        ]
    )


def graph_answer(stored: StoredGraph) -> GraphAnswer:
    """Return one version of a graph as the outside sees it."""
    return GraphAnswer(
        id=stored.graph_id,
        graph_id=stored.graph_id,
        version=stored.version,
        name=stored.graph.name,
        created_at=stored.created_at,
        graph=Raw(stored.data),
        warnings=list(stored.warnings),
    )


HANDLERS = (create_graph, validate_graph, list_graphs, get_graph, list_versions)
