"""One question to a server: its answer as a struct, or the error that the engine raised there."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from stenograph.engine import NotHeld, PreconditionFailed, RunFinished, SeqNotReached, UnknownRun
from stenograph.http.shapes.messages import EventsPage
from stenograph.http.shapes.refusals import About, RequestRefused, ServerUnreachable, error_of
from stenograph.http.shapes.wire import ID_PATTERN, Problem, RunAnswer
from stenograph.journal import CursorUnknown

TIMEOUT_S: Final = 60.0
CONNECT_TIMEOUT_S: Final = 10.0

ID_WORDS: Final = "1 to 128 of a-z A-Z 0-9 . _ : -, the first a letter or digit"

A = TypeVar("A")


class Transport:
    """Connections to the server at a URL, kept while it is in use.

    A token goes to that server alone: nothing here follows a redirect.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = base_url(url)
        self.headers = {} if token is None else {"Authorization": f"Bearer {checked(token)}"}
        if self.headers and "@" in urlsplit(self.url).netloc:
            raise ValueError("give a token, or a name and password in the URL, and not both")
        # What listens on this machine is never behind a proxy, whatever the environment says.
        self.proxy = urlsplit(self.url).hostname not in ("127.0.0.1", "localhost", "::1")
        try:
            self._http = httpx.AsyncClient(
                base_url=self.url,
                headers=self.headers,
                timeout=httpx.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
                trust_env=self.proxy,
            )
        except httpx.InvalidURL as error:
            raise ValueError(f"{url!r} is no http:// or https:// address: {error}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get(
        self,
        path: str,
        kind: type[A],
        query: Mapping[str, Any] | Sequence[tuple[str, str]] | None = None,
        about: About | None = None,
    ) -> A:
        """Return what stands at a path."""
        return self._read(await self._ask("GET", path, query, None, about), kind)

    async def post(
        self,
        path: str,
        kind: type[A],
        body: bytes,
        about: About | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
    ) -> tuple[int, A]:
        """Return the status and the answer to a JSON body, which may take ``wait_s`` longer than most."""
        response = await self._ask("POST", path, query, body, about, headers, wait_s)
        return response.status_code, self._read(response, kind)

    async def pieces(
        self, path: str, about: About, query: Mapping[str, str] | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield what stands at a path as it comes, decompressed where only its way was compressed."""
        try:
            async with self._http.stream("GET", path, params=query) as response:
                if not response.is_success:
                    await response.aread()
                    raise await self.error(self._read(response, Problem), about)
                async for piece in response.aiter_bytes():
                    yield piece
        except httpx.TransportError as error:
            raise ServerUnreachable(self.url, str(error) or type(error).__name__) from error

    async def error(self, problem: Problem, about: About) -> Exception:
        """Return the error that the engine would raise, with all that it would tell."""
        error: Exception
        match problem.code:
            case "run-finished":
                run = await self.get(run_path(about.run_id), RunAnswer)
                error = RunFinished(about.run_id, run.status)
            case "not-held":
                run = await self.get(run_path(about.run_id), RunAnswer)
                error = NotHeld(about.run_id, run.status, "", "")
            case "precondition-failed":
                run = await self.get(run_path(about.run_id), RunAnswer)
                error = PreconditionFailed(about.run_id, asked=(), head=run.seq)
            case "seq-not-reached":
                run = await self.get(run_path(about.run_id), RunAnswer)
                error = SeqNotReached(about.run_id, asked=about.at, head=run.seq)
            case "cursor-unknown":
                error = CursorUnknown(after=about.after, head=await self._head(about.run_id))
            case _:
                error = error_of(problem, about)
        if not isinstance(error, RequestRefused):
            error.args = (problem.detail,)
        return error

    async def _head(self, run_id: str) -> int:
        """Return the last seq of a run, or without one the journal's last offset."""
        path = run_path(run_id, "/events") if run_id else "/journal"
        try:
            page = await self.get(path, EventsPage, {"limit": 1}, About(run_id=run_id))
        except UnknownRun:  # the cursor is of another journal, which has that run
            return 0
        return page.head

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | Sequence[tuple[str, str]] | None,
        body: bytes | None,
        about: About | None,
        headers: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
    ) -> httpx.Response:
        typed = {} if body is None else {"Content-Type": "application/json"}
        try:
            response = await self._http.request(
                method,
                path,
                content=body,
                headers={**typed, **(headers or {})},
                params=_params(query),
                timeout=httpx.Timeout(TIMEOUT_S + wait_s, connect=CONNECT_TIMEOUT_S),
            )
        except httpx.TransportError as error:
            raise ServerUnreachable(self.url, str(error) or type(error).__name__) from error
        if response.is_success:
            return response
        raise await self.error(self._read(response, Problem), about or About())

    def _read(self, response: httpx.Response, kind: type[A]) -> A:
        try:
            return msgspec.json.decode(response.content, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ServerUnreachable(self.url, "something else answers") from error


def _params(query: Mapping[str, Any] | Sequence[tuple[str, str]] | None) -> Any:
    """Return a query as httpx takes it: pairs must be a list."""
    return list(query) if isinstance(query, Sequence) else query


def run_path(run_id: str, rest: str = "") -> str:
    """Return the path of a run; raises UnknownRun for what is no run's id."""
    if not re.fullmatch(ID_PATTERN, run_id):
        raise UnknownRun(run_id)
    return f"/runs/{quote(run_id)}{rest}"


def run_id_of(text: str) -> str:
    """Return a text that may be a run's id; raises ValueError for another."""
    if not re.fullmatch(ID_PATTERN, text):
        raise ValueError(f"{text!r} is no id: write {ID_WORDS}")
    return text


def checked(token: str) -> str:
    """Return a text that may be a token; raises ValueError for another, without saying it."""
    if not re.fullmatch(r"[\x21-\x7e]{1,512}", token):
        raise ValueError(
            "the token is none: it is of visible ASCII, as steno token create prints it"
        )
    return token


def base_url(url: str) -> str:
    """Return a URL up to its path; raises ValueError for one that is not HTTP."""
    found = urlsplit(url if "://" in url else f"http://{url}")
    if found.scheme not in ("http", "https") or not found.hostname or found.port == 0:
        raise ValueError(f"{url!r} is no http:// or https:// address")
    return f"{found.scheme}://{found.netloc}{found.path}".rstrip("/")
