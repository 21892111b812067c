"""Bounds: how much an engine takes of what it is given, for all graphs and runs."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Bounds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an engine takes at most. Of what is stored already nothing is refused for being larger.

    ``nodes`` of a graph and ``edges`` of a node; ``expression_chars`` of a condition;
    ``state_bytes`` of a state and ``event_bytes`` of an event, as JSON; ``run_events``, after which
    a run parks; ``runs_in_flight``, beyond which none is begun: those with something to do now.
    """

    nodes: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    edges: Annotated[int, Meta(ge=1, le=10_000)] = 100
    expression_chars: Annotated[int, Meta(ge=1, le=20_000)] = 2000
    state_bytes: Annotated[int, Meta(ge=1024, le=16 * 1024 * 1024)] = 4 * 1024 * 1024
    event_bytes: Annotated[int, Meta(ge=4096, le=2 * 1024 * 1024)] = 2 * 1024 * 1024
    run_events: Annotated[int, Meta(ge=100, le=1_000_000_000)] = 10_000_000
    runs_in_flight: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
