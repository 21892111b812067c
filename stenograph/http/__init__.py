"""The HTTP room: translates requests into engine calls, and journal records into streams.

Its parts are fetched when they are first asked for: a client needs no server, and a server takes
half a second to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stenograph.http.app import create_app
    from stenograph.http.client import Client, Validation
    from stenograph.http.escapes import printable
    from stenograph.http.evidence_wire import VerifyAnswer
    from stenograph.http.guard import hosts_at
    from stenograph.http.logs import configure_logs
    from stenograph.http.playback import Playback, played_pages
    from stenograph.http.refusals import (
        ClientClosed,
        ClientError,
        OutOfSequence,
        RequestRefused,
        ServerUnreachable,
        StreamLost,
    )
    from stenograph.http.server import PortInUse, serve
    from stenograph.http.settings import CannotTrace, Settings
    from stenograph.http.sifting import Belongings, Sieve
    from stenograph.http.sync_client import SyncClient
    from stenograph.http.tokens import (
        Token,
        TokensRefused,
        create_token,
        read_tokens,
        revoke_token,
    )
    from stenograph.http.transport import run_id_of
    from stenograph.http.wire import (
        DONE,
        GraphList,
        GraphVersionItem,
        Problem,
        RunItem,
        RunList,
        SqlAnswer,
    )

_HOMES = {
    "DONE": "stenograph.http.wire",
    "CannotTrace": "stenograph.http.settings",
    "Belongings": "stenograph.http.sifting",
    "configure_logs": "stenograph.http.logs",
    "Client": "stenograph.http.client",
    "ClientClosed": "stenograph.http.refusals",
    "ClientError": "stenograph.http.refusals",
    "GraphList": "stenograph.http.wire",
    "GraphVersionItem": "stenograph.http.wire",
    "OutOfSequence": "stenograph.http.refusals",
    "Playback": "stenograph.http.playback",
    "PortInUse": "stenograph.http.server",
    "Problem": "stenograph.http.wire",
    "RequestRefused": "stenograph.http.refusals",
    "RunItem": "stenograph.http.wire",
    "RunList": "stenograph.http.wire",
    "ServerUnreachable": "stenograph.http.refusals",
    "Settings": "stenograph.http.settings",
    "Sieve": "stenograph.http.sifting",
    "SqlAnswer": "stenograph.http.wire",
    "StreamLost": "stenograph.http.refusals",
    "SyncClient": "stenograph.http.sync_client",
    "Token": "stenograph.http.tokens",
    "TokensRefused": "stenograph.http.tokens",
    "Validation": "stenograph.http.client",
    "VerifyAnswer": "stenograph.http.evidence_wire",
    "create_app": "stenograph.http.app",
    "create_token": "stenograph.http.tokens",
    "hosts_at": "stenograph.http.guard",
    "played_pages": "stenograph.http.playback",
    "printable": "stenograph.http.escapes",
    "read_tokens": "stenograph.http.tokens",
    "revoke_token": "stenograph.http.tokens",
    "run_id_of": "stenograph.http.transport",
    "run_item": "stenograph.http.views",
    "serve": "stenograph.http.server",
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
