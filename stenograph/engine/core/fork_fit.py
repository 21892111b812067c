"""Whether what a fork takes over fits: the graph that it is to go on in, and changes to its states."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from stenograph.engine.core.edges import CompiledGraph, compile_graph
from stenograph.engine.core.events import PinnedGraph
from stenograph.engine.core.regraphing import regraph
from stenograph.engine.core.run import Run
from stenograph.engine.core.scopes import ROOT, Scope
from stenograph.engine.errors import CannotReduce, Fault
from stenograph.engine.graphs.graph import Node
from stenograph.engine.graphs.schemas import Effort
from stenograph.engine.state.reducers import check_kind
from stenograph.engine.state.rules import Rules
from stenograph.engine.state.state import State
from stenograph.engine.state.vault import name_in
from stenograph.engine.values import clip, pointer

OPS: Final = ("add", "replace", "remove")
_POINTER: Final = re.compile("/([^~]|~0|~1)*", re.DOTALL)


def move_to(run: Run, graph: bytes, graphs: Mapping[str, PinnedGraph]) -> list[Fault]:
    """Have a run's scopes go on in another graph; returns all that does not fit there."""
    before = {scope.path: scope.graph for scope in run.scopes.values()}
    regraph(run, graph, graphs)
    faults: list[Fault] = []
    for path, was in before.items():
        scope = run.scopes[path]
        if scope.graph != was:
            old, new = compile_graph(was), compile_graph(scope.graph)
            told = [*_misplaced(scope, old, new), *_misfits(scope, old, new)]
            faults += [Fault("/graph", clip(each)) for each in told]
    return faults


def _misplaced(scope: Scope, old: CompiledGraph, graph: CompiledGraph) -> Iterator[str]:
    """Yield which nodes a scope stands at, or is to go to, that are not there or do other things."""
    at, fork = scope.position, scope.fork
    wanted = {} if at is None else {at.node: "stands at"}
    if fork is not None:
        wanted |= dict.fromkeys(fork.targets, "has forked to")
        wanted |= {fork.join: "joins at"} if not fork.join.startswith("$") else {}
    for name, how in wanted.items():
        if name not in graph.nodes:
            yield f"scope {scope.path} {how} node {name!r}, which is not there"
    node = None if at is None or at.node not in graph.nodes else graph.nodes[at.node].node
    if node is None or at is None:
        return
    if at.phase == "waiting" and at.kind in ("signal", "time"):
        if node.wait is None or node.wait.signal != at.signal:
            yield f"scope {scope.path} waits at node {at.node!r}, which does not wait so there"
    elif at.phase == "calling" and not isinstance(node.graph, str):
        yield f"scope {scope.path} runs a graph at node {at.node!r}, which runs none there"
    elif at.phase not in ("calling", "forked", "left") and at.attempt:
        now, was = _kind(node), _kind(old.nodes[at.node].node)
        if now != was:
            yield f"scope {scope.path} is amid node {at.node!r}, which {was} here and {now} there"


def _kind(node: Node) -> str:
    if node.wait is not None:
        return "waits"
    return "does its work itself" if node.graph is None else "runs a graph"


def _misfits(scope: Scope, old: CompiledGraph, new: CompiledGraph) -> Iterator[str]:
    """Yield which keys of a state the other graph's rules do not allow as they are."""
    declared = {**old.graph.state, **new.graph.state}
    changed = {k for k in declared if old.graph.state.get(k) != new.graph.state.get(k)}
    ended = () if scope.fork is None else scope.fork.branches.values()
    written = dict.fromkeys([*scope.state, *(key for each in ended for key in each.changed)])
    effort = Effort()
    for key in written if changed else ():
        if key not in changed:
            continue
        if (key in old.rules.secrets) != (key in new.rules.secrets):
            yield f"key {key!r} in scope {scope.path} is secret in one of the graphs only"
        elif key in scope.state and (told := _unfit(key, scope.state[key], new.rules, effort)):
            yield f"the state of scope {scope.path} does not fit: {told}"


def _unfit(key: str, value: Any, rules: Rules, effort: Effort) -> str:
    """Return why a value is none that a key may have, or that its reducer can go on from."""
    if fault := rules.fault(key, value, effort):
        return f"{fault.pointer} {fault.detail}"
    reducer = "replace" if key in rules.secrets else rules.reducers.get(key, "replace")
    try:
        check_kind(reducer, pointer(key), "is", value)
    except CannotReduce as error:
        return str(error)
    return ""


def wanted_changes(
    state: State, values: Mapping[str, Any], ops: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Any], list[str], list[Fault]]:
    """Return the new value of each key, the keys to remove, and what is wrong with an operation.

    ``ops`` are of RFC 6902: ``add``, ``replace``, ``remove`` at ``/key``, ``add`` at ``/key/-``.
    """
    new, gone, faults = dict(values), dict[str, None](), list[Fault]()
    for number, op in enumerate(ops):
        key, grows, why = _read(op)
        there = key in new or (key in state and key not in gone)
        if not why and (op["op"] != "add" or grows) and not there:
            why = f"there is no key {key!r}"
        before: Any = new[key] if key in new else state.get(key)
        if not why and grows and not isinstance(before, list):
            why = f"the key {key!r} holds no list"
        if why:
            faults.append(Fault(pointer("patch", number), clip(why)))
        elif op["op"] == "remove":
            new.pop(key, None)
            gone[key] = None
        else:
            new[key] = [*before, op["value"]] if grows else op["value"]
            gone.pop(key, None)
    return new, [key for key in gone if key in state], faults


def _read(op: Mapping[str, Any]) -> tuple[str, bool, str]:
    """Return the key of an operation, whether it grows the list there, and what is wrong with it."""
    kind, path = op.get("op"), op.get("path")
    if kind not in OPS:
        return "", False, f"op is one of {', '.join(OPS)}"
    if not isinstance(path, str) or not _POINTER.fullmatch(path):
        return "", False, "path is a JSON pointer to a key, such as /status"
    if kind != "remove" and "value" not in op:
        return "", False, f"an {kind} has a value" if kind == "add" else f"a {kind} has a value"
    key = key_of(path)
    _, slash, rest = path[1:].partition("/")
    if slash and (rest != "-" or kind != "add"):
        return key, False, "a patch reaches whole keys, and the end of a list by add at /key/-"
    return key, bool(slash), ""


def key_of(path: str) -> str:
    """Return the key that the path of an operation leads to."""
    return path[1:].partition("/")[0].replace("~1", "/").replace("~0", "~")


def needed_secrets(run: Run) -> Iterator[tuple[Scope, str, str]]:
    """Yield each secret that a state refers to: its scope, its key and its name."""
    for scope in run.scopes.values():
        keys = sorted(compile_graph(scope.graph).rules.secrets & scope.state.keys())
        yield from _named(scope, ((key, scope.state[key]) for key in keys))
    kept = ((key, each) for key, signals in run.signals.items() for each in signals)
    given = ((key, msgspec.json.decode(signal.payload)) for key, signal in kept)
    yield from _named(run.scopes[ROOT], given)


def _named(scope: Scope, values: Iterable[tuple[str, object]]) -> Iterator[tuple[Scope, str, str]]:
    """Yield those of the values that stand for secrets."""
    found = ((key, name_in(value)) for key, value in values)
    yield from ((scope, key, name) for key, name in found if name is not None)
