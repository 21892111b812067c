"""What a migration changes, as the pure core decides it: everywhere in a run, and all that it may not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from stenograph.engine import Event, MigrationRefused, ParsedGraph, Run, fold, parse_graph
from stenograph.engine.audit.trails import Trail, Trails
from stenograph.engine.core.commands import Advance, Migrate
from stenograph.engine.core.decide import decide
from stenograph.engine.core.events import PinnedGraph, RunMigrated, RunParked, RunPaused
from stenograph.engine.core.folding import evolve
from stenograph.engine.core.migration import CHANGES_MAX, GraphChange, graph_changes
from stenograph.engine.core.run import GOING
from stenograph.engine.core.run_data import from_bytes, to_bytes
from tests.audited import NAMES, history
from tests.graphs import SAMPLES, TOOLS, with_more
from tests.scenario import Scenario, outside


def parsed(graph: Mapping[str, Any], graphs: Mapping[str, Any]) -> ParsedGraph:
    names = [name for name in graphs if "@" not in name]
    tools = {"t", *(each.name for each in TOOLS)}
    return parse_graph(dict(graph), tools=tools, predicates=tools, graphs=names)


def migrate(
    graph: Mapping[str, Any], graphs: Mapping[str, Mapping[str, Any]] | None = None, **more: Any
) -> Migrate:
    """Ask for a migration to a graph and those that its nodes run, by name."""
    graphs = graphs or {}
    new = parsed(graph, graphs)
    pinned = {}
    for name, inner in graphs.items():
        found = parsed(inner, graphs)
        pinned[name] = PinnedGraph(graph_id=name, version=found.version, graph=Raw(found.data))
    whole = {"actor": "ann", "graph_id": "g", **more}
    return Migrate(version=new.version, graph=new.data, graphs=pinned, **whole)


def changes(run: Run, asked: Migrate) -> list[GraphChange]:
    return list(graph_changes(run, asked.graph, asked.graphs))


def refused(run: Run, asked: Migrate) -> list[str]:
    with pytest.raises(MigrationRefused) as error:
        decide(run, asked, outside())
    assert all(each.pointer == "/graph" for each in error.value.faults)
    return [each.detail for each in error.value.faults]


def after(run: Run, command: Migrate) -> Run:
    """Return a run after a migration, as its one event leaves it; amid a pause that ends with it."""
    happened, *rest = decide(run, command, outside()).events
    assert not rest or (run.halt and [type(each) for each in rest] in ([RunPaused], [RunParked]))
    assert isinstance(happened, RunMigrated)
    twin = run.copy()
    evolve(twin, Event(0, "run", run.seq + 1, run.updated_at, "run.migrated", happened, ""))
    return twin


def grown(name: str) -> Migrate:
    """Ask for a sample's graphs with a node more in each."""
    sample = SAMPLES[name]
    new = with_more(sample.graph)
    inner = {each["id"]: with_more(each) for each in sample.graphs}
    return migrate(new, {**inner, new["id"]: new} if "id" in new else inner)


def own(run: Run) -> Migrate:
    return Migrate(
        actor="ann", graph_id=run.graph_id, version=run.version, graph=run.graph, graphs=run.graphs
    )


def trails(trail: Trail, path: str = "/") -> Iterator[tuple[str, bytes]]:
    yield path, trail.graph
    for name, inner in trail.inner.items():
        yield from trails(inner, f"{path}{name}/")


@pytest.mark.parametrize("name", NAMES)
async def test_at_any_event_a_run_goes_on_where_it_stands_and_there_and_back_is_as_nothing(
    name: str,
) -> None:
    run, trail = Run(), Trails()
    stood = 0
    for event in await history(SAMPLES[name]):
        run = fold([event], run)
        trail.note(event)
        if run.ended or run.status == "cancelling":
            continue
        stood += 1
        there = after(run, grown(name))
        assert {"more"} <= {*msgspec.json.decode(there.graph)["nodes"]}
        assert [*there.scopes] == [*run.scopes]
        for path, scope in there.scopes.items():
            was = run.scopes[path]
            assert (scope.position, scope.taken, scope.visits) == (
                was.position,
                was.taken,
                was.visits,
            )
            assert b'"more"' in scope.graph
            assert b'"more"' not in was.graph
        assert to_bytes(from_bytes(to_bytes(there))) == to_bytes(there)
        back = after(there, own(run))
        back.seq = run.seq
        assert to_bytes(back) == to_bytes(run)
    assert stood


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_told_of_reasons_reads_the_graph_that_each_scope_goes_through(
    name: str,
) -> None:
    """Trails know of branches and sub-graphs only once they have begun."""
    run, seen = Run(), 0
    events: list[Event] = []
    for event in await history(SAMPLES[name]):
        run = fold([event], run)
        events.append(event)
        if run.status not in GOING:
            continue
        happened = decide(run, grown(name), outside()).events[0]
        trail = Trails()
        for each in events:
            trail.note(each)
        trail.note(Event(0, "run", run.seq + 1, event.at, "run.migrated", happened, ""))
        there = after(run, grown(name))
        for path, graph in trails(trail.trail("/")):
            if path in there.scopes:
                assert graph == there.scopes[path].graph
                assert trail.trail(path).graph == graph
                seen += 1
    assert seen


def test_the_graph_that_a_run_has_already_changes_nothing() -> None:
    scenario = Scenario({"start": "a", "nodes": {"a": {"tool": "t", "next": "b"}, "b": {}}})
    assert not decide(scenario.run, own(scenario.run), outside()).events


def graph_of(**nodes: Any) -> dict[str, Any]:
    return {"start": next(iter(nodes)), "nodes": nodes}


TOOL = {"tool": "t"}
WAIT = {"wait": {"signal": "go"}}
CALL = {"graph": "inner"}
INNER = {"start": "ask", "nodes": {"ask": {"wait": {"signal": "go"}}}}
FORK = graph_of(
    split={"next": {"to": ["a", "b"], "join": "end"}}, a={**WAIT, "next": "end"},
    b={**TOOL, "next": "end"}, end={},
)  # fmt: skip


@pytest.mark.parametrize(
    ("before", "new", "told"),
    [
        (graph_of(a=TOOL), graph_of(b=TOOL), ["scope / stands at node 'a', which is not there"]),
        (
            graph_of(a=TOOL),
            graph_of(a=WAIT),
            ["scope / is amid node 'a', which does its work itself here and waits there"],
        ),
        (
            graph_of(a=TOOL),
            graph_of(a=CALL),
            ["scope / is amid node 'a', which does its work itself here and runs a graph there"],
        ),
        (
            graph_of(a=WAIT),
            graph_of(a={"wait": {"signal": "other"}}),
            ["scope / waits at node 'a', which does not wait so there"],
        ),
        (
            graph_of(a={"wait": {"for_s": 5}}),
            graph_of(a=WAIT),
            ["scope / waits at node 'a', which does not wait so there"],
        ),
        (
            graph_of(a=CALL),
            graph_of(a=TOOL),
            ["scope / runs a graph at node 'a', which runs none there"],
        ),
        (
            graph_of(a=CALL),
            graph_of(a={"graph": "other"}),
            ["scope /a#1/ stands at node 'ask', which is not there"],
        ),
        (
            FORK,
            graph_of(split={}, a=WAIT),
            [
                "scope / has forked to node 'b', which is not there",
                "scope / joins at node 'end', which is not there",
                "scope /split#1[1]/ stands at node 'b', which is not there",
            ],
        ),
    ],
)
def test_what_does_not_fit_where_a_run_stands_is_told(
    before: dict[str, Any], new: dict[str, Any], told: list[str]
) -> None:
    inner = {"inner": INNER, "other": graph_of(x=TOOL)}
    scenario = Scenario(before, {}, inner)
    if before is FORK:
        scenario.when_returned()
    seq = scenario.run.seq
    assert refused(scenario.run, migrate(new, inner)) == told
    assert scenario.run.seq == seq


@pytest.mark.parametrize(
    ("state", "key", "told"),
    [
        ({"n": 1}, {"schema": {"type": "string"}}, "/n is a number, not text"),
        ({"n": 1}, {"reducer": "append"}, "adds to a list, but is a number"),
        ({"n": [1]}, {"reducer": "add"}, "sums numbers, but is a list"),
    ],
)
def test_a_state_must_fit_the_keys_that_are_declared_otherwise(
    state: dict[str, Any], key: dict[str, Any], told: str
) -> None:
    scenario = Scenario(graph_of(a=TOOL), state)
    [why] = refused(scenario.run, migrate({**graph_of(a=TOOL), "state": {"n": key}}))
    assert why.startswith("the state of scope / does not fit: /n ")
    assert told.removeprefix("/n ") in why or "schema" in key


def test_a_key_that_is_declared_as_before_is_not_looked_at_again() -> None:
    """A first state may hold what its reducer could not go on from."""
    declared = {"n": {"reducer": "append"}}
    scenario = Scenario({**graph_of(a=TOOL), "state": declared}, {"n": 1})
    after(scenario.run, migrate({**graph_of(a=TOOL, b={}), "state": declared}))
    fitting = Scenario(graph_of(a=TOOL), {"n": [1], "free": None})
    after(fitting.run, migrate({**graph_of(a=TOOL), "state": {**declared, "new": {}}}))


def test_what_is_secret_stays_so() -> None:
    secret = {"state": {"key": {"secret": True}}}
    scenario = Scenario(graph_of(a=TOOL), {"key": 1})
    told = refused(scenario.run, migrate({**graph_of(a=TOOL), **secret}))
    assert told == [
        "key 'key' in scope / is secret in one of the graphs only",
        "the keys that are secret must stay the same: key",
    ]
    bare = Scenario(graph_of(a=TOOL))
    assert refused(bare.run, migrate({**graph_of(a=TOOL), **secret})) == told[1:]


def test_what_an_ended_branch_wrote_does_not_become_secret() -> None:
    inner = {"inner": {**INNER, "state": {"x": {"secret": True}}}}
    nodes = {**FORK["nodes"], "call": CALL}
    scenario = Scenario({"start": "split", "nodes": nodes}, {}, inner)
    scenario.when_returned().when_returned({"x": 1}, scope="/split#1[1]/")
    new = {"start": "split", "nodes": nodes, "state": {"x": {"secret": True}}}
    [told] = refused(scenario.run, migrate(new, {"inner": INNER}))
    assert told == "key 'x' in scope / is secret in one of the graphs only"


def test_a_node_that_was_not_begun_may_become_anything() -> None:
    scenario = Scenario(graph_of(a={**TOOL, "next": "b"}, b=TOOL))
    scenario.when_paused()
    scenario.when_returned({})
    assert scenario.run.status == "paused"
    twin = after(scenario.run, migrate(graph_of(a=TOOL, b=WAIT)))
    assert twin.status == "paused"


def test_everything_that_changes_is_told_once() -> None:
    before = graph_of(
        a={**TOOL, "next": [{"to": "a", "until": "n > 1", "max": 9}, {"to": "b"}]}, b=TOOL, old=CALL
    )
    scenario = Scenario(
        {**before, "state": {"gone": {}, "n": {"reducer": "add"}}}, {"n": 0}, {"inner": INNER}
    )
    scenario.when_returned({"n": 1})
    new = graph_of(
        a={**TOOL, "config": {"x": 1}, "next": [{"to": "a", "max": 2}]},
        b=TOOL,
        more={"graph": "other"},
    )
    new |= {"state": {"n": {"reducer": "max"}, "m": {"reducer": "add"}}, "on_no_match": "end"}
    found = changes(scenario.run, migrate(new, {"other": INNER}))
    assert found == [
        GraphChange(what="graph", how="changed", fields=("on_no_match",)),
        GraphChange(what="node", how="changed", name="a", fields=("config", "next"), scopes=("/",)),
        GraphChange(what="node", how="removed", name="old"),
        GraphChange(what="node", how="added", name="more"),
        GraphChange(what="key", how="removed", name="gone"),
        GraphChange(what="key", how="changed", name="n", fields=("reducer",)),
        GraphChange(what="key", how="added", name="m"),
        GraphChange(
            what="counter", how="changed", name="a", scopes=("/",),
            says="edge 0 was taken 1 time; that now counts for the one in its place, which may be taken 2",
        ),
        GraphChange(what="graph", how="removed", graph="inner"),
        GraphChange(what="graph", how="added", graph="other"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("edges", "how", "says"),
    [
        ([], "removed", "edge 0 was taken 1 time; there is none in its place now"),
        (
            [{"to": "b"}],
            "changed",
            "edge 0 was taken 1 time; that now counts for the one in its place",
        ),
    ],
)
def test_what_was_counted_stays_with_the_place_of_its_edge(
    edges: list[Any], how: str, says: str
) -> None:
    scenario = Scenario(graph_of(a={**TOOL, "next": [{"to": "a", "max": 3}]}, b={}))
    scenario.when_returned({})
    asked = migrate(graph_of(a={**TOOL, "next": edges}, b={}))
    [found] = [each for each in changes(scenario.run, asked) if each.what == "counter"]
    assert (found.how, found.says) == (how, says)
    assert after(scenario.run, asked).scopes["/"].taken == {"a#0": 1}
    gone = migrate(graph_of(b={}))
    assert [each.what for each in changes(scenario.run, gone)] == ["graph", "node", "counter"]


def test_a_graph_that_nothing_stands_in_tells_of_its_nodes_alone() -> None:
    scenario = Scenario(graph_of(a=TOOL, b=CALL), {}, {"inner": INNER})
    found = changes(scenario.run, migrate(graph_of(a=TOOL, b=CALL), {"inner": graph_of(x={})}))
    assert [(each.graph, each.what, each.name, each.how) for each in found] == [
        ("inner", "graph", "", "changed"),
        ("inner", "node", "ask", "removed"),
        ("inner", "node", "x", "added"),
    ]


def test_no_more_faults_are_told_than_can_be_read() -> None:
    items = list(range(CHANGES_MAX + 5))
    scenario = Scenario(
        graph_of(split={"next": {"each": "items", "to": "a", "join": "end"}}, a=WAIT, end={}),
        {"items": items},
    )
    scenario.when_returned()
    for _ in range(9):
        scenario.when(Advance())
    new = graph_of(split={"next": {"each": "items", "to": "b", "join": "end"}}, b=WAIT, end={})
    assert len(refused(scenario.run, migrate(new))) == CHANGES_MAX
