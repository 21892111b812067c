"""What can be asked of a server without changing anything: of graphs, of runs, of their states."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import aclosing, suppress
from typing import Any, Final, TypeVar
from urllib.parse import quote

from stenograph.engine import (
    BlameAt,
    Reason,
    RerunReport,
    RunDiff,
    RunView,
    SeqNotReached,
    StateAt,
    StoredGraph,
    UnknownGraph,
    Visit,
)
from stenograph.http.client.following import Following
from stenograph.http.client.transport import run_path
from stenograph.http.shapes.evidence_wire import VerifyAnswer
from stenograph.http.shapes.refusals import About
from stenograph.http.shapes.views import stored_graph, view_of
from stenograph.http.shapes.wire import (
    GOING,
    ID_PATTERN,
    LIMIT_MAX,
    GraphAnswer,
    GraphList,
    GraphVersionItem,
    GraphVersionList,
    RunAnswer,
    RunList,
    StateAnswer,
    ToolList,
    VisitList,
)
from stenograph.journal import VERIFY_MAX

WAIT_S: Final = 60.0
A = TypeVar("A")
RESTING: Final = frozenset({"branch.ended", "run.parked", "run.paused", "wait.opened"})
"""Events after which a run may have nothing more to do by itself."""


class Reading(Following):
    """Reads graphs and runs, as they are and as they were, and waits for what they come to."""

    async def graph(self, graph_id: str, version: str | None = None) -> StoredGraph:
        """Return a graph's newest version, or the one whose hash begins so; raises UnknownGraph."""
        name = graph_id if version is None else f"{graph_id}@{version}"
        path = graph_path(graph_id, version)
        return stored_graph(await self.server.get(path, GraphAnswer, about=About(graph_id=name)))

    async def graphs(self, *, before: str | None = None, limit: int = 50) -> GraphList:
        """Return a page of the graphs, newest first.

        ``before`` is the ``next`` of the page before this one.
        """
        query = {"limit": limit} if before is None else {"limit": limit, "cursor": before}
        return await self.server.get("/graphs", GraphList, query)

    async def graph_versions(self, graph_id: str) -> list[GraphVersionItem]:
        """Return the versions of a graph, oldest first; raises UnknownGraph."""
        path = graph_path(graph_id, rest="/versions")
        return (await self.server.get(path, GraphVersionList, about=About(graph_id=graph_id))).items

    async def verify(
        self, run_id: str | None = None, *, after: int = 0, limit: int = VERIFY_MAX
    ) -> VerifyAnswer:
        """Verify a part of a run, or of the whole journal; raises UnknownRun, CursorUnknown.

        ``next`` of the answer is the ``after`` of the part behind it, None at the end.
        """
        path = "/journal/verify" if run_id is None else run_path(run_id, "/verify")
        query = {"after": after, "limit": limit}
        about = About(run_id=run_id or "", after=after)
        return await self.server.get(path, VerifyAnswer, query, about)

    async def tools(self) -> ToolList:
        """Return the tools that nodes may call, and the predicates that edges may ask."""
        return await self.server.get("/tools", ToolList)

    async def wait(self, run_id: str, wait_s: float = WAIT_S) -> RunView:
        """Return when a run ends, waits, pauses or parks, or after ``wait_s`` seconds.

        Raises UnknownRun.
        """
        run = await self._run(run_id)
        if run.status in GOING:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._rest(run_id, run.seq)
        return await self.get(run_id)

    async def get(self, run_id: str) -> RunView:
        """Return a run as it is now; raises UnknownRun."""
        return await self._with_state(await self._run(run_id))

    async def state(self, run_id: str, at: int | None = None) -> StateAt:
        """Return a run's state, now or after event ``at``; raises UnknownRun or SeqNotReached."""
        if at is not None and at < 1:
            raise SeqNotReached(run_id, asked=at, head=(await self._run(run_id)).seq)
        query = {} if at is None else {"at": at}
        about = About(run_id=run_id, at=at or 0)
        found = await self.server.get(run_path(run_id, "/state"), StateAnswer, query, about)
        return StateAt(
            run_id=found.run_id, seq=found.seq, status=found.status, json=bytes(found.state)
        )

    async def visits(self, run_id: str) -> list[Visit]:
        """Return the visits of a run, in the order of their entry; raises UnknownRun."""
        visits: list[Visit] = []
        cursor: str | None = "0"
        while cursor is not None:
            query = {"cursor": cursor, "limit": LIMIT_MAX}
            path = run_path(run_id, "/visits")
            page = await self.server.get(path, VisitList, query, About(run_id=run_id))
            visits += page.items
            cursor = page.next
        return visits

    async def why(self, run_id: str, seq: int) -> Reason:
        """Return why event ``seq`` of a run happened; raises UnknownRun or SeqNotReached."""
        return await self._at(run_id, "/why", seq, Reason, {"seq": seq})

    async def blame(
        self, run_id: str, path: str = "", *, at: int | None = None, scope: str = "/"
    ) -> BlameAt:
        """Return who last wrote each part of a state, now or after event ``at``.

        ``path`` is a JSON pointer into it; ``scope`` one that was open then. Raises UnknownRun,
        SeqNotReached, PathNotFound or ScopeNotFound.
        """
        query = {"path": path, "scope": scope}
        return await self._at(run_id, "/blame", at, BlameAt, query | asked(at=at))

    async def diff(
        self, run_id: str, other: str, *, at: int | None = None, other_at: int | None = None
    ) -> RunDiff:
        """Return how two runs differ, now or each after an event; also one run at two points.

        Raises UnknownRun or SeqNotReached.
        """
        await self._check(run_id, at)  # the answer would not tell which of them it is about
        await self._check(other, other_at)
        query = asked(at=at, other_at=other_at)
        return await self._at(run_id, f"/diff/{quote(other)}", None, RunDiff, query)

    async def rerun_report(self, run_id: str) -> RerunReport:
        """Return what a rerun was answered, what it ran anew, and how it differs so far.

        Raises UnknownRun, or RerunRefused for a run that is no rerun.
        """
        return await self._at(run_id, "/rerun", None, RerunReport, {})

    async def runs(
        self,
        labels: Mapping[str, str] | None = None,
        *,
        before: str | None = None,
        limit: int = 50,
    ) -> RunList:
        """Return a page of the runs that carry ``labels`` (``status``, ``graph``, ``tag:…``).

        Newest first. ``before`` is the ``next`` of the page before this one.
        """
        query: dict[str, Any] = {"limit": limit}
        if before is not None:
            query["cursor"] = before
        for name, value in (labels or {}).items():
            if name.startswith("tag:"):
                query.setdefault("tag", []).append(f"{name.removeprefix('tag:')}:{value}")
            else:
                query[name] = value
        return await self.server.get("/runs", RunList, query)

    async def _rest(self, run_id: str, after: int) -> None:
        """Return once a run has ended, or has nothing to do by itself."""
        async with aclosing(self.follow(run_id, after=after)) as pages:
            async for page in pages:
                if not any(record.type in RESTING for record in page):
                    continue
                run = await self._run(run_id)
                if run.status not in GOING:
                    return

    async def _at(
        self, run_id: str, what: str, seq: int | None, kind: type[A], query: Mapping[str, Any]
    ) -> A:
        """Return what a run is asked of an event; raises SeqNotReached for what can be none."""
        if seq is not None and seq < 1:
            await self._check(run_id, seq)
        about = About(run_id=run_id, at=seq or 0)
        return await self.server.get(run_path(run_id, what), kind, query, about)

    async def _check(self, run_id: str, seq: int | None) -> None:
        """Raise UnknownRun, or SeqNotReached for an event that a run has not."""
        run = await self._run(run_id)
        if seq is not None and not 1 <= seq <= run.seq:
            raise SeqNotReached(run_id, asked=seq, head=run.seq)

    async def _run(self, run_id: str) -> RunAnswer:
        return await self.server.get(run_path(run_id), RunAnswer, about=About(run_id=run_id))

    async def _with_state(self, run: RunAnswer) -> RunView:
        """Return a run together with its state at the same moment."""
        state = await self.state(run.id, at=run.seq)
        return view_of(run, state.json)


def asked(**options: int | None) -> dict[str, int]:
    """Return what was given of some options of a query."""
    return {name: value for name, value in options.items() if value is not None}


def graph_path(graph_id: str, version: str | None = None, *, rest: str = "") -> str:
    """Return the path of a graph; raises UnknownGraph for what is no graph's id."""
    name = graph_id if version is None else f"{graph_id}@{version}"
    if not re.fullmatch(ID_PATTERN, graph_id):
        raise UnknownGraph(name)
    return f"/graphs/{quote(name)}{rest}"
