"""Options that leave events out: by their type and node, in the whole journal also by their run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import click
from msgspec import Struct

from stenograph.cli.values import tag_of

F = TypeVar("F", bound=Callable[..., Any])


class Only(Struct, frozen=True):
    """Which events are wanted; what is empty asks nothing."""

    types: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    graphs: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> list[str]:
        """As they stand on a command line."""
        tags = (f"{name}={value}" for name, value in self.tags)
        asked = {"type": self.types, "node": self.nodes, "graph": self.graphs, "tag": tags}
        return [
            word for name, each in asked.items() for value in each for word in (f"--{name}", value)
        ]


ALL: Final = Only()


def event_options(command: F) -> F:
    """Let a command take which events of a run it is to print."""
    for option in (NODE, TYPE):
        command = option(command)
    return command


def run_options(command: F) -> F:
    """Let a command take in which runs those events are, too."""
    for option in (TAG, GRAPH):
        command = option(command)
    return event_options(command)


def only(
    types: Iterable[str], nodes: Iterable[str], graphs: Iterable[str] = (), tags: Iterable[str] = ()
) -> Only:
    """Return what the options say; raises UsageError for a tag that is none."""
    return Only(tuple(types), tuple(nodes), tuple(graphs), tuple(map(tag_of, tags)))


TYPE: Final = click.option(
    "--type",
    "types",
    metavar="TYPE",
    multiple=True,
    help="Only events of this type, or of all that begin so: node.*; again for more.",
)
NODE: Final = click.option(
    "--node",
    "nodes",
    metavar="NODE",
    multiple=True,
    help="Only events about this node; again for more.",
)
GRAPH: Final = click.option(
    "--graph",
    "graphs",
    metavar="ID",
    multiple=True,
    help="With --all: only events in runs of this graph; again for more.",
)
TAG: Final = click.option(
    "--tag",
    "tags",
    metavar="NAME=VALUE",
    multiple=True,
    help="With --all: only events in runs with this tag; several must all be there.",
)
