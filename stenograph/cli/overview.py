"""A run up to some event, from its records: what became of each node, and who wrote each key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from stenograph.cli.rows import target

if TYPE_CHECKING:
    from stenograph.journal import Record


class NodeLine(Struct):
    """The last that is known of a node."""

    status: str
    visits: int
    attempt: int
    duration_ms: float | None = None


class Overview:
    """Reads records in order. As rows do, it passes over what a later version may have added."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeLine] = {}
        self.writers: dict[str, tuple[str, int]] = {}
        """The node that wrote a key last, and by which event."""
        self.at = ""

    def add(self, record: Record) -> None:
        """Take in the next record."""
        self.at = record.at
        data = msgspec.json.decode(record.data)
        match record.type:
            case "run.created":
                self.writers = dict.fromkeys(data.get("state", {}), ("start", record.seq))
            case "node.entered":
                self.nodes[place(data)] = NodeLine("running", data["visit"], data["attempt"])
            case "node.attempt_failed":
                self.nodes[place(data)].status = "retrying"
            case "node.exited":
                node = self.nodes[place(data)]
                node.status, node.duration_ms = data["outcome"], data.get("duration_ms", 0.0)
            case "state.patched" if data["scope"] == "/":
                for op in data["patch"]:
                    self.writers[target(op["path"])[0]] = (data["node"], record.seq)
            case "run.completed" | "run.failed" | "run.cancelled":
                self._end()
            case _:
                pass

    def _end(self) -> None:
        for node in self.nodes.values():
            if node.status in ("running", "retrying"):
                node.status = "interrupted"


def place(data: dict[str, Any]) -> str:
    """Return a node's name, with its scope unless that is the run itself."""
    return f"{data['scope'].removeprefix('/')}{data['node']}"
