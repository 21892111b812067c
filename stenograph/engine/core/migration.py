"""Migration: what changes for a run that is to go on in another graph, and what does not fit there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from stenograph.engine.core.edges import compile_graph, edge_key
from stenograph.engine.core.events import PinnedGraph
from stenograph.engine.core.fork_fit import move_to
from stenograph.engine.core.run import Run
from stenograph.engine.core.secrecy import all_secret_keys
from stenograph.engine.errors import Fault
from stenograph.engine.graphs.graph import Graph, edges_of
from stenograph.engine.values import clip

OWN: Final = ("start", "limits", "concurrency", "on_no_match")
"""What a graph says beside its nodes and its state."""
CHANGES_MAX: Final = 1000
"""So many changes and faults of one report; ``changes_more`` counts the other changes."""


class GraphChange(Struct, frozen=True, kw_only=True):
    """What is otherwise in the other graph.

    ``graph``: the name that nodes call it by, empty for that of the run; ``name``: of a node or a key
    of the state, empty for the graph itself; ``fields``: what changed of it; ``scopes``: those that
    stand at the node now, the first 100; ``says``: of a ``counter``, how often an edge was taken and
    what that counts for now.
    """

    what: Literal["graph", "node", "key", "counter"]
    how: Literal["added", "removed", "changed"]
    name: str = ""
    graph: str = ""
    fields: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    says: str = ""


class Migration(Struct, frozen=True, kw_only=True):
    """What a migration of a run changes, or has changed.

    ``seq``: the run's last event. ``done``: it goes on in that graph now; False after a dry run, and
    where ``faults`` say what does not fit. ``replayed``: an earlier request with the same key has done
    it.
    """

    run_id: str
    seq: int
    done: bool
    from_graph_id: str
    from_version: str
    graph_id: str
    version: str
    changes: tuple[GraphChange, ...]
    changes_more: int
    faults: tuple[Fault, ...] = ()
    replayed: bool = False


def misfits(run: Run, graph: bytes, graphs: Mapping[str, PinnedGraph]) -> list[Fault]:
    """Return what keeps a run from going on in another graph as it stands."""
    twin = run.layer()
    faults = move_to(twin, graph, graphs)
    was, now = all_secret_keys(run), all_secret_keys(twin)
    if was != now:
        told = f"the keys that are secret must stay the same: {', '.join(sorted(was ^ now))}"
        faults.append(Fault("/graph", clip(told)))
    return faults[:CHANGES_MAX]


def graph_changes(
    run: Run, graph: bytes, graphs: Mapping[str, PinnedGraph]
) -> Iterator[GraphChange]:
    """Yield what is otherwise in another graph, and in those that its nodes run."""
    old = {"": run.graph, **{name: bytes(each.graph) for name, each in run.graphs.items()}}
    new = {"": graph, **{name: bytes(each.graph) for name, each in graphs.items()}}
    for name in {**old, **new}:
        if name not in new or name not in old:
            yield GraphChange(what="graph", how="removed" if name in old else "added", graph=name)
        elif old[name] != new[name]:
            one, other = compile_graph(old[name]).graph, compile_graph(new[name]).graph
            if own := tuple(each for each in OWN if getattr(one, each) != getattr(other, each)):
                yield GraphChange(what="graph", how="changed", graph=name, fields=own)
            yield from _nodes(run, name, old[name], one, other)
            for key, fields in _between(one.state, other.state):
                yield GraphChange(what="key", name=key, graph=name, **fields)
            yield from _counters(run, name, old[name], one, other)


def _nodes(run: Run, name: str, data: bytes, old: Graph, new: Graph) -> Iterator[GraphChange]:
    for node, fields in _between(old.nodes, new.nodes):
        stand = tuple(
            scope.path
            for scope in run.scopes.values()
            if scope.graph == data and scope.position is not None and scope.position.node == node
        )
        yield GraphChange(what="node", name=node, graph=name, scopes=stand[:100], **fields)


def _between(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the names that were added, removed or changed, and how."""
    for name in {**old, **new}:
        if name not in old or name not in new:
            yield name, {"how": "removed" if name in old else "added"}
            continue
        one, other = msgspec.to_builtins(old[name]), msgspec.to_builtins(new[name])
        fields = tuple(sorted(k for k in {**one, **other} if one.get(k) != other.get(k)))
        if fields:
            yield name, {"how": "changed", "fields": fields}


def _counters(run: Run, name: str, data: bytes, old: Graph, new: Graph) -> Iterator[GraphChange]:
    """Yield the edges that were taken and are otherwise now; their counts stay with their place."""
    for scope in run.scopes.values():
        for node in old.nodes if scope.graph == data else ():
            edges = edges_of(new.nodes[node]) if node in new.nodes else []
            for index, edge in enumerate(edges_of(old.nodes[node])):
                taken = scope.taken.get(edge_key(node, index), 0)
                following = edges[index] if index < len(edges) else None
                if not taken or following == edge:
                    continue
                often = f"{taken:,} time" if taken == 1 else f"{taken:,} times"
                says = f"edge {index} was taken {often}; there is none in its place now"
                if following is not None:
                    most = (
                        "" if following.max is None else f", which may be taken {following.max:,}"
                    )
                    says = (
                        f"edge {index} was taken {often}; that now counts for the one"
                        f" in its place{most}"
                    )
                yield GraphChange(
                    what="counter",
                    how="changed" if following is not None else "removed",
                    name=node,
                    graph=name,
                    scopes=(scope.path,),
                    says=clip(says),
                )
