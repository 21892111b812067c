"""What people tell a run on a server: to stop, wait, go on, or take a signal."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from stenograph.engine import Limits, RunView, canonical
from stenograph.http.client.reading import Reading
from stenograph.http.client.transport import run_path
from stenograph.http.shapes.messages import EventsPage
from stenograph.http.shapes.refusals import About
from stenograph.http.shapes.requests import (
    KEY_HEADER,
    KEY_PATTERN,
    KEY_WORDS,
    CancelRequest,
    PauseRequest,
    ResumeRequest,
    RetryRequest,
)
from stenograph.http.shapes.wire import RunAnswer, run_etag

NO_TAG: Final = '""'
"""What no run is tagged with."""


class Control(Reading):
    """Commands to runs, each durable when its call returns; what ``Client`` and its users tell."""

    async def cancel(
        self, run_id: str, *, reason: str = "", if_seq: int | Collection[int] | None = None
    ) -> RunView:
        """Ask a run to stop, and return once that is durable; asking twice is as asking once.

        ``if_seq``: the last event of the run must be this one, or one of these, or nothing is done.
        Raises UnknownRun, PreconditionFailed, or RunFinished when it ended otherwise.
        """
        return await self._tell(run_id, "/cancel", CancelRequest(reason=reason), if_seq=if_seq)

    async def signal(
        self,
        run_id: str,
        name: str,
        payload: Any = None,
        *,
        scope: str | None = None,
        saw: int | None = None,
        key: str | None = None,
        if_seq: int | Collection[int] | None = None,
    ) -> RunView:
        """Give a run input, and return once that is durable.

        A node that waits for it (in ``scope``, if given) takes it; else it is kept until one does.
        ``saw``: the last event of the run that the giver had seen. Asking again with the same ``key``
        and the same of all else gives it nothing, and returns the run as it is (``replayed``).
        ``if_seq``: the last event of the run must be this one, or one of these, or nothing is done.
        Raises UnknownRun, RunFinished, UnknownSignal, SignalRefused when it fits no schema,
        TooManySignals, NotJson, KeyReused, TooManyKeys, PreconditionFailed, ValueError.
        """
        body, _ = canonical(payload, "")
        asked = {"scope": scope, "saw": saw}
        query = {option: value for option, value in asked.items() if value is not None}
        path = run_path(run_id, f"/signals/{quote(name, safe='')}")
        about = About(run_id=run_id, signal=name, within="", key=key)
        headers = await self._conditions(run_id, key, if_seq)
        _, run = await self.server.post(path, RunAnswer, body, about, query=query, headers=headers)
        return await self._with_state(run)

    async def pause(
        self, run_id: str, *, reason: str = "", if_seq: int | Collection[int] | None = None
    ) -> RunView:
        """Have a run begin nothing new; what is under way finishes first. Asking twice is as once.

        ``if_seq`` as for ``signal``. Raises UnknownRun, RunFinished or PreconditionFailed.
        """
        return await self._tell(run_id, "/pause", PauseRequest(reason=reason), if_seq=if_seq)

    async def resume(
        self,
        run_id: str,
        *,
        limits: Limits | None = None,
        result: Mapping[str, Any] | None = None,
        scope: str | None = None,
        key: str | None = None,
        if_seq: int | Collection[int] | None = None,
    ) -> RunView:
        """Let a paused or parked run go on, with other limits if given.

        ``result`` is for a run that is parked over a node's effects: they did happen, and this is
        what the node returned; without it the node is entered again. With ``scope`` it is for a run
        alone that is parked there (``RunView.parked``). ``key`` and ``if_seq`` as for ``signal``.
        Raises UnknownRun, NotHeld, RunTooLong, KeyReused, TooManyKeys, PreconditionFailed, or
        what a result may raise: NotJson, StateTooLarge, CannotReduce, SchemaViolated.
        """
        values = None if result is None else canonical(dict(result), "")[1]
        asked = ResumeRequest(limits=limits, result=values, scope=scope)
        return await self._tell(run_id, "/resume", asked, key, if_seq)

    async def retry(
        self,
        run_id: str,
        *,
        limits: Limits | None = None,
        key: str | None = None,
        if_seq: int | Collection[int] | None = None,
    ) -> RunView:
        """Reopen a failed run where it failed; what had finished does not run again.

        ``key`` and ``if_seq`` as for ``signal``. Raises UnknownRun, RunTooLong, KeyReused, TooManyKeys,
        PreconditionFailed, or NotHeld when it has not failed.
        """
        return await self._tell(run_id, "/retry", RetryRequest(limits=limits), key, if_seq)

    async def _tell(
        self,
        run_id: str,
        what: str,
        asked: Struct,
        key: str | None = None,
        if_seq: int | Collection[int] | None = None,
    ) -> RunView:
        body, path = msgspec.json.encode(asked), run_path(run_id, what)
        about = About(run_id=run_id, within="/result", key=key)
        headers = await self._conditions(run_id, key, if_seq)
        _, run = await self.server.post(path, RunAnswer, body, about, headers=headers)
        return await self._with_state(run)

    async def _conditions(
        self, run_id: str, key: str | None, if_seq: int | Collection[int] | None
    ) -> dict[str, str]:
        """Return the headers that say with which key something is asked, and of which run alone.

        Raises UnknownRun, or ValueError for a key that no server takes.
        """
        check_key(key)
        headers = {} if key is None else {KEY_HEADER: key}
        if if_seq is not None:
            seqs = if_seq if isinstance(if_seq, Collection) else [if_seq]
            path, about = run_path(run_id, "/events"), About(run_id=run_id)
            journal = (await self.server.get(path, EventsPage, {"limit": 1}, about)).journal
            headers["If-Match"] = ", ".join(run_etag(journal, seq) for seq in seqs) or NO_TAG
        return headers


def check_key(key: str | None) -> None:
    """Raise ValueError for an idempotency key that no server takes."""
    if key is not None and (key.strip() != key or not re.fullmatch(KEY_PATTERN, key)):
        raise ValueError(f"{key!r} is no idempotency key: use {KEY_WORDS}, no space at the ends")
