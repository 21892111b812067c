"""A run up to some event, from its records: what became of each node, and who wrote each key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stenograph.cli.places import ROOT, around, called_from, forked_from, like
from stenograph.cli.resting import Parking
from stenograph.cli.rows import target

if TYPE_CHECKING:
    from stenograph.journal import Record

ALIKE_MAX: Final = 6
"""How many branches have a line of their own for a node; those of more are told together."""
LIVE: Final = ("running", "waiting", "retrying")
"""The statuses of a visit that is not over, the one that tells most last."""
OF_PHASE: Final = {
    "running": "running", "calling": "running", "waiting": "waiting", "backing-off": "retrying",
    "interrupted": "interrupted", "stopped": "interrupted",
}  # fmt: skip
"""The status of the visit at which a fork found a scope; of one in another phase it is over."""


class NodeLine(Struct):
    """The last that is known of a node in a scope; of one in many branches, ``statuses`` counts them."""

    scope: str
    node: str
    status: str
    visits: int
    attempt: int
    duration_ms: float | None = None
    statuses: dict[str, int] = {}


class ForkLine(Struct):
    """A fork whose branches have not joined."""

    scope: str
    node: str
    count: int
    join: str
    ended: set[str] = set()


class Migration(NamedTuple):
    """Which event had the run go on in another graph, who wanted it, and what it was before."""

    seq: int
    actor: str
    graph: str


class Overview:
    """Reads records in order. As rows do, it passes over what a later version may have added."""

    def __init__(self) -> None:
        self.writers: dict[str, tuple[str, int]] = {}
        """The node that wrote a key last, or how the run began with it, and by which event."""
        self.parking = Parking()
        self.at = ""
        self.migrations: list[Migration] = []
        self.graph = ""
        """The graph that the run is in, and the beginning of its version."""
        self._nodes: dict[tuple[str, str], NodeLine] = {}
        self._forks: dict[str, ForkLine] = {}
        self._over: set[str] = set()
        """Scopes that ended, whatever still ran in them."""
        self._ended = False

    def add(self, record: Record) -> None:
        """Take in the next record."""
        self.at = record.at
        self.parking.note(record)
        data = msgspec.json.decode(record.data)
        match record.type:
            case "run.created":
                self._create(record.seq, data)
            case "state.patched" if data["scope"] == ROOT:
                self._write(data["node"], record.seq, data["patch"])
            case "run.completed" | "run.failed" | "run.cancelled":
                self._ended = True
            case "run.retried":
                self._ended = False
            case "run.migrated":
                self.migrations.append(Migration(record.seq, data["actor"], self.graph))
                self.graph = graph_of(data)
            case "fork.opened" | "branch.ended" | "fork.joined":
                self._fork(record.type, data)
            case _:
                self._node(record.type, data)

    def nodes(self) -> list[NodeLine]:
        """Return a line for each node and scope, in the order of their first entry."""
        groups: dict[tuple[str, str], list[NodeLine]] = {}
        for line in self._nodes.values():
            cut_off = line.status in LIVE and (self._ended or self._is_over(line.scope))
            shown = replace(line, status="interrupted") if cut_off else line
            groups.setdefault((like(line.scope), line.node), []).append(shown)
        return [line for alike in groups.values() for line in told_together(alike)]

    def forks(self) -> Iterator[ForkLine]:
        """Yield the forks that are open."""
        for fork in self._forks.values():
            if not (self._ended or self._is_over(fork.scope)):
                yield fork

    def _create(self, seq: int, data: dict[str, Any]) -> None:
        """Begin a run; a fork has its state from its origin, and what was changed in that."""
        self.graph = graph_of(data)
        by = "origin" if data.get("origin") else "start"
        self.writers = dict.fromkeys(data.get("state", {}), (by, seq))
        self._write("fork", seq, data.get("patches", {}).get(ROOT, ()))
        for scope in data.get("inherited", {}).get("scopes", ()):
            self._inherit(scope)

    def _inherit(self, scope: dict[str, Any]) -> None:
        """Take over where a scope stood when the run was forked, and what was behind it."""
        path, position = scope["path"], scope.get("position") or {}
        at, phase = position.get("node"), position.get("phase", "")
        for node, visits in scope.get("visits", {}).items():
            status = OF_PHASE.get(phase, "ok") if node == at else "ok"
            attempt = position["attempt"] if node == at else 1
            self._nodes[path, node] = NodeLine(path, node, status, visits, attempt)
        if fork := scope.get("fork"):
            line = ForkLine(path, at or "", fork["count"], fork["join"])
            within = called_from(path, line.node, position["visit"]).removesuffix("/")
            over = (each for each in fork.get("branches", ()) if each["status"] != "open")
            line.ended = {f"{within}[{each['index']}]/" for each in over}
            self._forks[path] = line

    def _write(self, by: str, seq: int, patch: Iterable[dict[str, Any]]) -> None:
        for op in patch:
            self.writers[target(op["path"])[0]] = (by, seq)

    def _is_over(self, scope: str) -> bool:
        return any(each in self._over for each in around(scope))

    def _fork(self, type_: str, data: dict[str, Any]) -> None:
        scope = data["scope"]
        if type_ == "fork.opened":
            self._forks[scope] = ForkLine(scope, data["node"], data["count"], data["join"])
        elif type_ == "fork.joined":
            self._forks.pop(scope, None)
        else:
            self._over.add(scope)
            if fork := self._forks.get(forked_from(scope) or ""):
                fork.ended.add(scope)

    def _node(self, type_: str, data: dict[str, Any]) -> None:
        match type_:
            case "node.entered":
                self._enter(data, "running")
                self._begun(data["scope"])
                self._over.discard(called_from(data["scope"], data["node"], data["visit"]))
            case "wait.opened":
                self._enter(data, "waiting")
            case "wait.resolved":
                self._enter(data, "running")
            case "node.attempt_failed":
                self._line(data).status = "retrying"
                self._over.add(called_from(data["scope"], data["node"], data["visit"]))
            case "node.exited":
                line = self._line(data)
                line.status, line.duration_ms = data["outcome"], data.get("duration_ms", 0.0)
                self._over.add(called_from(data["scope"], data["node"], data["visit"]))
            case _:
                pass

    def _begun(self, scope: str) -> None:
        """Take down that a scope is at work, perhaps again, after the run was retried."""
        self._over.discard(scope)
        if fork := self._forks.get(forked_from(scope) or ""):
            fork.ended.discard(scope)

    def _enter(self, data: dict[str, Any], status: str) -> None:
        scope, node = data["scope"], data["node"]
        line = NodeLine(scope, node, status, data["visit"], data["attempt"])
        self._nodes[scope, node] = line

    def _line(self, data: dict[str, Any]) -> NodeLine:
        """Return a node's line; in a fork it may have been entered before, in the origin."""
        if (data["scope"], data["node"]) not in self._nodes:
            self._enter(data, "running")
        return self._nodes[data["scope"], data["node"]]


def graph_of(data: dict[str, Any]) -> str:
    """Return which version of which graph a run began with, or went over to."""
    return f"{data['graph_id']}@{data['version'][:8]}"


def told_together(alike: Sequence[NodeLine]) -> Sequence[NodeLine]:
    """Return the lines of a node in branches that are alike, or one line when they are many."""
    if len(alike) <= ALIKE_MAX:
        return alike
    statuses = Counter(line.status for line in alike)
    status = max(statuses, key=lambda each: (each in LIVE, each in ("error", "timeout")))
    return [
        NodeLine(
            like(alike[0].scope),
            alike[0].node,
            status,
            sum(line.visits for line in alike),
            max(line.attempt for line in alike),
            statuses=dict(statuses),
        )
    ]
