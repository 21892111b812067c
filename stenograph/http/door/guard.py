"""The guard: what no handler need think of. Whom a request asks and for whom, and sound bodies."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from functools import partial
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from stenograph.engine import EngineClosed, containers, duplicate_keys, nested_deeper
from stenograph.http.door.access import check_holds
from stenograph.http.errors import Refused
from stenograph.http.settings import DEFAULTS, HOST, Settings
from stenograph.http.shapes.wire import GZIP_TYPE, NDJSON_TYPE
from stenograph.http.stopping import Stopping
from stenograph.journal import AT_ONCE_BYTES, run_briefly

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CONTAINERS_MAX: Final = 65_536
"""Arrays and objects of a body: each takes far more than its two bytes. The largest graph has fewer."""
FILE_PATHS: Final = frozenset({"/runs/import", "/api/runs/import"})
LARGE_AT_ONCE: Final = 2
"""How many large bodies are taken in at a time: what is made of one takes ten times its memory."""
LARGE_S: Final = 0.5 / 2**20
"""After so long a byte the next comes in, even if the last is not answered: it may wait for a run."""
_HOST: Final = re.compile(rf"(?P<name>{HOST})(?::(?P<port>[0-9]{{1,5}}))?")
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


class Guard(ASGIMiddleware):
    """Behind the check of who asks: refuses what is too large, no JSON, or sent by another site's page."""

    def __init__(self, settings: Settings = DEFAULTS) -> None:
        self.settings = settings
        hosts = settings.hosts
        self.hosts = None if hosts is None else frozenset(each.lower() for each in hosts)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass on what is sound; raise Refused for the rest."""
        headers = Headers.from_scope(scope)
        check_host(headers, self.hosts)
        if scope.get("method") not in SAFE_METHODS:  # a WebSocket has none
            check_origin(headers, self.settings.origins)
            if scope["type"] == ScopeType.HTTP and scope["litestar_app"].state["stopping"].is_set():
                raise EngineClosed
        if takes_file(scope):
            check_file_type(headers)
        elif scope["type"] == ScopeType.HTTP and _has_body(headers):
            state = scope["litestar_app"].state
            body = await self._read(headers, receive, state["stopping"])
            if body is None:
                return  # the client left before it had sent its body
            is_small = len(body) <= AT_ONCE_BYTES
            async with nullcontext() if is_small else state["large"].one(len(body) * LARGE_S):
                if state["stopping"].is_set():
                    raise EngineClosed
                check_holds(scope)
                check = partial(check_json, headers, body, self.settings.body_depth)
                await run_briefly(check, at_once=is_small)
                await next_app(scope, _replay(body, receive), send)
            return
        await next_app(scope, receive, send)

    async def _read(self, headers: Headers, receive: Receive, stopping: Stopping) -> bytes | None:
        """Return the body, or None when the client left; raises Refused, EngineClosed."""
        try:
            async with asyncio.timeout(self.settings.body_s) as limit:
                with stopping.ends(limit):
                    return await read_body(headers, receive, self.settings.body_bytes)
        except TimeoutError:
            if stopping.is_set():
                raise EngineClosed from None
            detail = f"the body must arrive within {self.settings.body_s:g} seconds"
            raise Refused("body-timeout", detail) from None


def hosts_at(host: str) -> frozenset[str] | None:
    """Return the names that a server bound to ``host`` goes by; None when that cannot be told.

    A page of another site can let its own name lead to this machine, and its Origin is then that
    name: only who checks the name keeps it from a server that nobody else can reach.
    """
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = host.lower() == "localhost"
    own = f"[{host.partition('%')[0]}]" if ":" in host else host  # no Host names a zone
    return frozenset({"localhost", "127.0.0.1", "[::1]", own}) if local else None


def check_host(headers: Headers, hosts: Collection[str] | None = None) -> None:
    """Raise Refused for a Host that is none (URLs are made of it), or not one of ``hosts``."""
    for host in headers.getall("host", []):
        match = _HOST.fullmatch(host)
        if match is None or int(match["port"] or 0) > 65_535:
            raise Refused("bad-request", "the Host header must be a name or an address, and a port")
        if hosts is not None and match["name"].lower() not in hosts:
            detail = (
                f"this server does not go by {host[:200]!r}; ask for {' or '.join(sorted(hosts))}"
            )
            raise Refused("host-refused", detail)


def check_origin(headers: Headers, origins: Collection[str] = ()) -> None:
    """Raise Refused when a browser sends this for a page of a site that is not one of ``origins``.

    Browsers name the page's origin in each unsafe request and in each WebSocket handshake, and no
    page can change that; programs leave the header out.
    """
    host = headers.get("host", "").lower()
    for origin in headers.getall("origin", []):
        if origin not in origins and not _same_site(origin.lower(), host):
            detail = f"pages of {origin[:200]} may not do this here; only pages of {host[:200]} may"
            raise Refused("origin-refused", detail)


def takes_file(scope: Scope) -> bool:
    """Tell whether a request is read by its handler, piece by piece, as it is too large for a body."""
    return scope.get("method") == "POST" and scope["path"].rstrip("/") in FILE_PATHS


def check_file_type(headers: Mapping[str, str]) -> None:
    """Raise Refused for a file of a type that a form of another site could post, or any other."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (NDJSON_TYPE, GZIP_TYPE):
        detail = f"send an exported run as {NDJSON_TYPE}, or as {GZIP_TYPE} when it is compressed"
        raise Refused("unsupported-media-type", detail)


def check_json(headers: Mapping[str, str], body: bytes, depth: int) -> None:
    """Raise Refused unless a body, when there is one, is sound by type, encoding, depth and names.

    A form of another site can post any of the other types without asking; and a parser for nested
    text recurses, so that its depth must be known before.
    """
    if body and not _is_json(headers.get("content-type", "")):
        detail = "send the body as application/json, in UTF-8"
        raise Refused("unsupported-media-type", detail)
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise Refused("not-utf8", f"byte {error.start} of the body is not UTF-8") from None
    check_nesting(body, depth)


def check_nesting(text: bytes, depth: int) -> None:
    """Raise Refused for arrays and objects that are too deep or too many, and for names given twice."""
    if nested_deeper(text, depth):
        raise Refused(
            "too-deep", f"no more than {depth} arrays and objects may stand in each other"
        )
    if containers(text) > CONTAINERS_MAX:
        detail = f"there may be {CONTAINERS_MAX:,} arrays and objects"
        raise Refused("payload-too-large", detail)
    check_names(text)


def check_names(text: bytes) -> None:
    """Raise Refused when a name stands twice in an object: a parser would keep the last only."""
    try:
        twice = duplicate_keys(text)
    except ValueError:
        return  # no JSON, which the parser tells better
    if twice:
        where = f"{twice[0].pointer}: {twice[0].detail}"
        raise Refused("body-invalid", where, twice)


async def read_body(headers: Mapping[str, str], receive: Receive, most: int) -> bytes | None:
    """Return the body, or None when the client left; raises Refused as soon as it is too large."""
    announced = headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most:
        raise _too_large(most)
    chunks: list[bytes] = []
    size = 0
    while True:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > most:
            raise _too_large(most)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _too_large(most: int) -> Refused:
    return Refused("payload-too-large", f"a body may have {most:,} bytes")


def _has_body(headers: Mapping[str, str]) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives the body whole, and then what comes after it."""
    messages: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Any:
        return messages.pop() if messages else await receive()

    return replay


def _is_json(content_type: str) -> bool:
    kind, *parameters = content_type.lower().split(";")
    pairs = (each.partition("=") for each in parameters)
    charsets = [value.strip(' "') for name, _, value in pairs if name.strip() == "charset"]
    return kind.strip() == "application/json" and set(charsets) <= {"utf-8", "utf8"}


def _same_site(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None:
        return False
    return parts.netloc.removesuffix(default) == host.removesuffix(default)
