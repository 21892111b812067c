"""The client: the engine's calls over HTTP, with the same words, shapes and errors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, TypedDict, Unpack

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stenograph.engine import (
    CHECK_S,
    CheckReport,
    Fault,
    Graph,
    GraphInvalid,
    Limits,
    Migration,
    NotJson,
    RunView,
    SeqNotReached,
    StoredGraph,
    as_data,
    canonical,
    subgraphs_of,
)
from stenograph.http.client.control import Control, check_key
from stenograph.http.client.reading import WAIT_S
from stenograph.http.client.transport import run_id_of, run_path
from stenograph.http.shapes.evidence_wire import EraseRequest
from stenograph.http.shapes.fork_wire import ForkAnswer, ForkRequest
from stenograph.http.shapes.migrate_wire import MigrateRequest
from stenograph.http.shapes.refusals import About
from stenograph.http.shapes.requests import DELAY_MAX_S, KEY_HEADER, SqlRequest, StartRequest
from stenograph.http.shapes.rerun_wire import CheckRequest, RerunRequest
from stenograph.http.shapes.views import stored_graph, view_of
from stenograph.http.shapes.wire import GZIP_TYPE, NDJSON_TYPE, GraphAnswer, RunAnswer, SqlAnswer
from stenograph.journal import ROWS, TIME_S

CREATED: Final = 201


class StartOptions(TypedDict, total=False):
    """What ``run`` passes on to ``start``."""

    run_id: str | None
    key: str | None
    delay_s: float
    limits: Limits | None
    tags: Mapping[str, str] | None


class Validation(Struct, frozen=True):
    """What a server finds in a graph; ``version`` and ``canonical`` are None if it cannot run."""

    valid: bool
    errors: list[Fault]
    warnings: list[Fault]
    version: str | None
    canonical: dict[str, Any] | None


class Client(Control):
    """Runs graphs on a server and tells of them; an async context manager.

    ``token`` goes with every request, to that server alone; what begins a run also reads it, and
    so needs both ``run`` and ``read``.
    Every call raises ServerUnreachable when no server answers, and RequestRefused for a problem
    that is no error of the engine. ``tail`` and ``follow`` take a broken stream up again by
    themselves, unless ``reconnect`` is false; ``on_lost`` is called with the cursor each time.
    """

    async def create_graph(
        self, graph: Graph | Mapping[str, Any], *, graph_id: str | None = None
    ) -> StoredGraph:
        """Store a graph, or a new version of it; the same content again changes nothing.

        The graphs within one that is written in Python are stored before it. Tools and predicates
        go by their names: the server must know them. Raises GraphInvalid.
        """
        for inner in subgraphs_of(graph) if isinstance(graph, Graph) else ():
            await self._store(_data(inner))
        data = _data(graph)
        return await self._store(data if graph_id is None else {**data, "id": graph_id})

    async def validate_graph(self, graph: Graph | Mapping[str, Any]) -> Validation:
        """Return everything that is wrong or doubtful in a graph; nothing is stored.

        Raises GraphInvalid only for what cannot be sent, as it is no JSON.
        """
        body = _body(_data(graph))
        return (await self.server.post("/graphs/validate", Validation, body))[1]

    async def start(
        self,
        graph: Graph | Mapping[str, Any] | str,
        state: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        key: str | None = None,
        delay_s: float = 0.0,
        limits: Limits | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> RunView:
        """Begin a run and return at once, as soon as its beginning is durable.

        ``graph`` is a graph, or the id of one that is stored (``id@version`` for an older one).
        Asking again with the same ``key`` or ``run_id`` and the same of all else returns that run
        (``replayed``). ``delay_s``: from 0 to ten years.
        Raises UnknownGraph, GraphInvalid, RunExists, KeyReused, TooManyRuns, NotJson, StateTooLarge,
        StateRefused, and ValueError for a ``run_id``, ``key`` or ``delay_s`` that cannot be one.
        """
        _check_options(run_id, key, delay_s)
        if not isinstance(graph, str):
            stored = await self.create_graph(graph)
            graph = f"{stored.graph_id}@{stored.version}"
        _, values = canonical(dict(state or {}), "")
        asked = StartRequest(
            graph=graph,
            state=values,
            id=run_id,
            delay_s=delay_s,
            tags=dict(tags or {}),
            limits=limits,
        )
        about = About(run_id=run_id or "", graph_id=graph, key=key)
        headers = {} if key is None else {KEY_HEADER: key}
        body = msgspec.json.encode(asked)
        _, begun = await self.server.post("/runs", RunAnswer, body, about, headers=headers)
        return await self._with_state(begun)

    async def run(
        self,
        graph: Graph | Mapping[str, Any] | str,
        state: Mapping[str, Any] | None = None,
        *,
        wait_s: float = WAIT_S,
        **options: Unpack[StartOptions],
    ) -> RunView:
        """Begin a run and return when it ends or rests, or after ``wait_s`` seconds.

        Options and errors are those of ``start``. Who stops waiting does not stop the run.
        """
        begun = await self.start(graph, state, **options)
        return replace(await self.wait(begun.id, wait_s), replayed=begun.replayed)

    async def erase(self, run_id: str, *, reason: str = "") -> RunView:
        """Erase a run that has ended, and return what is left of it; twice is as once.

        Raises UnknownRun or RunUnfinished.
        """
        body, about = msgspec.json.encode(EraseRequest(reason=reason)), About(run_id=run_id)
        _, run = await self.server.post(run_path(run_id, "/erase"), RunAnswer, body, about)
        return view_of(run, b"{}")

    async def export(self, run_id: str, *, gzip: bool = False) -> AsyncGenerator[bytes, None]:
        """Yield a run as one file, piece by piece, up to its last event now; ``gzip``: compressed.

        Only with its last line is it whole. Raises UnknownRun, RunGone or JournalUnreadable.
        """
        query = {"gzip": "true"} if gzip else None
        about = About(run_id=run_id)
        async with aclosing(self.server.pieces(run_path(run_id, "/export"), about, query)) as all_:
            async for piece in all_:
                yield piece

    async def import_run(self, file: bytes) -> RunView:
        """Take a run in that was exported, compressed or not, of at most 64 MiB.

        It is only read there, and forked. The same again changes nothing (``replayed``). Raises
        ExportRefused for a file that is not as it was written, RunExists when another has its id.
        """
        headers = {"Content-Type": GZIP_TYPE if file[:2] == b"\x1f\x8b" else NDJSON_TYPE}
        status, run = await self.server.post("/runs/import", RunAnswer, file, headers=headers)
        return replace(await self._with_state(run), replayed=status != CREATED)

    async def fork(
        self,
        run_id: str,
        at: int,
        *,
        state: Mapping[str, Any] | None = None,
        patch: Sequence[Mapping[str, Any]] = (),
        scope: str = "/",
        graph: Graph | Mapping[str, Any] | str | None = None,
        signals: Mapping[str, Any] | None = None,
        new_id: str | None = None,
        key: str | None = None,
        limits: Limits | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> RunView:
        """Begin a run that goes on from where another was after event ``at``, or its step's begin.

        ``origin`` of the answer says from where exactly. ``state`` sets keys in a ``scope``, ``patch``
        has operations of RFC 6902 on its keys, ``graph`` is another version or another graph, and
        ``signals`` are given by name. Limits and tags are the other run's, unless given.
        Asking again with the same ``key`` or ``new_id`` and the same of all else returns that run.
        Raises UnknownRun, SeqNotReached, ForkRefused with all that does not fit, RunExists,
        KeyReused; as for ``graph``, UnknownGraph or GraphInvalid; as for values, NotJson,
        StateTooLarge, SchemaViolated, SecretRefused, SecretLeaked; as for signals, UnknownSignal
        or SignalRefused.
        """
        _check_options(new_id, key, 0)
        if at < 1:
            raise SeqNotReached(run_id, asked=at, head=(await self._run(run_id)).seq)
        if graph is not None and not isinstance(graph, str):
            stored = await self.create_graph(graph)
            graph = f"{stored.graph_id}@{stored.version}"
        asked = ForkRequest(
            at=at,
            state=canonical(dict(state or {}), "")[1],
            patch=canonical(list(map(dict, patch)), "")[1],
            scope=scope,
            graph=graph,
            signals=canonical(dict(signals or {}), "")[1],
            run_id=new_id,
            limits=limits,
            tags=None if tags is None else dict(tags),
        )
        about = About(run_id=run_id, graph_id=graph or "", key=key, at=at)
        headers = {} if key is None else {KEY_HEADER: key}
        body, path = msgspec.json.encode(asked), run_path(run_id, "/fork")
        _, begun = await self.server.post(path, ForkAnswer, body, about, headers=headers)
        return await self._with_state(begun)

    async def migrate(
        self,
        run_id: str,
        graph: Graph | Mapping[str, Any] | str,
        *,
        dry_run: bool = False,
        key: str | None = None,
        if_seq: int | Collection[int] | None = None,
    ) -> Migration:
        """Have an unfinished run go on in another version of its graph, or in another graph.

        What is under way goes on, and is left by the new edges. With ``dry_run`` nothing changes, and
        ``faults`` of the answer tell what does not fit, but then the server must have the graphs
        within one that is written in Python; without, what does not fit raises MigrationRefused.
        ``key`` and ``if_seq`` as for ``signal``; a dry run needs no key, and remembers none. Raises
        UnknownRun, RunFinished, RunImported, UnknownGraph, GraphInvalid, KeyReused, TooManyKeys or
        PreconditionFailed as well.
        """
        headers = await self._conditions(run_id, key, if_seq)
        if not isinstance(graph, str) and not dry_run:
            stored = await self.create_graph(graph)
            graph = f"{stored.graph_id}@{stored.version}"
        given = graph if isinstance(graph, str) else msgspec.json.decode(_body(_data(graph)))
        about = About(run_id=run_id, graph_id=graph if isinstance(graph, str) else "", key=key)
        body = msgspec.json.encode(MigrateRequest(graph=given, dry_run=dry_run))
        try:
            path = run_path(run_id, "/migrate")
            return (await self.server.post(path, Migration, body, about, headers=headers))[1]
        except GraphInvalid as error:
            faults = [Fault(e.pointer.removeprefix("/graph"), e.detail) for e in error.faults]
            raise GraphInvalid(faults, []) from None

    async def rerun(
        self,
        run_id: str,
        *,
        graph: Graph | Mapping[str, Any] | str | None = None,
        state: Mapping[str, Any] | None = None,
        tools: Sequence[str] = (),
        new_id: str | None = None,
        key: str | None = None,
        limits: Limits | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> RunView:
        """Begin a run that is made anew from what was recorded of another, up to its last event.

        ``graph`` is another version or another graph, ``state`` sets keys of the first state, and
        ``tools`` names those to run anew; without names, those of another version are. Visits whose
        tool, config and state are as recorded are answered from the recording, the rest is run. The
        new run's tags are the other's, those given, and ``rerun_of``. ``rerun_report`` tells more.
        Asking again with the same ``key`` or ``new_id`` and the same of all else returns that run.
        Raises UnknownRun, RerunRefused with all that does not fit, and what ``start`` may raise.
        """
        _check_options(new_id, key, 0)
        if graph is not None and not isinstance(graph, str):
            stored = await self.create_graph(graph)
            graph = f"{stored.graph_id}@{stored.version}"
        asked = RerunRequest(
            graph=graph,
            state=canonical(dict(state or {}), "")[1],
            tools=list(tools),
            run_id=new_id,
            limits=limits,
            tags=None if tags is None else dict(tags),
        )
        about = About(run_id=run_id, graph_id=graph or "", key=key)
        headers = {} if key is None else {KEY_HEADER: key}
        body, path = msgspec.json.encode(asked), run_path(run_id, "/rerun")
        _, begun = await self.server.post(path, RunAnswer, body, about, headers=headers)
        return await self._with_state(begun)

    async def check_run(
        self, run_id: str, *, tools: Sequence[str] = (), time_s: float = CHECK_S
    ) -> CheckReport:
        """Run today's tools on what they were given in a run, and return where they do otherwise.

        Nothing is written, and what they return goes nowhere. Tools with ``effects: once`` and
        those whose graph has secrets are left out, and what is not done after ``time_s`` (up to
        3,600); ``tools`` names those to check alone.
        Raises UnknownRun, or RerunRefused for a name that is no tool's.
        """
        body = msgspec.json.encode(CheckRequest(tools=list(tools), time_s=time_s))
        path, about = run_path(run_id, "/check"), About(run_id=run_id)
        answer = await self.server.post(path, CheckReport, body, about, wait_s=time_s)
        return answer[1]

    async def sql(
        self,
        sql: str,
        params: Sequence[Any] | Mapping[str, Any] = (),
        *,
        time_s: float = TIME_S,
        limit: int = ROWS,
    ) -> SqlAnswer:
        """Return what one SELECT over the views of the journal finds (docs/sql.md says which).

        ``params``: the values of its ``?``, or of its ``:name``. ``time_s``: at most 30 seconds;
        ``limit``: at most 10,000 rows. Raises RequestRefused.
        """
        values = dict(params) if isinstance(params, Mapping) else list(params)
        asked = SqlRequest(sql=sql, params=values, time_s=time_s, limit=limit)
        return (await self.server.post("/sql", SqlAnswer, msgspec.json.encode(asked)))[1]

    async def _store(self, data: dict[str, Any]) -> StoredGraph:
        status, answer = await self.server.post("/graphs", GraphAnswer, _body(data))
        return stored_graph(answer, created=status == CREATED)


def _data(graph: Graph | Mapping[str, Any]) -> dict[str, Any]:
    return dict(as_data(graph) if isinstance(graph, Graph) else graph)


def _body(data: dict[str, Any]) -> bytes:
    """Return a graph as JSON; raises GraphInvalid."""
    try:
        return canonical(data, "")[0]
    except NotJson as error:
        raise GraphInvalid([Fault(error.path, error.reason)], []) from None


def _check_options(run_id: str | None, key: str | None, delay_s: float) -> None:
    """Raise ValueError for options of a start that no server takes."""
    if run_id is not None:
        run_id_of(run_id)
    check_key(key)
    if not 0 <= delay_s <= DELAY_MAX_S:
        raise ValueError(f"a run can be delayed by 0 to {DELAY_MAX_S:,} seconds, not {delay_s!r}")
