"""uvicorn's configuration, with the two protocols that a connection may have here."""

from __future__ import annotations

from typing import Any

import uvicorn

from stenograph.http.serving.http_protocol import HEAD_MAX_BYTES, HttpProtocol
from stenograph.http.serving.socket_protocol import SocketProtocol
from stenograph.http.serving.throttle import Intake
from stenograph.http.settings import Settings
from stenograph.http.streaming.subscribers import Subscribers


class ServerConfig(uvicorn.Config):
    """uvicorn's configuration, and what our protocols are told besides."""

    def __init__(
        self, app: Any, settings: Settings, subscribers: Subscribers, **named: Any
    ) -> None:
        super().__init__(
            app,
            http=HttpProtocol,  # of h11: httptools, taken where it is installed, bounds no header
            ws=SocketProtocol,
            h11_max_incomplete_event_size=HEAD_MAX_BYTES,
            **named,
        )
        self.settings, self.subscribers = settings, subscribers
        self.intake = Intake()
        self.is_stopping = False  # and all that are connected have been told
