"""Starting a run: every body that asks for one, and what says that it had been asked before."""

from __future__ import annotations

from stenograph.engine import Engine, RunView
from stenograph.http.asked import traceparent
from stenograph.http.errors import Refused
from stenograph.http.operations.bodies import run_id_of, state_of, within
from stenograph.http.operations.queries import check_key
from stenograph.http.problems import BODY_CODES, problems
from stenograph.http.shapes.classic_wire import RunRequest
from stenograph.http.shapes.requests import KEY_HEADER, StartRequest

START_CODES = (
    *BODY_CODES,
    "idempotency-key-invalid",
    "graph-not-found",
    "run-exists",
    "run-erased",
    "graph-invalid",
    "state-not-json",
    "state-refused",
    "state-too-large",
    "secret-refused",
    "secret-leaked",
    "idempotency-key-reused",
    "too-many-runs",
    "read-only",
    "journal-busy",
    "disk-full",
)
START_PROBLEMS = problems(*START_CODES)


async def begin(
    engine: Engine, asked: StartRequest | RunRequest, key: str | None, actor: str
) -> RunView:
    """Begin what a body asks for, or find the run that it began; raises Refused and the engine's."""
    check_key(key)
    run_id = run_id_of(asked)
    if key is not None and run_id is not None:
        detail = f"{KEY_HEADER} makes an id of its own: leave the run's id out, or the key"
        raise Refused("idempotency-key-invalid", detail)
    pointer, state = state_of(asked)
    with within(graph="/graph", state=pointer):
        return await engine.start(
            asked.graph if isinstance(asked, StartRequest) else asked.graph_id,
            state,
            run_id=run_id,
            key=key,
            delay_s=asked.delay_s,
            limits=asked.limits,
            tags=asked.tags,
            traceparent=traceparent(),
            actor=actor,
        )


def status_of(begun: RunView, now: RunView) -> int:
    """Return 202 for a run that was accepted and goes on, 200 for one that is known already."""
    return 200 if now.done or begun.replayed else 202


def headers_of(begun: RunView) -> dict[str, str]:
    """Return where the run is, its trace, and whether an earlier request had begun it."""
    headers = {"Location": f"/runs/{begun.id}"}
    if begun.traceparent is not None:
        headers["traceparent"] = begun.traceparent
    return {**headers, "Idempotency-Replayed": "true"} if begun.replayed else headers
