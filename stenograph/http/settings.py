"""Settings: all that a server is told of whom it serves, how much it takes, and what it shows."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from stenograph.engine import Bounds

ORIGIN: Final = r"https?://(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
"""One site, as browsers name it in ``Origin``; never a pattern, and never all of them."""


class CannotTrace(Exception):
    """Spans are to be made, and what makes them is not installed; the message says what to do."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a server is told; ``bounds`` are its engine's.

    Whom it serves: ``hosts`` are the names, without ports, that requests may ask for in ``Host``
    (None: any); ``origins`` are other sites whose pages may ask here, as ``https://example.org``;
    ``tokens`` is the file with the hashes of tokens (None: nobody needs one). ``sql``: whether
    ``POST /sql`` answers.

    How much it takes: ``body_bytes`` and ``body_depth`` of a body or a first message;
    ``connections`` at a time, of which ``subscribers`` may be sockets and streams; ``request_rate``
    a second for each token, and ``request_burst`` at once (0: as many as come).

    For how long it waits, in seconds: ``head_s`` for the head of a request, ``body_s`` for its
    body, ``send_s`` for a client to take what it is sent, ``stop_s`` for clients at the end.

    What it shows: ``metrics`` at ``/metrics``, ``tracing`` by OpenTelemetry, and how it logs.
    """

    hosts: frozenset[str] | None = None
    origins: frozenset[str] = frozenset()
    tokens: str | None = None
    sql: bool = True

    body_bytes: Annotated[int, Meta(ge=1024, le=16 * 1024 * 1024)] = 1024 * 1024
    body_depth: Annotated[int, Meta(ge=4, le=64)] = 32
    connections: Annotated[int, Meta(ge=1, le=1_000_000)] = 900
    subscribers: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    request_rate: Annotated[float, Meta(ge=0, le=1_000_000)] = 0
    request_burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 100

    head_s: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    body_s: Annotated[float, Meta(gt=0, le=3600)] = 30.0
    send_s: Annotated[float, Meta(gt=0, le=3600)] = 30.0
    stop_s: Annotated[float, Meta(gt=0, le=3600)] = 5.0

    metrics: bool = True
    tracing: bool = False
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "warning"

    bounds: Bounds = Bounds()

    def __post_init__(self) -> None:
        """Raise ValueError for an origin that no browser would ever send."""
        for origin in self.origins:
            if not re.fullmatch(ORIGIN, origin):
                raise ValueError(
                    f"{origin!r} is no origin: write scheme, host and port as a browser sends them, "
                    "in small letters: https://example.org"
                )


DEFAULTS = Settings()
