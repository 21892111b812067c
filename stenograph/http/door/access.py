"""Access: who asks, whether they may, and whether not too often."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from copy import copy
from functools import partial
from ipaddress import ip_address
from math import ceil
from typing import Any, Final

import msgspec
from litestar import WebSocket
from litestar.connection import ASGIConnection
from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.exceptions import WebSocketDisconnect
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.openapi.spec import SecurityRequirement
from litestar.types import ASGIApp, Message, Receive, Send
from litestar.types import Scope as Connection

from stenograph.http.door.known_tokens import KnownTokens
from stenograph.http.door.rate import Buckets
from stenograph.http.door.tokens import Token
from stenograph.http.errors import Refused, problem_of
from stenograph.http.settings import Settings
from stenograph.http.shapes.wire import CLOSE_OURS, PROBLEM_TYPE

ACTOR: Final = "http"
"""Who asked, in events, where nobody needs a token."""
SUBPROTOCOL: Final = "stenograph"
CARRIER: Final = "bearer."
"""Before a token among the subprotocols of a WebSocket: a browser can set no other header."""
CHALLENGE: Final = 'Bearer realm="stenograph"'
POLICY: Final = "requests"
_IN_QUERY: Final = re.compile(
    rb"(?:^|&)(?:access_token|bearer|token)=|steno(?:_|%5[Ff])[0-9a-f]{12}"
)
_WITHOUT: Final = "admin"
"""What a handler needs that does not say what it needs: that is forgotten, and never meant."""


class Access(ASGIMiddleware):
    """First in line: who may not ask has no body read and nothing looked up for it."""

    def __init__(
        self,
        tokens: KnownTokens | None,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tokens, self._clock = tokens, clock
        rate, burst = settings.request_rate, settings.request_burst
        self.buckets = Buckets(rate, burst) if rate else None

    async def handle(
        self, scope: Connection, receive: Receive, send: Send, next_app: ASGIApp
    ) -> None:
        """Pass on who may ask; raise Refused for others, or answer their handshake."""
        try:
            token = self.admitted(scope)
            if token is not None and self.tokens is not None:
                scope["user"], scope["auth"] = token.name, token
                if scope["type"] == ScopeType.WEBSOCKET:
                    send = _while(partial(self.tokens.holds, token), send)
            await next_app(scope, receive, send)
        except Refused as error:
            if scope["type"] != ScopeType.WEBSOCKET:
                raise
            await refuse_handshake(scope, send, error)

    def admitted(self, scope: Connection) -> Token | None:
        """Return the token of who asks, if there is one; raises Refused for who may not ask."""
        needs = scope["route_handler"].opt.get("needs", _WITHOUT)
        if scope["query_string"] and _IN_QUERY.search(scope["query_string"]):
            scope["query_string"] = b""  # so that nothing behind this can write it down
            raise _token_in_query()
        if needs is None or scope.get("method") == "OPTIONS":  # tells what there is, and no more
            return self._known(scope)
        if self.tokens is None:
            self._draw(_address(scope))
            return None
        try:
            token = self._token(self.tokens, scope)
        except Refused:
            self._draw(_address(scope))
            raise
        self._draw(token.id)
        if needs not in token.scopes:
            raise _scope_missing(token, needs)
        return token

    def _known(self, scope: Connection) -> Token | None:
        """Return the token of who asks for what everybody may, if it is good."""
        try:
            return self._token(self.tokens, scope) if self.tokens is not None else None
        except Refused:
            return None

    @staticmethod
    def _token(tokens: KnownTokens, scope: Connection) -> Token:
        """Return the token that comes with a request; raises Refused when none does, or no good one."""
        text = _text_of(scope)
        if text is None:
            detail = "this needs a token: send the header Authorization: Bearer <token>"
            raise Refused("token-missing", detail, headers={"WWW-Authenticate": CHALLENGE})
        token = tokens.find(text)
        if token is None:
            raise _token_invalid("this is no token that is known here, or it was revoked")
        if token.has_expired(tokens.now()):
            raise _token_invalid(f"the token {token.name} has expired; have another one made")
        return token

    def _draw(self, who: str) -> None:
        """Count a request; raises Refused when there are too many."""
        if self.buckets is None:
            return
        wait_s = self.buckets.draw(who, self._clock())
        if wait_s:
            rate, burst = self.buckets.rate, self.buckets.burst
            detail = f"{burst:,} requests may come at once, and {rate:g} more a second"
            headers = {
                "Retry-After": str(ceil(wait_s)),
                "RateLimit-Policy": f'"{POLICY}";q={burst};w={ceil(burst / rate)}',
                "RateLimit": f'"{POLICY}";r=0;t={ceil(wait_s)}',
            }
            raise Refused("rate-limited", detail, headers=headers)


def _while(may: Callable[[], bool], send: Send) -> Send:
    """Return the ``send`` of a socket that is closed once who listens no longer may."""

    async def send_while(message: Message) -> None:
        if message["type"] == "websocket.send" and not may():
            reason = "the token was revoked, or has expired"
            await send({"type": "websocket.close", "code": CLOSE_OURS + 401, "reason": reason})
            raise WebSocketDisconnect(detail=reason, code=CLOSE_OURS + 401)
        await send(message)

    return send_while


def actor_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Return who asks, as events name them: the token's name, or ``http`` where there is none."""
    return connection.scope.get("user") or ACTOR


def may_read(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Tell whether who asks for what everybody may could also ask for what needs ``read``."""
    token: Token | None = connection.scope.get("auth")
    return connection.app.state["tokens"] is None or (token is not None and "read" in token.scopes)


def still_may(connection: ASGIConnection[Any, Any, Any, Any]) -> Callable[[], bool]:
    """Return what tells, as often as it is asked, whether the token of a connection still holds."""
    tokens: KnownTokens | None = connection.app.state["tokens"]
    token: Token | None = connection.scope.get("auth")
    if tokens is None or token is None:
        return lambda: True
    return lambda: tokens.holds(token)


def check_holds(scope: Connection) -> None:
    """Raise Refused once a token no longer holds: to be asked after whatever may have taken a while.

    A body, a first message, or what a client waits for may come long after the request was let in.
    """
    token = scope.get("auth")
    tokens: KnownTokens | None = scope["litestar_app"].state["tokens"]
    if token is not None and tokens is not None and not tokens.holds(token):
        raise _token_invalid("this token was revoked, or has expired, in the meantime")


def audience_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Return for whom a cache may keep an answer: for everybody only where everybody may ask."""
    return "public" if connection.app.state["tokens"] is None else "private"


def subprotocol_of(socket: WebSocket[Any, Any, Any]) -> str | None:
    """Return what to answer a handshake that offers subprotocols: never the one with a token."""
    return SUBPROTOCOL if SUBPROTOCOL in socket.scope["subprotocols"] else None


def secured(handler: BaseRouteHandler, *, by_token: bool) -> BaseRouteHandler:
    """Return a handler whose description tells what it needs, and where nobody needs a token that."""
    if not isinstance(handler, HTTPRouteHandler):
        return handler  # what describes the API knows of no sockets
    handler = copy(handler)
    needs = handler.opt.get("needs", _WITHOUT)
    anybody: list[SecurityRequirement] = [] if by_token and needs else [{}]
    handler.security = [*anybody, {"token": [needs] if needs else []}]
    return handler


async def refuse_handshake(scope: Connection, send: Send, error: Refused) -> None:
    """Answer a WebSocket's handshake with a problem, or where the server cannot, close it."""
    problem = problem_of(error, scope["path"])
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send(
            {
                "type": "websocket.close",
                "code": CLOSE_OURS + problem.status,
                "reason": problem.title,
            }
        )
        return
    headers = {"Content-Type": PROBLEM_TYPE, **error.headers}
    start: Any = {
        "type": "websocket.http.response.start",
        "status": problem.status,
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    body: Any = {"type": "websocket.http.response.body", "body": msgspec.json.encode(problem)}
    await send(start)
    await send(body)


def _text_of(scope: Connection) -> str | None:
    """Return the token that comes with a request; raises Refused for more than one."""
    given = Headers.from_scope(scope).getall("authorization", [])
    found = [rest.strip() for kind, _, rest in (each.partition(" ") for each in given)
             if kind.lower() == "bearer"]  # fmt: skip
    offered: Any = scope.get("subprotocols", ())
    for each in offered:
        if each.startswith(CARRIER):
            found.append(each.removeprefix(CARRIER))
    if len(found) > 1:
        raise _token_invalid("more than one token came; send one")
    return found[0] if found else None


def _token_invalid(detail: str) -> Refused:
    challenge = f'{CHALLENGE}, error="invalid_token", error_description="{detail}"'
    return Refused("token-invalid", detail, headers={"WWW-Authenticate": challenge})


def _scope_missing(token: Token, needs: str) -> Refused:
    detail = (
        f"this needs the scope {needs}, and the token {token.name} has {', '.join(token.scopes)}"
    )
    challenge = f'{CHALLENGE}, error="insufficient_scope", scope="{needs}"'
    return Refused("scope-missing", detail, headers={"WWW-Authenticate": challenge})


def _token_in_query() -> Refused:
    detail = (
        "a token never goes into a URL, which is kept in logs and histories: revoke it if it was one,"
        " and send the next as Authorization: Bearer <token>, or a WebSocket's as the subprotocol"
        " bearer.<token> beside stenograph"
    )
    challenge = f'{CHALLENGE}, error="invalid_request"'
    return Refused("token-in-query", detail, headers={"WWW-Authenticate": challenge})


def _address(scope: Connection) -> str:
    """Return whose requests are counted where no token tells: an address, of IPv6 its network.

    Only the address of the connection: what a header says of it, anybody can write.
    """
    client = scope.get("client")
    host = client[0] if client else ""
    if ":" not in host:
        return host
    try:
        return f"{int(ip_address(host.partition('%')[0])) >> 64:x}::/64"
    except ValueError:
        return host
