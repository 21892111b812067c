"""Evidence: whether what the journal holds is what was written."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import BodyKwarg, FromPath, QueryParameter

from stenograph.engine import Engine, UnknownRun
from stenograph.http.door.access import actor_of
from stenograph.http.operations.answers import OptionalBody
from stenograph.http.operations.pages import check_journal
from stenograph.http.operations.queries import After, JournalId
from stenograph.http.problems import BODY_CODES, problems
from stenograph.http.shapes.evidence_wire import EraseRequest, VerifyAnswer, verify_answer
from stenograph.http.shapes.views import run_answer
from stenograph.http.shapes.wire import RunAnswer
from stenograph.http.streaming.frames import Frames
from stenograph.http.streaming.sifting import Belongings
from stenograph.journal import VERIFY_MAX, CursorUnknown

EraseBody: TypeAlias = Annotated[
    EraseRequest | None,
    BodyKwarg(examples=[Example(summary="With a reason", value={"reason": "asked for by ann"})]),
]
Most: TypeAlias = Annotated[
    int,
    QueryParameter(ge=1, description="Most records to look at; at most 10,000, the default"),
]


@get(
    "/runs/{run_id:str}/verify",
    needs="read",
    responses=problems("query-invalid", "run-not-found", "cursor-unknown"),
    summary="Verify a run",
    tags=["Evidence"],
)
async def verify_run(
    run_id: FromPath[str],
    engine: NamedDependency[Engine],
    after: After = 0,
    limit: Most = VERIFY_MAX,
    journal: JournalId = None,
) -> VerifyAnswer:
    """Hold what is stored of a run against its hashes; what is found is no error but the answer."""
    check_journal(engine, journal)
    verdict = await engine.journal.verify(run_id, after=after, limit=limit)
    if verdict is None:
        raise UnknownRun(run_id)
    check_cursor(after, await engine.journal.head(run_id))
    return verify_answer(verdict)


@get(
    "/journal/verify",
    needs="read",
    responses=problems("query-invalid", "cursor-unknown"),
    summary="Verify the journal",
    tags=["Evidence"],
)
async def verify_journal(
    engine: NamedDependency[Engine],
    after: After = 0,
    limit: Most = VERIFY_MAX,
    journal: JournalId = None,
) -> VerifyAnswer:
    """Hold all records against their hashes, part by part: go on with `next` as `after`.

    What only the whole file shows, such as a damaged index, `steno verify --db` checks.
    """
    check_journal(engine, journal)
    check_cursor(after, await engine.journal.end())
    verdict = await engine.journal.verify(after=after, limit=limit)
    assert verdict is not None
    return verify_answer(verdict)


def check_cursor(after: int, head: int) -> None:
    """Raise CursorUnknown for a cursor beyond the head: nothing there could be wrong."""
    if after > head:
        raise CursorUnknown(after=after, head=head)


@post(
    "/runs/{run_id:str}/erase",
    needs="admin",
    status_code=200,
    responses=problems(
        *BODY_CODES, "run-not-found", "run-unfinished", "read-only", "journal-busy", "disk-full"
    ),
    operation_class=OptionalBody,
    summary="Erase a run",
    tags=["Evidence"],
)
async def erase_run(
    request: Request[Any, Any, Any],
    run_id: FromPath[str],
    engine: NamedDependency[Engine],
    frames: NamedDependency[Frames],
    belongings: NamedDependency[Belongings],
    data: EraseBody = None,
) -> RunAnswer:
    """Erase what a run that has ended was given, said and came to; its hashes stay.

    Places, times and types of its events stay with them, so that the journal verifies as before.
    """
    run = await engine.erase(run_id, reason=(data and data.reason) or "", actor=actor_of(request))
    frames.forget()
    belongings.forget(run_id)
    return run_answer(run)


HANDLERS = (verify_run, verify_journal, erase_run)
