"""Trace ids: how a run and each of its attempts are called in a distributed trace (W3C Trace Context).

An attempt's span id follows from where it stands. So a tool can hand it on before anybody has made
the span, and whoever makes it later, after a restart too, calls it the same.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct

TRACEPARENT: Final = r"^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?!\n)$"
Traceparent: TypeAlias = Annotated[str, Meta(pattern=TRACEPARENT)]
SAMPLED: Final = "01"

_SENT: Final = re.compile(
    r"(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)


class Trace(Struct, frozen=True):
    """The trace that a run is in: its id, the flags, and the span that the run was begun in, if any."""

    trace_id: str
    parent_id: str | None
    flags: str


def sane_traceparent(sent: str) -> str | None:
    """Return a ``traceparent`` as it can be kept, in version 00, or None for what is none."""
    match = _SENT.fullmatch(sent.strip())
    if match is None or (match[1] == "00" and match[5]):
        return None
    return f"00-{match[2]}-{match[3]}-{match[4]}"


def trace_of(run_id: str, traceparent: str | None) -> Trace:
    """Return the trace of a run: that in which it was begun, or one of its own."""
    if traceparent is None:
        return Trace(_hex("trace", run_id)[:32], None, SAMPLED)
    _, trace_id, parent_id, flags = traceparent.split("-")
    return Trace(trace_id, parent_id, flags)


def run_span_id(run_id: str, seq: int = 1) -> str:
    """Return the id of the span of a run, or of what follows the retry at a ``seq``."""
    return _hex("run", run_id, str(seq))[:16]


def attempt_span_id(run_id: str, scope: str, node: str, visit: int, attempt: int) -> str:
    """Return the id of the span of an attempt at a node."""
    return _hex("attempt", run_id, scope, node, str(visit), str(attempt))[:16]


def _hex(*words: str) -> str:
    return sha256("\0".join(words).encode(errors="replace")).hexdigest()
