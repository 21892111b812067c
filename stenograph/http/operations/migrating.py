"""Migrating a run: it goes on in another version of its graph, or in another graph."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from litestar import Request, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import BodyKwarg, FromPath
from litestar.response import Response

from stenograph.engine import Engine, Migration
from stenograph.http.door.access import actor_of
from stenograph.http.operations.bodies import within
from stenograph.http.operations.conditions import (
    ETAG,
    KEY_CODES,
    REPLAYED,
    KeyedWithBody,
    conditions_of,
    headers_of,
)
from stenograph.http.operations.control import COMMON
from stenograph.http.problems import problems
from stenograph.http.shapes.migrate_wire import MigrateRequest
from stenograph.http.streaming.sifting import Belongings

MIGRATE_CODES = (
    "run-finished",
    "run-too-long",
    "graph-not-found",
    "graph-invalid",
    "migration-refused",
)

MigrateBody: TypeAlias = Annotated[
    MigrateRequest,
    BodyKwarg(
        examples=[
            Example(
                summary="Only tell what would change",
                value={
                    "graph": {
                        "start": "ask",
                        "nodes": {"ask": {"wait": {"signal": "go"}, "next": "more"}, "more": {}},
                    },
                    "dry_run": True,
                },
            )
        ]
    ),
]


@post(
    "/runs/{run_id:str}/migrate",
    needs="control",
    status_code=200,
    responses=problems(*COMMON, *KEY_CODES, *MIGRATE_CODES),
    response_headers=[ETAG, REPLAYED],
    operation_class=KeyedWithBody,
    summary="Have a run go on in another graph",
    tags=["Runs"],
)
async def migrate_run(
    request: Request[Any, Any, Any],
    run_id: FromPath[str],
    data: MigrateBody,
    engine: NamedDependency[Engine],
    belongings: NamedDependency[Belongings],
) -> Response[Migration]:
    """Have an unfinished run go on in another version of its graph, or in another graph.

    Every scope stays where it stands, with its state and its counters; what is under way goes on and
    is left by the new edges. That is one event, `run.migrated`; the graph that the run has already
    is none. With `dry_run` nothing is written, and `faults` tell what would be refused.
    """
    with within(graph="/graph"):
        found = await engine.migrate(
            run_id,
            data.graph,
            dry_run=data.dry_run,
            actor=actor_of(request),
            **conditions_of(request, engine),
        )
    belongings.forget(run_id)
    return Response(found, headers=headers_of(engine, found.seq, replayed=found.replayed))


HANDLERS = (migrate_run,)
