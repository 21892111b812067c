"""Bounds: how much an engine takes of what it is given, for all graphs and runs."""

from __future__ import annotations

from typing import Annotated, Any, Final, get_args, get_type_hints

from msgspec import Meta, Struct


class Bounds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an engine takes at most. Of what is stored already nothing is refused for being larger.

    Each field says what it bounds; ``extra`` of its Meta has the unit, and what comes beyond.
    """

    nodes: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="Nodes of a graph when it is created.",
            extra={"unit": "nodes", "beyond": "422 `graph-invalid`"},
        ),
    ] = 1000
    edges: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Edges of a node when its graph is created.",
            extra={"unit": "edges", "beyond": "422 `graph-invalid`"},
        ),
    ] = 100
    expression_chars: Annotated[
        int,
        Meta(
            ge=16,
            le=20_000,
            description="Length of a condition when its graph is created.",
            extra={"unit": "characters", "beyond": "422 `graph-invalid`"},
        ),
    ] = 2000
    state_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            le=16 * 1024 * 1024,
            description="A state as JSON; only what makes it larger is refused.",
            extra={"unit": "bytes", "beyond": "the node's error `state-too-large`; at a start 413"},
        ),
    ] = 4 * 1024 * 1024
    event_bytes: Annotated[
        int,
        Meta(
            ge=4096,
            le=2 * 1024 * 1024,
            description="What is given for one event: a graph, a start but for its graph, a signal, and"
            " 31/32 of it a first state or one step's change.",
            extra={
                "unit": "bytes",
                "beyond": "413 `payload-too-large` or `state-too-large`; of a step the node's error"
                " `state-too-large`",
            },
        ),
    ] = 2 * 1024 * 1024
    run_events: Annotated[
        int,
        Meta(
            ge=10,
            le=1_000_000_000,
            description="Events of a run, after which it enters no more nodes.",
            extra={
                "unit": "events",
                "beyond": "the run parks (`limit`); to resume it is 409 `run-too-long`",
            },
        ),
    ] = 10_000_000
    runs_in_flight: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Runs that have something to do now; others than starts always go on.",
            extra={"unit": "runs", "beyond": "429 `too-many-runs`"},
        ),
    ] = 10_000

    @property
    def change_bytes(self) -> int:
        """How much a first state may have, and one step may change: an event, but for its frame."""
        return self.event_bytes - self.event_bytes // 32


BOUNDS: Final = Bounds()
"""The bounds of an engine that is told none."""


def ranges(kind: type[Struct]) -> dict[str, Meta]:
    """Return what is said of each field that has something said of it."""
    hints = get_type_hints(kind, include_extras=True)
    annotated = {name: get_args(hint)[1:] for name, hint in hints.items()}
    return {name: each[0] for name, each in annotated.items() if each and isinstance(each[0], Meta)}


_LARGEST: Final[dict[str, Any]] = {name: meta.le for name, meta in ranges(Bounds).items()}
WIDEST: Final = Bounds(**_LARGEST)
"""The largest that may be asked for: for what some engine has taken already."""
