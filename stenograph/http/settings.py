"""Settings: all that a server is told of whom it serves, how much it takes, and what it shows."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from stenograph.engine import Bounds

HOST: Final = r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+"
"""One name or address, as it stands in ``Host`` before the port; never a pattern."""
ORIGIN: Final = r"https?://(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
"""One site, as browsers name it in ``Origin``; never a pattern, and never all of them."""


class CannotTrace(Exception):
    """Spans are to be made, and what makes them is not installed; the message says what to do."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a server is told; ``bounds`` are its engine's.

    Each field says what it is; ``extra`` of its Meta has the unit, what comes beyond, and the
    default of ``steno serve`` in words where that is found out at the start.
    """

    hosts: Annotated[
        frozenset[str] | None,
        Meta(
            description="Names, without ports, that requests may ask for in Host.",
            extra={
                "beyond": "421 `host-refused`",
                "default": "the names of a host that only this machine reaches, else any",
            },
        ),
    ] = None
    origins: Annotated[
        frozenset[str],
        Meta(
            description="Other sites whose pages may ask here, as https://example.org.",
            extra={"beyond": "403 `origin-refused`"},
        ),
    ] = frozenset()
    tokens: Annotated[
        str | None,
        Meta(
            description="The file with the hashes of tokens; without one nobody needs a token.",
            extra={"unit": "file"},
        ),
    ] = None
    sql: Annotated[
        bool,
        Meta(
            description="Whether POST /sql answers.",
            extra={
                "beyond": "403 `sql-off`",
                "default": "true where only this machine reaches the host",
            },
        ),
    ] = True

    body_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            le=16 * 1024 * 1024,
            description="A body, and the first message of a socket that starts a run.",
            extra={"unit": "bytes", "beyond": "413 `payload-too-large`; a socket closes with 1009"},
        ),
    ] = 1024 * 1024
    body_depth: Annotated[
        int,
        Meta(
            ge=4,
            le=64,
            description="How deep the arrays and objects of a body may nest.",
            extra={"unit": "levels", "beyond": "400 `too-deep`"},
        ),
    ] = 32
    connections: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Connections at a time.",
            extra={
                "unit": "connections",
                "beyond": "503 `too-many-connections`",
                "default": "what the files fit that may be open, at most 12,000",
            },
        ),
    ] = 900
    subscribers: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Sockets and streams among the connections.",
            extra={
                "unit": "subscribers",
                "beyond": "503 `too-many-subscribers`; a socket closes with 1013",
                "default": "10,000, at most 9 of 10 connections",
            },
        ),
    ] = 10_000
    request_rate: Annotated[
        float,
        Meta(
            ge=0,
            le=1_000_000,
            description="Requests a second for each token; 0: as many as come.",
            extra={"unit": "requests a second", "beyond": "429 `rate-limited`"},
        ),
    ] = 0
    request_burst: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Requests at once, where there is a rate.",
            extra={"unit": "requests", "beyond": "429 `rate-limited`"},
        ),
    ] = 100

    head_s: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="How long the head of a request may take to come.",
            extra={"unit": "seconds", "beyond": "408 `head-timeout`; who sent nothing is left"},
        ),
    ] = 10.0
    body_s: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="How long its body may take.",
            extra={"unit": "seconds", "beyond": "408 `body-timeout`"},
        ),
    ] = 30.0
    send_s: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="How long a client may take none of what it is sent.",
            extra={
                "unit": "seconds",
                "beyond": "a stream ends; a socket closes with 1013 and its cursor",
            },
        ),
    ] = 30.0
    stop_s: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="How long clients may take to leave when the server stops.",
            extra={"unit": "seconds", "beyond": "the connection is closed"},
        ),
    ] = 5.0

    metrics: Annotated[bool, Meta(description="Whether there is /metrics.")] = True
    tracing: Annotated[bool, Meta(description="Whether traces go to OpenTelemetry.")] = False
    log_format: Annotated[
        Literal["text", "json"], Meta(description="How the server's log is written.")
    ] = "text"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="What goes into the log.")
    ] = "warning"

    bounds: Bounds = Bounds()

    def __post_init__(self) -> None:
        """Raise ValueError for a host or an origin that no browser would ever send."""
        for host in self.hosts or ():
            if not re.fullmatch(HOST, host):
                raise ValueError(
                    f"{host!r} is no name of a host: write it without a scheme, port or pattern, "
                    "an address of IPv6 in brackets: example.org, [::1]"
                )
        for origin in self.origins:
            if not re.fullmatch(ORIGIN, origin):
                raise ValueError(
                    f"{origin!r} is no origin: write scheme, host and port as a browser sends them, "
                    "in small letters: https://example.org"
                )


DEFAULTS = Settings()
