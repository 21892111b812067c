"""Loops that belong to a node: which of its edges is the way round, until when, and how often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from stenograph.engine.graphs.dialects.conditions import Condition, read_condition, read_predicate
from stenograph.engine.graphs.dialects.edges import BRANCH, LOOP, ON, ROUND, Link
from stenograph.engine.graphs.dialects.notes import Given, Notes
from stenograph.engine.graphs.reading import kind_of
from stenograph.engine.values import clip

RUNS_DEFAULT: Final = 10
"""How often the node of a loop runs when the loop does not say."""
_RUNS_MAX: Final = 1_000_000_001
_UNTIL: Final = ("condition", "until_expression", "until")
Links: TypeAlias = Mapping[str, list[Link]]


def own_loop(notes: Notes, name: str, node: Mapping[Any, Any], path: str) -> list[Link]:
    """Return the loop of a node to itself, ``until`` or ``while``, if it says one."""
    tests = {
        key: _test(notes, node[key], f"{path}/{key}")
        for key in ("loop_condition", "loop_while")
        if node.get(key) is not None
    }
    if not tests:
        return []
    link = Link(name, ROUND, path, {"to": name}, {"to": path})
    link.until, link.when = tests.get("loop_condition"), tests.get("loop_while")
    runs = notes.one(node, ("max_iterations",), path)
    return [link] if runs is None or _bound(notes, link, runs) else []


def add_loops(notes: Notes, loops: Any, links: Links) -> None:
    """Turn an edge of each node that loops into its way round, or add one to itself."""
    if not isinstance(loops, list | tuple):
        detail = "is a list of loops, each with its node, condition and max_iterations"
        notes.fault("/loops", f"{detail}, not {kind_of(loops)}")
    elif len(loops) > (most := notes.bounds.nodes):
        notes.fault("/loops", f"has {len(loops):,} loops; a graph may have {most:,}")
    else:
        circles = _circles({name: list(_ways(own, links)) for name, own in links.items()})
        for index, loop in enumerate(loops):
            _add_loop(notes, loop, f"/loops/{index}", links, circles)


def warn_of_dead_ends(notes: Notes, links: Links) -> None:
    """Warn of a loop that is left where the run ends, before the branch that was to follow."""
    for name, own in links.items():
        loops = [link for link in own if link.fails and link.until is not None]
        if len(loops) != 1 or len(own) != 1:
            continue
        until = loops[0].until
        assert until is not None
        back = loops[0].fields["to"]
        for after in links.get(back, ()) if isinstance(back, str) else ():
            if after.when is not None and _is_same(after.when, until):
                detail = (
                    f"when it is true the run ends at {name!r}, so {after.fields['to']!r} cannot be "
                    f"reached through this loop, unless {back!r} makes it true; give {name!r} a "
                    "sequential edge to go on"
                )
                notes.warn(until.places[""], detail)


def _test(notes: Notes, data: Any, path: str) -> Condition:
    """Read what may be the name of a function, as well as a condition."""
    is_name = isinstance(data, str) and data.isidentifier()
    return read_predicate(notes, data, path) if is_name else read_condition(notes, data, path)


def _add_loop(notes: Notes, loop: Any, path: str, links: Links, circles: Mapping[str, str]) -> None:
    if not isinstance(loop, dict):
        notes.fault(path, f"is an object with a node, not {kind_of(loop)}")
        return
    notes.ignore(loop, {"node", "max_iterations", *_UNTIL}, path)
    node = loop.get("node")
    if node is None:
        notes.fault(path, "has no node; name the one that loops")
    elif not notes.faults.known(node, notes.names, f"{path}/node", "node"):
        pass
    elif any(link.kind in (ROUND, LOOP) for link in links[node]):
        notes.fault(path, f"is a second loop of {clip(repr(node))}; say it once")
    else:
        _loop(notes, loop, Given(node, path), links[node], circles)


def _loop(
    notes: Notes,
    loop: Mapping[Any, Any],
    at: Given,
    own: list[Link],
    circles: Mapping[str, str],
) -> None:
    back = [link for link in own if _leads_back(link, circles)]
    if len(back) > 1:
        order = {name: number for number, name in enumerate(notes.names)}
        here = order[at.value]
        back.sort(key=lambda link: (order[link.fields["to"]] > here, link.when is not None))
        detail = f"goes round by {clip(repr(back[0].fields['to']))}; other edges lead back as well"
        notes.warn(at.path, detail)
    link = next(iter(back), None)
    if link is None:
        link = Link(at.value, ROUND, at.path, {"to": at.value}, {"to": f"{at.path}/node"})
    else:
        own.remove(link)
    if (until := notes.one(loop, _UNTIL, at.path)) is not None:
        link.until = read_condition(notes, until.value, until.path)
    runs = notes.one(loop, ("max_iterations",), at.path)
    link.kind = ROUND
    if _bound(notes, link, runs or Given(RUNS_DEFAULT, at.path), is_said=runs is not None):
        own.append(link)


def _bound(notes: Notes, link: Link, runs: Given, *, is_said: bool = True) -> bool:
    """Bound a way round so that its node runs so often; tell whether that is more than once."""
    count = runs.value
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= _RUNS_MAX:
        notes.fault(runs.path, "is how often the node may run: a whole number from 1")
        return True
    name, said = (
        clip(repr(link.source)),
        "counts how often" if is_said else "does not say how often",
    )
    detail = f"{said} {name} runs: {_times(count)}, so it goes round {_times(count - 1)}"
    notes.warn(runs.path, detail)
    link.fields["max"], link.places["max"] = count - 1, runs.path
    return count > 1


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _leads_back(link: Link, circles: Mapping[str, str]) -> bool:
    to = link.fields["to"]
    is_plain = link.kind in (BRANCH, ON) and link.fields.get("on", "ok") == "ok"
    return is_plain and isinstance(to, str) and circles.get(to) == circles[link.source]


def _is_same(one: Condition, other: Condition) -> bool:
    match one.value, other.value:
        case (str(text), str(again)) | ({"fn": str(text)}, {"fn": str(again)}):
            return text.strip() == again.strip()
        case _:
            return False


def _ways(own: list[Link], links: Links) -> Iterator[str]:
    for link in own:
        to = link.fields["to"]
        if isinstance(to, str) and to in links:
            yield to


def _circles(ways: Mapping[str, list[str]]) -> dict[str, str]:
    """Return for each node the one that stands for all from which it is reached, and that it reaches.

    Source: S. R. Kosaraju, 1978 (unpublished); M. Sharir, A strong-connectivity algorithm, 1981.
    """
    back: dict[str, list[str]] = {name: [] for name in ways}
    for name, targets in ways.items():
        for target in targets:
            back[target].append(name)
    circles: dict[str, str] = {}
    for name in reversed(_in_post_order(ways)):
        waiting = [name]
        while waiting:
            if (at := waiting.pop()) not in circles:
                circles[at] = name
                waiting += back[at]
    return circles


def _in_post_order(ways: Mapping[str, list[str]]) -> list[str]:
    seen: set[str] = set()
    order: list[str] = []
    for root in ways:
        waiting = [] if root in seen else [(root, iter(ways[root]))]
        seen.add(root)
        while waiting:
            name, targets = waiting[-1]
            target = next((each for each in targets if each not in seen), None)
            if target is None:
                waiting.pop()
                order.append(name)
            else:
                seen.add(target)
                waiting.append((target, iter(ways[target])))
    return order
