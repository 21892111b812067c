"""Filters: which events are wanted, decided by one function and told in the same words everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import pytest

from stenograph.engine import (
    EVENT_TYPES,
    NO_FILTER,
    Engine,
    Filter,
    FilterInvalid,
    UnknownRun,
    filter_of,
    passes,
)
from stenograph.engine.stored.filters import matches, node_of
from stenograph.journal import CursorUnknown, MemoryJournal, Record
from tests.crashes import drive
from tests.graphs import SAMPLES, TOOLS

AT = "2026-11-20T22:55:01.123456Z"


def record(number: int, type_: str = "log", data: bytes = b'{"node":"a"}') -> Record:
    return Record(number, "r", number, AT, type_, data, "0" * 64)


@pytest.mark.parametrize(
    ("wanted", "passed"),
    [
        (NO_FILTER, True),
        (filter_of(["log"]), True),
        (filter_of(["node.*"]), False),
        (filter_of(["node.*", "log"]), True),
        (filter_of(nodes=["a"]), True),
        (filter_of(nodes=["b"]), False),
        (filter_of(nodes=["b", "a"]), True),
        (filter_of(["log"], ["b"]), False),
        (filter_of(graphs=["g"]), True),
        (filter_of(graphs=["h"]), False),
        (filter_of(graphs=["h", "g"]), True),
        (filter_of(tags=["team:a"]), True),
        (filter_of(tags=["team:b"]), False),
        (filter_of(tags=["team:a", "size:x:l"]), True),
        (filter_of(tags=["team:a", "size:x"]), False),
        (filter_of(["log"], ["a"], ["g"], ["team:a"]), True),
    ],
)
def test_what_is_asked_must_all_hold(wanted: Filter, passed: bool) -> None:
    labels = {"graph": "g", "tag:team": "a", "tag:size": "x:l"}
    assert passes(wanted, record(1), labels) is passed


@pytest.mark.parametrize("data", [b"{}", b'{"$erased":"00"}', b'{"node":1}', b"[]", b"{", b"\xff"])
def test_an_event_about_no_node_passes_no_filter_of_nodes(data: bytes) -> None:
    assert not passes(filter_of(nodes=["a"]), record(1, data=data))
    assert passes(filter_of(["log"]), record(1, data=data))


def test_only_a_filter_of_runs_needs_to_know_the_run() -> None:
    assert not filter_of(["log"], ["a"]).asks_for_run
    assert filter_of(graphs=["g"]).asks_for_run
    assert filter_of(tags=["a:b"]).asks_for_run


def test_the_same_words_make_the_same_filter() -> None:
    one = filter_of(["log", "node.*", "log"], tags=["b:2", "a:1"])
    assert one == filter_of(["node.*", "log"], tags=["a:1", "b:2"])
    assert one.query == [("type", "log"), ("type", "node.*"), ("tag", "a:1"), ("tag", "b:2")]


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_every_type_passes_by_its_name_and_by_its_beginning(name: str) -> None:
    begins = f"{name.partition('.')[0]}.*" if "." in name else name
    assert passes(filter_of([name]), record(1, name))
    assert passes(filter_of([begins]), record(1, name))


def test_a_filter_says_all_that_is_wrong_with_it() -> None:
    with pytest.raises(
        FilterInvalid, match=r"type: there is no event 'lo'.*tag: 'x' is not"
    ) as told:
        filter_of(["lo"], tags=iterated(["x"]))
    assert [each.pointer for each in told.value.faults] == ["/type", "/tag"]


def iterated(words: Iterable[str]) -> Iterable[str]:
    yield from words


# --- an engine's own tail -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fork", "logs", "signals in branches", "sub-graph"])
async def test_an_engine_tails_exactly_what_passes_from_any_cursor_on(name: str) -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        end = await drive(engine, SAMPLES[name])
        records = await journal.read("run")
        types = sorted({each.type for each in records} | {"node.*", "wait.*", "timer.set"})
        nodes = [*sorted({node_of(each.data) for each in records} - {""}), "nowhere"]
        for after in range(end.seq + 1):
            for type_, node in product(types, nodes):
                tail = engine.tail("run", after=after, types=type_, nodes=[node])
                expected = [
                    each.seq
                    for each in records[after:]
                    if matches(type_, each.type) and node_of(each.data) == node
                ]
                assert [event.seq async for event in tail] == expected


async def test_a_tail_that_nothing_passes_ends_with_its_run_all_the_same() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        end = await drive(engine, SAMPLES["sequence"])
        assert [each async for each in engine.tail("run", types="timer.*")] == []
        assert [each.seq async for each in engine.tail("run", types="run.*")] == [1, end.seq]


async def test_a_filtered_tail_refuses_what_any_tail_does() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        end = await drive(engine, SAMPLES["sequence"])
        with pytest.raises(FilterInvalid, match=r"did you mean 'node\.entered'"):
            await anext(engine.tail("run", types="node.enterd"))
        with pytest.raises(CursorUnknown):
            await anext(engine.tail("run", after=end.seq + 1, types="log"))
        with pytest.raises(UnknownRun):
            await anext(engine.tail("nobody", types="log"))
