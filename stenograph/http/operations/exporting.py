"""A run as a file: it goes out page by page, and comes in piece by piece."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, Final, TypeAlias

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, HeaderParameter, QueryParameter
from litestar.response import Response, Stream

from stenograph.engine import Engine, EngineClosed, ExportedRun, ExportHeader, ExportReader
from stenograph.http.door.access import check_holds
from stenograph.http.errors import Refused
from stenograph.http.operations.answers import Exported, also
from stenograph.http.operations.queries import check_names
from stenograph.http.operations.waiting import first_of
from stenograph.http.problems import BODY_CODES, problems
from stenograph.http.shapes.views import run_answer
from stenograph.http.shapes.wire import GZIP_TYPE, NDJSON_TYPE, RESERVED_IDS, RunAnswer
from stenograph.journal import AT_ONCE_BYTES, run_at_length

IMPORT_TIMEOUT_S: Final = 300.0
"""How long a file may take to arrive."""
IMPORTS_MAX: Final = 2
"""How many files arrive at a time: each is held in memory, whole."""
MORSEL: Final = 4096
"""So many bytes are read at once, which unpack to a thousand times as many: others have their turn."""
GZIP_LEVEL: Final = 1
GZIP_WBITS: Final = 31

Gzip: TypeAlias = Annotated[bool, QueryParameter(description="As a gzip file")]
AcceptEncoding: TypeAlias = Annotated[str, HeaderParameter(name="Accept-Encoding")]

IMPORT_CODES: Final = (
    "run-exists",
    "import-refused",
    "too-many-imports",
    "read-only",
    "journal-busy",
    "disk-full",
)
LINES: Final = ResponseSpec(
    ExportHeader,
    generate_examples=False,
    description="The first line; then the events, and a SHA-256 of every byte before it",
    media_type=NDJSON_TYPE,
)


class Imports:
    """Counts the imports that are under way."""

    def __init__(self) -> None:
        self.under_way = 0

    def __enter__(self) -> None:
        if self.under_way >= IMPORTS_MAX:
            detail = f"{IMPORTS_MAX} runs are imported at a time; ask again soon"
            raise Refused("too-many-imports", detail)
        self.under_way += 1

    def __exit__(self, *error: object) -> None:
        self.under_way -= 1


@get(
    "/runs/{run_id:str}/export",
    needs="read",
    responses={200: LINES, **problems("query-invalid", "run-not-found")},
    operation_class=Exported,
    summary="Export a run",
    tags=["Evidence"],
)
async def export_run(
    request: Request[Any, Any, Any],
    run_id: FromPath[str],
    engine: NamedDependency[Engine],
    gzip: Gzip = False,
    accept_encoding: AcceptEncoding = "",
) -> Stream:
    """Return a run as one file, up to its last event now: a header, the events, a SHA-256.

    Secrets are not in it. `Accept-Encoding: gzip` compresses it on its way, `gzip=true` for good.
    """
    check_names(request.query_params, frozenset({"gzip"}))
    pieces = engine.export(run_id)
    first = await anext(pieces)  # what cannot be exported is refused before the answer begins
    name = f"{run_id}.ndjson{'.gz' if gzip else ''}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept-Encoding"}
    is_encoded = not gzip and wants_gzip(accept_encoding)
    if is_encoded:
        headers["Content-Encoding"] = "gzip"
    body = whole(first, pieces)
    return Stream(
        compressed(body) if gzip or is_encoded else body,
        media_type=GZIP_TYPE if gzip else NDJSON_TYPE,
        headers=headers,
    )


@post(
    "/runs/import",
    needs="admin",
    responses={
        **also(200, RunAnswer, "It was there, the same"),
        **problems(*BODY_CODES, *IMPORT_CODES),
    },
    summary="Import a run",
    tags=["Evidence"],
)
async def import_run(
    request: Request[Any, Any, Any],
    engine: NamedDependency[Engine],
    stopping: NamedDependency[asyncio.Event],
    imports: NamedDependency[Imports],
) -> Response[RunAnswer]:
    """Take in an exported run: `application/x-ndjson`, or compressed `application/gzip`.

    At most 64 MiB, uncompressed. It is verified first, and never executed: its run is only read
    here, and forked.
    """
    with imports:
        exported = await received(request, stopping)
        check_holds(request.scope)
        if exported.header.run_id in RESERVED_IDS:
            raise Refused("import-refused", f"no run can be called {exported.header.run_id} here")
        run = await engine.import_run(exported)
    headers = {"Location": f"/runs/{run.id}"}
    return Response(run_answer(run), status_code=200 if run.replayed else 201, headers=headers)


async def received(request: Request[Any, Any, Any], stopping: asyncio.Event) -> ExportedRun:
    """Return the run that a request brings; raises Refused, ExportRefused or EngineClosed."""
    reader = ExportReader()
    is_whole = False

    async def read() -> None:
        nonlocal is_whole
        more = True
        while more:
            message: Any = await request.receive()
            if message["type"] == "http.disconnect":
                raise Refused("bad-request", "the file broke off")
            body = message.get("body", b"")
            for at in range(0, len(body), MORSEL):
                reader.feed(body[at : at + MORSEL])
                await asyncio.sleep(0)
            more = message.get("more_body", False)
        is_whole = True

    try:
        async with asyncio.timeout(IMPORT_TIMEOUT_S):
            await first_of(read, stopping.wait)
    except TimeoutError:
        detail = f"the file must arrive within {IMPORT_TIMEOUT_S:g} seconds"
        raise Refused("body-timeout", detail) from None
    if not is_whole:
        raise EngineClosed
    return reader.run()


async def whole(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """Yield a first piece and the rest."""
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


async def compressed(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield a gzip file of the pieces: the same for the same, as no time stands in it."""
    gzip = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WBITS)
    async for piece in pieces:
        is_small = len(piece) <= AT_ONCE_BYTES
        if data := await run_at_length(partial(gzip.compress, piece), at_once=is_small):
            yield data
    yield gzip.flush()


def wants_gzip(accept: str) -> bool:
    """Tell whether a header says that gzip is welcome."""
    for each in accept.lower().split(","):
        name, _, quality = each.partition(";")
        if name.strip() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


HANDLERS = (export_run, import_run)
