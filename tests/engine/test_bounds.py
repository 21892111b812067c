"""Bounds: what is said of each, and that what was taken once is never refused for its size."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec import Meta, ValidationError
from msgspec.structs import replace

from stenograph.engine import (
    Engine,
    ExportRefused,
    TooManyRuns,
    decode,
    play,
    read_export,
    record_run,
)
from stenograph.engine.bounds import BOUNDS, WIDEST, Bounds, ranges
from stenograph.journal import RECORD_MAX_BYTES, AppendTooLarge, MemoryJournal
from tests.graphs import TOOLS, one


def test_every_bound_says_what_it_bounds_its_range_its_unit_and_what_comes_beyond() -> None:
    said = ranges(Bounds)
    assert said.keys() == set(Bounds.__struct_fields__)
    for name, meta in said.items():
        assert isinstance(meta, Meta)
        assert meta.description
        assert meta.extra is not None
        assert {"unit", "beyond"} == meta.extra.keys()
        assert meta.ge is not None
        assert meta.le is not None
        assert meta.ge <= getattr(BOUNDS, name) <= meta.le == getattr(WIDEST, name)


def test_the_least_and_the_most_of_each_are_taken_and_nothing_beyond() -> None:
    for name, meta in ranges(Bounds).items():
        for value in (meta.ge, meta.le):
            assert getattr(msgspec.convert({name: value}, Bounds), name) == value
        for value in (meta.ge - 1, meta.le + 1):  # type: ignore[operator]
            with pytest.raises(ValidationError, match=name):
                msgspec.convert({name: value}, Bounds)


def test_an_event_may_have_what_the_journal_takes_and_no_more() -> None:
    assert WIDEST.event_bytes == BOUNDS.event_bytes == RECORD_MAX_BYTES
    assert BOUNDS.change_bytes == 2_031_616


async def test_a_run_in_a_graph_of_larger_bounds_is_played_again_and_imported_where_they_hold() -> (
    None
):
    nodes: dict[str, Any] = {f"n{number}": {} for number in range(1500)}
    graph = {"start": "n0", "nodes": {**nodes, "n0": {"next": "n1"}}}
    wider = Bounds(nodes=1500)
    async with MemoryJournal() as journal, Engine(journal, bounds=wider) as engine:
        run = await engine.run(graph)
        recorded = record_run([decode(each) for each in await journal.read(run.id)])
        assert play(recorded).run.status == "completed"
        exported = read_export([piece async for piece in engine.export(run.id)])
        assert (await engine.import_run(exported)).replayed
    async with MemoryJournal() as journal, Engine(journal) as engine:
        with pytest.raises(ExportRefused, match="1,500 nodes; a graph may have 1,000"):
            await engine.import_run(exported)


async def test_what_is_stored_is_begun_forked_rerun_and_migrated_to_under_the_least_bounds() -> (
    None
):
    chain: dict[str, Any] = {f"n{number}": {"next": f"n{number + 1}"} for number in range(300)}
    graph = {"start": "n0", "nodes": {**chain, "n300": {"wait": {"signal": "go"}}}}
    said = ranges(Bounds)
    least = msgspec.convert({name: meta.ge for name, meta in said.items()}, Bounds)
    least = replace(least, runs_in_flight=9)
    async with MemoryJournal() as journal:
        async with Engine(journal) as engine:
            for graph_id in ("old", "new"):
                await engine.create_graph({**graph, "id": graph_id, "name": graph_id})
            await engine.run("old", {"text": "x" * 20_000}, run_id="run")
        async with Engine(journal, bounds=least) as engine:
            assert (await engine.start("old")).seq
            fork = await engine.fork("run", at=3)
            rerun = await engine.rerun("run")
            assert len(fork.state["text"]) == len(rerun.state["text"]) == 20_000
            assert (await engine.cancel("run")).status == "cancelled"
        async with Engine(journal, bounds=Bounds(event_bytes=4096)) as engine:
            assert (await engine.migrate(fork.id, "new")).done


async def test_what_a_start_is_given_beside_its_graph_is_bounded() -> None:
    bounds = Bounds(event_bytes=4096)
    async with MemoryJournal() as journal, Engine(journal, bounds=bounds) as engine:
        graph = {"id": "g", "start": "a", "nodes": {"a": {"next": "b"}, "b": {}}}
        await engine.create_graph(graph)
        tags = {f"t{number}": "x" * 200 for number in range(10)}
        with pytest.raises(AppendTooLarge, match=r"run\.created would be given 4,\d+ bytes"):
            await engine.start("g", {"text": "x" * 2000}, tags=tags)
        assert (await engine.start("g", {"text": "x" * 1000}, tags=tags)).seq


async def test_where_as_many_runs_as_may_have_something_to_do_no_other_begins_and_all_go_on() -> (
    None
):
    bounds = Bounds(runs_in_flight=1)
    journal = MemoryJournal()
    async with Engine(journal, tools=TOOLS, bounds=bounds) as engine:
        hanging = one("hang")
        run = await engine.start(hanging, key="k")
        for begin in (engine.start(hanging), engine.start(hanging, key="l")):
            with pytest.raises(TooManyRuns, match="there may be 1"):
                await begin
        with pytest.raises(TooManyRuns, match="there may be 1"):
            await engine.fork(run.id, at=1)
        assert (await engine.start(hanging, key="k")).replayed
        assert (await engine.cancel(run.id)).status in ("cancelling", "cancelled")
        assert (await engine.wait(run.id)).status == "cancelled"
        await asyncio.sleep(0)
        assert (await engine.start(hanging, key="l")).seq
    async with Engine(journal, tools=TOOLS, bounds=bounds) as engine:
        assert len(engine.recovered) == 1
    await journal.close()
