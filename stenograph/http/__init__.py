"""The HTTP room: translates requests into engine calls, and journal records into streams.

Its parts are fetched when they are first asked for: a client needs no server, and a server takes
half a second to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stenograph.http.app import create_app
    from stenograph.http.client.client import Client, Validation
    from stenograph.http.client.sync_client import SyncClient
    from stenograph.http.client.transport import run_id_of
    from stenograph.http.door.guard import hosts_at
    from stenograph.http.door.tokens import (
        Token,
        TokensRefused,
        create_token,
        read_tokens,
        revoke_token,
    )
    from stenograph.http.escapes import printable
    from stenograph.http.serving.server import PortInUse, serve
    from stenograph.http.settings import CannotTrace, Settings
    from stenograph.http.shapes.evidence_wire import VerifyAnswer
    from stenograph.http.shapes.refusals import (
        ClientClosed,
        ClientError,
        OutOfSequence,
        RequestRefused,
        ServerUnreachable,
        StreamLost,
    )
    from stenograph.http.shapes.wire import (
        DONE,
        GraphList,
        GraphVersionItem,
        Problem,
        RunItem,
        RunList,
        SqlAnswer,
    )
    from stenograph.http.streaming.playback import Playback, played_pages
    from stenograph.http.streaming.sifting import Belongings, Sieve
    from stenograph.http.watch.logs import configure_logs

_HOMES = {
    "DONE": "stenograph.http.shapes.wire",
    "CannotTrace": "stenograph.http.settings",
    "Belongings": "stenograph.http.streaming.sifting",
    "configure_logs": "stenograph.http.watch.logs",
    "Client": "stenograph.http.client.client",
    "ClientClosed": "stenograph.http.shapes.refusals",
    "ClientError": "stenograph.http.shapes.refusals",
    "GraphList": "stenograph.http.shapes.wire",
    "GraphVersionItem": "stenograph.http.shapes.wire",
    "OutOfSequence": "stenograph.http.shapes.refusals",
    "Playback": "stenograph.http.streaming.playback",
    "PortInUse": "stenograph.http.serving.server",
    "Problem": "stenograph.http.shapes.wire",
    "RequestRefused": "stenograph.http.shapes.refusals",
    "RunItem": "stenograph.http.shapes.wire",
    "RunList": "stenograph.http.shapes.wire",
    "ServerUnreachable": "stenograph.http.shapes.refusals",
    "Settings": "stenograph.http.settings",
    "Sieve": "stenograph.http.streaming.sifting",
    "SqlAnswer": "stenograph.http.shapes.wire",
    "StreamLost": "stenograph.http.shapes.refusals",
    "SyncClient": "stenograph.http.client.sync_client",
    "Token": "stenograph.http.door.tokens",
    "TokensRefused": "stenograph.http.door.tokens",
    "Validation": "stenograph.http.client.client",
    "VerifyAnswer": "stenograph.http.shapes.evidence_wire",
    "create_app": "stenograph.http.app",
    "create_token": "stenograph.http.door.tokens",
    "hosts_at": "stenograph.http.door.guard",
    "played_pages": "stenograph.http.streaming.playback",
    "printable": "stenograph.http.escapes",
    "read_tokens": "stenograph.http.door.tokens",
    "revoke_token": "stenograph.http.door.tokens",
    "run_id_of": "stenograph.http.client.transport",
    "run_item": "stenograph.http.shapes.views",
    "serve": "stenograph.http.serving.server",
}

__all__ = (
    "DONE",
    "Belongings",
    "CannotTrace",
    "Client",
    "ClientClosed",
    "ClientError",
    "GraphList",
    "GraphVersionItem",
    "OutOfSequence",
    "Playback",
    "PortInUse",
    "Problem",
    "RequestRefused",
    "RunItem",
    "RunList",
    "ServerUnreachable",
    "Settings",
    "Sieve",
    "SqlAnswer",
    "StreamLost",
    "SyncClient",
    "Token",
    "TokensRefused",
    "Validation",
    "VerifyAnswer",
    "configure_logs",
    "create_app",
    "create_token",
    "hosts_at",
    "played_pages",
    "printable",
    "read_tokens",
    "revoke_token",
    "run_id_of",
    "run_item",
    "serve",
)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
