"""Reducers, schemas and sizes in real runs: what a graph declares of its state holds wherever it changes."""

from __future__ import annotations

from typing import Any

import pytest

import stenograph as st
from stenograph.engine import Engine
from tests.graphs import TOOLS as SAMPLE_TOOLS
from tests.graphs import fork, one

State = dict[str, Any]


@st.tool
async def item_as_kilobytes(state: State) -> State:
    return {"text": ["x" * 1024 * state["item"]]}


@st.tool
async def give(state: State) -> State:
    returned: State = state["give"].pop(0)
    return returned


@st.tool
async def set_in_place(state: State, config: State) -> None:
    state.update(config)


@st.tool
async def give_item(state: State) -> State:
    return {"n": state["item"]}


@st.tool
async def fail_at_length(state: State) -> None:
    raise ValueError("x" * 10_000)


TOOLS = (*SAMPLE_TOOLS, fail_at_length, item_as_kilobytes, give, set_in_place, give_item)


def giving(keys: State, *given: State, **first: Any) -> tuple[State, State]:
    """Return a graph with such keys, in which a tool returns what is given, time after time."""
    edges = [{"to": "work", "when": "len(give) > 0"}, {"to": "$end"}]
    return {**one("give", next=edges), "state": keys}, {"give": list(given), **first}


def keyed(**reducers: str) -> State:
    return {key: {"reducer": reducer} for key, reducer in reducers.items()}


def mapped(tool: str, keys: State, **edge: Any) -> State:
    split = {"next": {"each": "items", "to": "work", "join": "after", **edge}}
    nodes = {"split": split, "work": {"tool": tool}, "after": {}}
    return {"start": "split", "nodes": nodes, "state": keys}


async def ended(graph: State, state: State) -> st.RunView:
    async with st.open(":memory:", tools=TOOLS) as engine:
        view = await engine.run(graph, state)
        rebuilt = await engine.state(view.id, at=view.seq)
        assert rebuilt.values == view.state
        return view


async def failure(graph: State, state: State) -> tuple[str, str]:
    """Return the type and the message of the error of which a run failed."""
    view = await ended(graph, state)
    assert view.error is not None, view
    return view.error.type, view.error.message


@pytest.mark.parametrize(
    ("reducer", "old", "given", "new"),
    [
        ("replace", [1], [2], [2]),
        ("append", [1], [2], [1, [2]]),
        ("concat", [1], [2, 3], [1, 2, 3]),
        ("add", 1, 2.5, 3.5),
        ("merge", {"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ("union", [1, 2], [2, 3, True], [1, 2, 3, True]),
        ("min", 4, 3, 3),
        ("max", "a", "b", "b"),
    ],
)
async def test_what_a_node_returns_meets_the_reducer_of_its_key(
    reducer: str, old: Any, given: Any, new: Any
) -> None:
    view = await ended(*giving(keyed(k=reducer), {"k": given}, k=old))
    assert view.state["k"] == new


async def test_the_first_value_of_a_key_begins_what_its_reducer_makes() -> None:
    keys = keyed(a="append", b="concat", c="add", d="merge", e="union", f="min")
    first = {"a": 1, "b": [1], "c": 1, "d": {"x": 1}, "e": [1, 1], "f": 1}
    view = await ended(*giving(keys, first))
    assert {key: view.state[key] for key in keys} == {**first, "a": [1], "e": [1]}


async def test_what_is_set_in_place_is_the_new_value_whatever_the_reducer() -> None:
    graph = {**one("set_in_place", config={"log": [9], "sum": 1}), "state": keyed(log="concat")}
    graph["state"] |= keyed(sum="add")
    assert (await ended(graph, {"log": [1], "sum": 5})).state == {"log": [9], "sum": 1}


async def test_a_list_that_grows_is_recorded_by_what_it_grew_by() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        graph, state = giving(keyed(log="append"), *({"log": n} for n in range(3)))
        view = await engine.run(graph, state)
        patches = [event.data async for event in engine.tail(view.id)]
        ops = [op for each in patches for op in getattr(each, "patch", ()) if "log" in op.path]
        assert [(op.op, op.path) for op in ops] == [("add", "/log")] + [("add", "/log/-")] * 2


@pytest.mark.parametrize(
    ("reducer", "old", "given"),
    [
        ("append", "text", 1),
        ("concat", [1], "text"),
        ("concat", [1], 2),
        ("add", 1, "2"),
        ("add", 1, True),
        ("add", 2**63 - 1, 1),
        ("add", 1e308, 1e308),
        ("merge", {}, [1]),
        ("union", [], {}),
        ("min", 1, "1"),
        ("max", None, 1),
    ],
)
async def test_what_cannot_be_reduced_is_the_nodes_error(
    reducer: str, old: Any, given: Any
) -> None:
    kind, message = await failure(*giving(keyed(k=reducer), {"k": given}, k=old))
    assert kind == "cannot-reduce"
    assert message.startswith("/k ")


async def test_an_edge_may_catch_what_cannot_be_reduced() -> None:
    graph, state = giving(keyed(k="add"), {"k": "x", "other": 1}, k=1)
    graph["nodes"]["work"]["next"] = {
        "to": "after",
        "on": "error",
        "when": "error.type == 'cannot-reduce'",
    }
    view = await ended(graph, state)
    assert (view.status, view.state["k"], view.state["notes"]) == ("completed", 1, ["seen"])
    assert "other" not in view.state


SCHEMAS = {
    "n": {"schema": {"type": "integer", "maximum": 9}},
    "who": {
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
        }
    },
    "log": {"reducer": "append", "schema": {"type": "array", "maxItems": 2}},
}


async def test_a_first_state_that_fits_no_schema_begins_nothing() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        with pytest.raises(st.StateRefused) as refused:
            await engine.start({**one("note"), "state": SCHEMAS}, {"n": 10, "who": {"name": 1}})
        assert [fault.pointer for fault in refused.value.faults] == ["/n", "/who/name"]
        assert await engine.runs() == []


async def test_a_refused_first_state_leaves_its_run_id_and_its_key_free() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        graph = {**one("note"), "state": SCHEMAS}
        for options in ({"run_id": "mine"}, {"key": "k"}):
            with pytest.raises(st.StateRefused):
                await engine.start(graph, {"n": "ten"}, **options)  # type: ignore[arg-type]
            begun = await engine.start(graph, {"n": 1}, **options)  # type: ignore[arg-type]
            assert not begun.replayed


@pytest.mark.parametrize(
    ("given", "pointer"),
    [({"n": 10}, "/n"), ({"who": {}}, "/who"), ({"who": {"name": None}}, "/who/name")],
)
async def test_a_change_that_does_not_fit_is_the_nodes_error(given: State, pointer: str) -> None:
    kind, message = await failure(*giving(SCHEMAS, given, n=1))
    assert (kind, message.split()[0]) == ("schema-violated", pointer)


async def test_the_schema_sees_what_the_reducer_made() -> None:
    graph, state = giving(SCHEMAS, {"log": 1}, {"log": 2}, {"log": 3})
    view = await ended(graph, state)
    assert view.error is not None
    assert (view.error.type, view.state["log"]) == ("schema-violated", [1, 2])


async def test_what_is_set_in_place_must_fit_as_well() -> None:
    graph = {**one("set_in_place", config={"n": 10}), "state": SCHEMAS}
    assert (await failure(graph, {}))[0] == "schema-violated"


async def test_a_key_may_be_taken_away_although_it_has_a_schema() -> None:
    graph = {**one("forget", config={"keys": ["n"]}), "state": SCHEMAS}
    assert (await ended(graph, {"n": 1})).state == {}


async def test_an_edge_may_catch_what_does_not_fit() -> None:
    graph, state = giving(SCHEMAS, {"n": 10}, n=1)
    graph["nodes"]["work"]["next"] = {
        "to": "after",
        "on": "error",
        "when": "error.type == 'schema-violated' and '/n' in error.message",
    }
    view = await ended(graph, state)
    assert (view.status, view.state["n"], view.state["notes"]) == ("completed", 1, ["seen"])


async def test_a_node_may_be_tried_again_for_what_did_not_fit() -> None:
    graph, state = giving(SCHEMAS, {"n": 10}, n=1)
    graph["nodes"]["work"]["retry"] = {
        "attempts": 2,
        "delay_s": 0.001,
        "on": ["schema-violated"],
    }
    async with st.open(":memory:", tools=TOOLS) as engine:
        view = await engine.run(graph, state)
        assert view.error is not None
        assert [visit.attempts for visit in await engine.visits(view.id)] == [2]


async def test_each_branch_may_fit_while_the_join_does_not() -> None:
    keys = {"n": {"reducer": "add", "schema": {"type": "integer", "maximum": 9}}}
    graph = mapped("give_item", keys)
    assert (await ended(graph, {"items": [4, 5]})).state["n"] == 9
    kind, message = await failure(graph, {"items": [4, 6]})
    assert (kind, message.split()[0]) == ("schema-violated", "/n")


async def test_branches_that_cannot_be_reduced_together_fail_at_the_join() -> None:
    graph = mapped("give_item", keyed(n="min"))
    assert (await failure(graph, {"items": [1, "a"]}))[0] == "cannot-reduce"


async def test_branches_without_a_reducer_are_in_conflict_and_the_error_says_how_to_mend_it() -> (
    None
):
    kind, message = await failure(fork({"a": {"x": 1}, "b": {"x": 2}}), {})
    assert kind == "merge-conflict"
    assert "/split#1[0]/" in message
    assert "add" in message


def calling(keys: State, *given: State, **call: Any) -> tuple[State, State, State]:
    """Return a graph without rules, one that has such keys and calls it, and its first state."""
    child, _ = giving({}, *given)
    node = {"graph": "child", "next": [{"to": "after", "on": "error"}], **call}
    parent = {"start": "call", "nodes": {"call": node, "after": {"tool": "note"}}, "state": keys}
    return {**child, "id": "child"}, parent, {"give": list(given)}


async def called(graphs: tuple[State, State, State], **first: Any) -> st.RunView:
    async with st.open(":memory:", tools=TOOLS) as engine:
        await engine.create_graph(graphs[0])
        return await engine.run(graphs[1], {**graphs[2], **first})


async def test_what_comes_out_of_a_sub_graph_must_fit() -> None:
    view = await called(calling(SCHEMAS, {"n": 10}, out=["n"]))
    assert (view.status, view.state["notes"], "n" in view.state) == ("completed", ["seen"], False)


async def test_what_comes_out_of_a_sub_graph_meets_the_reducer_if_it_was_not_given() -> None:
    call = {"in": {"give": "give"}, "out": ["n"], "next": []}
    assert (await called(calling(keyed(n="add"), {"n": 2}, **call), n=5)).state["n"] == 7
    view = await called(calling(keyed(n="add"), {"n": "x"}, **call), n=5)
    assert view.error is not None
    assert view.error.type == "cannot-reduce"


async def signalled(keys: State, payload: Any, **first: Any) -> st.RunView:
    wait = {"wait": {"signal": "n"}, "next": [{"to": "$end"}, {"to": "after", "on": "error"}]}
    graph = {"start": "w", "nodes": {"w": wait, "after": {"tool": "note"}}, "state": keys}
    async with st.open(":memory:", tools=TOOLS) as engine:
        begun = await engine.start(graph, first)
        await engine.signal(begun.id, "n", payload)
        return await engine.wait(begun.id)


async def test_a_signal_meets_the_reducer_of_its_key() -> None:
    assert (await signalled(keyed(n="append"), "b", n=["a"])).state == {"n": ["a", "b"]}


@pytest.mark.parametrize(("keys", "payload"), [(SCHEMAS, 10), (keyed(n="add"), "x")])
async def test_a_signal_that_does_not_fit_the_state_is_refused_and_nothing_is_used_up(
    keys: State, payload: Any
) -> None:
    with pytest.raises(st.SignalRefused, match="/n"):
        await signalled(keys, payload, n=1)


@pytest.mark.parametrize(("keys", "payload"), [(SCHEMAS, 10), (keyed(n="add"), "x")])
async def test_an_early_signal_that_does_not_fit_the_state_is_the_error_of_its_wait(
    keys: State, payload: Any
) -> None:
    nodes = {
        "first": {"wait": {"signal": "go"}, "next": "wait"},
        "wait": {"wait": {"signal": "n"}, "next": [{"to": "$fail"}, {"to": "late", "on": "error"}]},
        "late": {"tool": "note"},
    }
    async with st.open(":memory:", tools=TOOLS) as engine:
        graph = {"start": "first", "nodes": nodes, "state": keys}
        run = await engine.start(graph, {"n": 1})
        await engine.signal(run.id, "n", payload)
        await engine.signal(run.id, "go")
        view = await engine.wait(run.id)
    assert (view.status, view.state["n"]) == ("completed", 1)


async def test_branches_that_are_too_large_together_fail_at_the_join() -> None:
    graph = mapped("item_as_kilobytes", keyed(text="concat"))
    assert len((await ended(graph, {"items": [100] * 15})).state["text"]) == 15
    kind, message = await failure(graph, {"items": [100] * 30})
    assert kind == "state-too-large"
    assert "bytes of JSON" in message


async def test_a_run_goes_on_behind_a_step_that_was_too_large() -> None:
    graph, _ = giving({}, {})
    graph["nodes"]["work"] = {
        "tool": "item_as_kilobytes",
        "next": {"to": "after", "on": "error", "when": "error.type == 'state-too-large'"},
    }
    view = await ended(graph, {"item": 3000})
    assert (view.status, view.state) == ("completed", {"item": 3000, "notes": ["seen"]})


async def test_a_fork_that_collects_meets_the_schema_of_its_errors() -> None:
    keys = {"errors": {"schema": {"type": "array", "maxItems": 1}}}
    graph = mapped("fail_on_odd", keys, on_error="collect", width=1)
    assert len((await ended(graph, {"items": [1, 2]})).state["errors"]) == 1
    assert (await failure(graph, {"items": [1, 3]}))[0] == "schema-violated"


async def test_of_long_messages_only_the_beginning_is_collected() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        graph = mapped("fail_at_length", {}, on_error="collect")
        run = await engine.run(graph, {"items": [0] * 700})
    assert run.status == "completed"
    assert {len(error["message"]) for error in run.state["errors"]} == {200}


async def test_reducers_and_schemas_are_those_of_the_version_that_a_run_began_with() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        wait = {"wait": {"signal": "n"}}
        graph = {"id": "g", "start": "w", "nodes": {"w": wait}}
        await engine.create_graph({**graph, "state": keyed(n="add")})
        old = await engine.start("g", {"n": 1})
        await engine.create_graph({**graph, "state": keyed(n="max")})
        new = await engine.start("g", {"n": 1})
        assert [await after_signal(engine, each.id) for each in (old, new)] == [3, 2]


async def after_signal(engine: Engine, run_id: str) -> Any:
    await engine.signal(run_id, "n", 2)
    return (await engine.wait(run_id)).state["n"]
