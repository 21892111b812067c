"""Whether the server lives, and whether it can do its work: each check with what it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from litestar import Request, Response, route
from litestar.di import NamedDependency
from msgspec.structs import asdict, replace

from stenograph.engine import Engine, EngineClosed
from stenograph.http.door.access import may_read
from stenograph.http.errors import Refused, answer_of, problem_of
from stenograph.http.problems import problems
from stenograph.http.shapes.wire import API_VERSION, Check, HealthAnswer, HealthProblem
from stenograph.http.stopping import Stopping
from stenograph.http.watch.disk import room_of
from stenograph.http.watch.loop_lag import LoopLag


class Least(NamedTuple):
    """How much room there should be: so many bytes, or of a small disk the n-th ``part``."""

    bytes: int
    part: int


FULL: Final = Least(8 * 1024 * 1024, 20)
"""With less room than for two of the largest appends, the next one may be refused."""
NEARLY_FULL: Final = Least(128 * 1024 * 1024, 10)
"""With less room than the log takes at its highest, and as much again, nothing new should begin."""
WAL_HIGH_BYTES: Final = 256 * 1024 * 1024
"""The log is emptied at some 16 MiB, or 64 when readers are slow: at so many one keeps it from that."""
STALLED_S: Final = 1.0
"""A loop that was so late, in the last few seconds, keeps everybody waiting."""

Finding: TypeAlias = str | Exception
"""What a check found: some words when all is well, else what an answer to work would be."""

TROUBLES = ("read-only", "disk-full", "journal-busy", "journal-unreadable")


@route(
    "/healthz",
    needs=None,
    http_method=["GET", "HEAD"],
    responses=problems(*TROUBLES, "not-ready", anybody=True),
    summary="Is it well?",
    tags=["Operations"],
)
async def healthz(
    request: Request[Any, Any, Any], engine: NamedDependency[Engine]
) -> Response[HealthAnswer]:
    """Tell whether what is asked here can be written down; 503 says why not, check by check.

    Where tokens are needed, only one with `read` is told more than whether it is well.
    """
    checks = {"journal": of_journal(engine), "disk": of_disk(engine, FULL)}
    return answer(engine, checks, request)


@route(
    "/readyz",
    needs=None,
    http_method=["GET", "HEAD"],
    responses=problems(*TROUBLES, "shutting-down", "not-ready", anybody=True),
    summary="Can it take work?",
    tags=["Operations"],
)
async def readyz(
    request: Request[Any, Any, Any],
    engine: NamedDependency[Engine],
    stopping: NamedDependency[Stopping],
    lag: NamedDependency[LoopLag],
) -> Response[HealthAnswer]:
    """Tell whether work may be sent here; 503 while it stops, or can do none, with the reason.

    Who comes while the unfinished runs are taken up at start is answered once they are.
    """
    checks = {
        "journal": of_journal(engine),
        "stopping": of_stopping(stopping),
        "disk": of_disk(engine, NEARLY_FULL),
        "wal": of_wal(engine),
        "loop": of_loop(lag),
    }
    return answer(engine, checks, request)


def answer(
    engine: Engine, findings: Mapping[str, Finding], request: Request[Any, Any, Any]
) -> Response[HealthAnswer]:
    """Return 200 when all is well, else the problem that is the first of those found."""
    checks = {
        name: Check(ok=isinstance(found, str), detail=str(found))
        for name, found in findings.items()
    }
    is_told = may_read(request)
    for found in findings.values():
        if isinstance(found, Exception):
            problem = problem_of(found, request.scope["path"])
            if not is_told:
                return answer_of(replace(problem, detail=problem.title))  # type: ignore[return-value]
            told = HealthProblem(**asdict(problem), checks=checks)
            return answer_of(told)  # type: ignore[return-value]
    if not is_told:
        return Response(HealthAnswer(status="ok"))
    tokens = request.app.state["tokens"]
    return Response(
        HealthAnswer(
            status="ok",
            version=API_VERSION,
            journal=engine.journal.id,
            recovered=len(engine.recovered),
            checks=checks,
            warnings=[fault] if tokens is not None and (fault := tokens.look()) else [],
        )
    )


def of_journal(engine: Engine) -> Finding:
    """Tell whether the journal takes what is to be written."""
    return engine.journal.trouble or "it is written to"


def of_stopping(stopping: Stopping) -> Finding:
    """Tell whether the server is to stay."""
    return EngineClosed() if stopping.is_set() else "the server stays"


def of_disk(engine: Engine, least: Least) -> Finding:
    """Tell whether there is some room for what is to be written."""
    room = room_of(engine.journal)
    if room is None:
        return "the journal is in memory"
    told = f"{room.free / 2**20:,.0f} MiB are free beside the journal"
    wanted = min(least.bytes, room.total // least.part)
    is_enough = 0 < room.free >= wanted
    return told if is_enough else _not_ready(f"{told}; it should be {wanted / 2**20:,.0f}")


def of_wal(engine: Engine) -> Finding:
    """Tell whether the write-ahead log is emptied now and then."""
    told = f"the write-ahead log has {engine.journal.wal_bytes / 2**20:,.1f} MiB"
    if engine.journal.wal_bytes < WAL_HIGH_BYTES:
        return told
    return _not_ready(f"{told}: a reader that never ends keeps it from being emptied")


def of_loop(lag: LoopLag) -> Finding:
    """Tell whether the event loop comes to what is due."""
    told = f"the loop was {lag.worst_s * 1000:,.0f} ms late at worst in the last seconds"
    if lag.worst_s < STALLED_S:
        return told
    return _not_ready(f"{told}: a tool that is async holds it up")


def _not_ready(detail: str) -> Refused:
    return Refused("not-ready", detail)


HANDLERS = (healthz, readyz)
