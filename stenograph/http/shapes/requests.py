"""What is asked over HTTP: the bodies of requests, as structs; the same words as in Python."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta, Struct

from stenograph.engine import Limits
from stenograph.http.shapes.wire import GraphId, Id, State, Tags
from stenograph.journal import ROWS, ROWS_MAX, TIME_MAX_S, TIME_S

DELAY_MAX_S: Final = 10 * 366 * 86_400
"""The longest delay of a start: ten years."""
KEY_HEADER: Final = "Idempotency-Key"
KEY_PATTERN: Final = r"[\x20-\x7e]{1,255}"
"""What an idempotency key may be: what every client and proxy passes on as it is."""
KEY_WORDS: Final = "1 to 255 letters, digits and other visible ASCII characters"

Scalar: TypeAlias = str | int | float | bool | None
Delay: TypeAlias = Annotated[
    float,
    Meta(ge=0, le=DELAY_MAX_S, description="Seconds to wait before the first node: to ten years"),
]
Reason: TypeAlias = Annotated[str, Meta(max_length=1000)]


class StartRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /runs``.

    ``input``, ``state`` and ``initial_state`` are one thing, and so are ``id`` and ``run_id``;
    give one.
    """

    graph: Annotated[
        GraphId | dict[str, Any],
        Meta(description="A graph's id, id@version, or a whole graph", examples=["code-review"]),
    ]
    input: State | None = None
    state: State | None = None
    initial_state: State | None = None
    id: Id | None = None
    run_id: Id | None = None
    delay_s: Delay = 0.0
    tags: Tags | None = None
    limits: Limits | None = None


class SqlRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /sql``: one SELECT, and the values of its ``?`` (a list) or ``:name`` (an object)."""

    sql: Annotated[str, Meta(min_length=1, max_length=100_000)]
    params: list[Scalar] | dict[str, Scalar] = []
    time_s: Annotated[
        float, Meta(gt=0, le=TIME_MAX_S, description="How long it may take, in seconds")
    ] = TIME_S
    limit: Annotated[int, Meta(ge=1, le=ROWS_MAX, description="Most rows of the answer")] = ROWS


class CancelRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /runs/{id}/cancel``; the whole body may be left out."""

    reason: Reason | None = None


class PauseRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /runs/{id}/pause``; the whole body may be left out."""

    reason: Reason | None = None


class ResumeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /runs/{id}/resume``; the whole body may be left out.

    ``result`` is for a run that is parked over a node's effects: they did happen, and this is what
    the node returned; with ``scope``, for a run alone that is parked there.
    """

    limits: Limits | None = None
    result: State | None = None
    scope: Annotated[str, Meta(max_length=1000)] | None = None


class RetryRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /runs/{id}/retry``; the whole body may be left out."""

    limits: Limits | None = None
