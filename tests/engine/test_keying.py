"""Keys: what is asked again with its idempotency key is one event for ever; and `if_seq` for the rest."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from msgspec import Raw

import stenograph as st
from stenograph.engine import (
    Engine,
    ExportRefused,
    RunGone,
    RunImported,
    fold,
    read_export,
)
from stenograph.engine.core.commands import Resume, Signal
from stenograph.engine.core.events import Event, SignalReceived
from stenograph.engine.core.keying import KEYS_MAX, request_of
from stenograph.engine.core.run import Keyed, Run, key_id
from stenograph.engine.core.run_data import from_bytes, to_bytes
from stenograph.engine.core.scopes import Layer
from stenograph.engine.export.plausible import implausible
from stenograph.engine.stored.snapshots import last_snapshot
from stenograph.journal import JournalFull, MemoryJournal, NewRecord
from tests.crashes import MOMENTS, Moment
from tests.engine.secret_tools import OTHER, SECRET
from tests.engine.test_actor import FULL, FullJournal
from tests.graphs import TOOLS
from tests.scenario import Scenario
from tests.stage import staged

WAITS: dict[str, Any] = {
    "id": "waits",
    "start": "ask",
    "nodes": {"ask": {"wait": {"signal": "go"}, "next": "ask"}},
    "state": {"go": {"reducer": "append"}},
}
LONGER: dict[str, Any] = {**WAITS, "nodes": {**WAITS["nodes"], "more": {}}}
SECRETIVE: dict[str, Any] = {
    "start": "ask",
    "nodes": {
        "ask": {"wait": {"signal": "token"}, "next": "again"},
        "again": {"wait": {"signal": "end"}},
    },
    "state": {"token": {"secret": True}},
}
EXAMPLES = 60


@asynccontextmanager
async def begun(graph: dict[str, Any], **options: Any) -> AsyncIterator[Engine]:
    """Yield an engine with a run of a graph that rests."""
    async with st.open(":memory:", tools=TOOLS) as engine:
        await engine.run(graph, {}, run_id="run", **options)
        yield engine


async def events(engine: Engine, run_id: str = "run") -> list[Any]:
    records = await engine.journal.read(run_id, limit=1000)
    return [event async for event in engine._histories.events(run_id, to=len(records))]


async def count(engine: Engine, type_: str, run_id: str = "run") -> int:
    """Return how many events of a type a run has."""
    return sum(each.type == type_ for each in await events(engine, run_id))


Ask = Callable[..., Awaitable[Any]]
ASKS: dict[str, tuple[str, Callable[[Engine], Ask]]] = {
    "signal": (
        "signal.received",
        lambda engine: lambda **options: engine.signal("run", "go", 1, **options),
    ),
    "resume": ("run.resumed", lambda engine: lambda **options: engine.resume("run", **options)),
    "retry": ("run.retried", lambda engine: lambda **options: engine.retry("run", **options)),
    "migrate": (
        "run.migrated",
        lambda engine: lambda **options: engine.migrate("run", LONGER, **options),
    ),
}


@asynccontextmanager
async def ready_for(what: str) -> AsyncIterator[Engine]:
    """Yield an engine with a run that can be asked what is named so."""
    graph = {"start": "a", "nodes": {"a": {"next": "$fail"}}} if what == "retry" else WAITS
    async with begun(graph) as engine:
        if what == "resume":
            await engine.pause("run")
        yield engine


@pytest.mark.parametrize("what", ASKS)
async def test_what_is_asked_again_with_its_key_is_one_event(what: str) -> None:
    type_, ask = ASKS[what]
    async with ready_for(what) as engine:
        first, again = await ask(engine)(key="k"), await ask(engine)(key="k")
        assert (first.replayed, again.replayed) == (False, True)
        assert await count(engine, type_) == 1
        [asked] = [each.data for each in await events(engine) if each.type == type_]
        assert (asked.key, len(asked.request)) == ("k", 64)


@pytest.mark.parametrize("what", ASKS)
async def test_of_many_that_ask_at_once_with_one_key_one_makes_an_event(what: str) -> None:
    type_, ask = ASKS[what]
    async with ready_for(what) as engine:
        answers = await asyncio.gather(*(ask(engine)(key="k") for _ in range(16)))
        assert sorted(each.replayed for each in answers) == [False] + [True] * 15
        assert await count(engine, type_) == 1


@pytest.mark.parametrize("what", ASKS)
async def test_without_a_key_nothing_of_one_is_written(what: str) -> None:
    type_, ask = ASKS[what]
    async with ready_for(what) as engine:
        assert (await ask(engine)()).replayed is False
        stored = await engine.journal.read("run", limit=1000)
    [data] = [each.data for each in stored if each.type == type_]
    assert b'"key"' not in data
    assert b'"request"' not in data


async def test_another_body_or_operation_with_a_key_is_refused_and_changes_nothing() -> None:
    async with begun(WAITS) as engine:
        await engine.signal("run", "go", {"a": 1, "b": 2}, key="k")
        head = (await engine.get("run")).seq
        others: list[Awaitable[Any]] = [
            engine.signal("run", "go", {"a": 1, "b": 3}, key="k"),
            engine.signal("run", "go", {"a": 1, "b": 2}, key="k", saw=1),
            engine.signal("run", "go", {"a": 1, "b": 2}, key="k", scope="/"),
            engine.signal("run", "stop", {"a": 1, "b": 2}, key="k"),
            engine.resume("run", key="k"),
            engine.retry("run", key="k"),
            engine.migrate("run", LONGER, key="k"),
        ]
        for other in others:
            with pytest.raises(st.KeyReused, match="'k' made event 4 of run run"):
                await other
        same = await engine.signal("run", "go", {"b": 2, "a": 1}, key="k")
        assert (same.replayed, same.seq) == (True, head)


async def test_the_keys_of_two_who_ask_are_two() -> None:
    async with begun(WAITS) as engine:
        for actor in ("ann", "bob", "ann"):
            await engine.signal("run", "go", actor, key="k", actor=actor)
        assert await count(engine, "signal.received") == 2


async def test_a_repeat_is_answered_with_the_run_as_it_is_also_when_that_has_ended() -> None:
    async with begun(WAITS) as engine:
        await engine.signal("run", "go", 1, key="k")
        await engine.cancel("run")
        again = await engine.signal("run", "go", 1, key="k")
        assert (again.replayed, again.status) == (True, "cancelled")
        with pytest.raises(st.RunFinished):
            await engine.signal("run", "go", 1, key="other")


async def test_a_repeat_is_known_after_a_restart_and_from_a_snapshot(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    async with st.open(file) as engine:
        await engine.run(WAITS, {}, run_id="run")
        for number in range(4):
            await engine.signal("run", "go", "x" * 40_000, key=f"k{number}")
    async with st.open(file) as engine:
        kept = await last_snapshot(engine.journal, "run")
        assert 0 < len(kept.keyed) <= 4
        for number in range(4):
            again = await engine.signal("run", "go", "x" * 40_000, key=f"k{number}")
            assert again.replayed
        with pytest.raises(st.KeyReused):
            await engine.signal("run", "go", "y", key="k0")
        assert await count(engine, "signal.received") == 4


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("what", ASKS)
async def test_what_is_asked_again_after_a_crash_was_done_or_is_done_now(
    what: str, moment: Moment
) -> None:
    type_, ask = ASKS[what]
    graph = {"start": "a", "nodes": {"a": {"next": "$fail"}}} if what == "retry" else WAITS
    async with staged() as stage:
        await stage.engine.run(graph, {}, run_id="run")
        if what == "resume":
            await stage.engine.pause("run")
        await stage.settle()
        stage.die_at(1, moment)
        asking = asyncio.ensure_future(ask(stage.engine)(key="k"))
        await stage.settle()
        await stage.restart(crash=True)
        await asyncio.gather(asking, return_exceptions=True)
        again = await ask(stage.engine)(key="k")
        assert again.replayed is (moment != "before")
        assert (await stage.types()).count(type_) == 1


async def test_what_was_refused_may_be_asked_again_with_its_key() -> None:
    async with begun(WAITS) as engine:
        for _ in range(2):
            with pytest.raises(st.NotHeld):
                await engine.resume("run", key="k")
        await engine.pause("run")
        assert (await engine.resume("run", key="k")).replayed is False


async def test_a_second_retry_with_its_own_key_is_a_second_retry() -> None:
    async with ready_for("retry") as engine:
        for key in ("one", "two", "one", "two"):
            await engine.retry("run", key=key)
            await engine.wait("run")
        assert await count(engine, "run.retried") == 2


async def test_a_fork_remembers_nothing_that_was_asked_of_its_origin() -> None:
    async with begun(WAITS) as engine:
        run = await engine.signal("run", "go", 1, key="k")
        fork = await engine.fork("run", run.seq, new_id="fork")
        assert (await engine.signal(fork.id, "go", 2, key="k")).replayed is False
        assert await count(engine, "signal.received", fork.id) == 1


async def test_a_key_is_exported_and_nothing_is_asked_of_what_was_imported() -> None:
    async with begun(WAITS) as engine:
        await engine.signal("run", "go", 1, key="k")
        file = b"".join([piece async for piece in engine.export("run")])
    async with st.open(":memory:") as other:
        await other.import_run(read_export([file]))
        [keyed] = (await other._actors.load("run")).keyed.values()
        assert keyed.seq == 4
        with pytest.raises(RunImported):
            await other.signal("run", "go", 1, key="k")


async def test_a_file_in_which_a_key_stands_twice_is_refused() -> None:
    async with begun(WAITS) as engine:
        first = await engine.signal("run", "go", 1, key="k")
        stored = await engine.journal.read("run", limit=1000)
        [again] = [each for each in stored if each.type == SignalReceived.TYPE]
        record = NewRecord(again.type, again.data, again.at)
        await engine.journal.append("run", [record], expected_seq=first.seq)
        file = b"".join([piece async for piece in engine.export("run")])
    async with st.open(":memory:") as other:
        with pytest.raises(ExportRefused, match="key was used before"):
            await other.import_run(read_export([file]))


def test_a_file_with_more_keys_than_a_run_remembers_is_refused() -> None:
    data = SignalReceived(name="go", payload=Raw(b"1"), actor="me", key="k", request="r")
    event = Event(0, "run", 9, "", data.TYPE, data, "")
    assert implausible(with_keys(KEYS_MAX - 1), event) is None
    assert "10,000 idempotency keys" in str(implausible(with_keys(KEYS_MAX), event))


async def test_of_an_erased_run_no_key_is_left() -> None:
    async with begun(WAITS) as engine:
        await engine.signal("run", "go", 1, key="a key of mine")
        await engine.cancel("run")
        await engine.erase("run")
        with pytest.raises(RunGone):
            await engine.signal("run", "go", 1, key="a key of mine")
        stored = await engine.journal.read("run", limit=1000)
        assert not any(b"a key of mine" in each.data for each in stored)


# --- migrating


async def test_a_repeated_migration_is_answered_with_what_it_had_changed() -> None:
    async with begun(WAITS) as engine:
        first = await engine.migrate("run", LONGER, key="k")
        await engine.migrate("run", WAITS)
        await engine.cancel("run")
        again = await engine.migrate("run", LONGER, key="k")
        assert again.replayed
        assert again.changes == first.changes != ()
        assert (again.done, again.seq) == (True, (await engine.get("run")).seq)
        assert await count(engine, "run.migrated") == 2


async def test_a_migration_is_what_it_was_called_however_the_graph_goes_on() -> None:
    async with begun(WAITS) as engine:
        await engine.create_graph(LONGER)
        first = await engine.migrate("run", "waits", key="k")
        newer = {**WAITS, "nodes": {**WAITS["nodes"], "newest": {}}}
        await engine.create_graph(newer)
        again = await engine.migrate("run", "waits", key="k")
        assert (again.replayed, again.version) == (True, first.version)


async def test_a_migration_that_changes_nothing_is_no_event_and_keeps_no_key() -> None:
    async with begun(WAITS) as engine:
        assert (await engine.migrate("run", WAITS, key="k")).replayed is False
        assert (await engine.migrate("run", WAITS, key="k")).replayed is False
        assert await count(engine, "run.migrated") == 0


async def test_a_dry_run_keeps_no_key_and_no_graph_at_all_is_refused_as_that() -> None:
    async with begun(WAITS) as engine:
        dry = await engine.migrate("run", LONGER, dry_run=True, key="k")
        assert (dry.done, dry.replayed) == (False, False)
        with pytest.raises(st.GraphInvalid):
            await engine.migrate("run", {"start": float("nan")}, key="k")
        assert (await engine.migrate("run", LONGER, key="k")).replayed is False


async def test_a_graph_in_python_is_known_again() -> None:
    graph = st.Graph(
        start="ask", nodes={"ask": st.Node(wait=st.Wait(signal="go"), next="end"), "end": st.Node()}
    )
    async with begun({"start": "ask", "nodes": {"ask": {"wait": {"signal": "go"}}}}) as engine:
        await engine.migrate("run", graph, key="k")
        assert (await engine.migrate("run", graph, key="k")).replayed


# --- secrets


async def test_a_secret_signal_is_in_no_hash_and_must_be_the_same_while_it_is_kept() -> None:
    async with begun(SECRETIVE) as engine:
        await engine.signal("run", "token", SECRET, key="k")
        with pytest.raises(st.KeyReused):
            await engine.signal("run", "token", OTHER, key="k")
        again = await engine.signal("run", "token", SECRET, key="k")
        assert again.replayed
        [signal] = [e.data for e in await events(engine) if e.type == SignalReceived.TYPE]
    async with begun(SECRETIVE) as engine:
        await engine.signal("run", "token", OTHER, key="k")
        [other] = [e.data for e in await events(engine) if e.type == SignalReceived.TYPE]
    assert signal.request == other.request


async def test_a_secret_that_was_forgotten_is_not_asked_for_again() -> None:
    async with begun(SECRETIVE) as engine:
        await engine.signal("run", "token", SECRET, key="k")
        await engine.cancel("run")
        assert (await engine.signal("run", "token", SECRET, key="k")).replayed
        assert SECRET not in str(await engine.journal.read("run", limit=1000))


async def test_a_key_that_has_a_secret_in_it_is_refused() -> None:
    async with begun(SECRETIVE) as engine:
        await engine.signal("run", "token", SECRET)
        with pytest.raises(st.SecretLeaked, match="the idempotency key"):
            await engine.signal("run", "end", 1, key=f"for {SECRET}")
        assert (await engine.signal("run", "end", 1, key="k")).status == "completed"


async def test_a_plain_signal_of_a_run_with_secrets_is_known_again() -> None:
    async with begun(SECRETIVE) as engine:
        for _ in range(2):
            await engine.signal("run", "end", 1, key="k")
        assert await count(engine, "signal.received") == 1
        with pytest.raises(st.KeyReused):
            await engine.signal("run", "end", 2, key="k")


async def test_the_secrets_of_a_result_are_in_no_hash() -> None:
    graph = {
        "start": "a",
        "nodes": {"a": {"tool": "t", "next": "b"}, "b": {"wait": {"signal": "go"}}},
        "state": {"token": {"secret": True}},
    }
    scene = Scenario(graph)

    def hashed(result: dict[str, Any] | None) -> str:
        return request_of(scene.run, Resume(actor="me", result=result))

    assert hashed({"token": SECRET, "n": 1}) == hashed({"token": OTHER, "n": 1})
    assert len({hashed({"n": 1}), hashed({"n": 2}), hashed({}), hashed(None)}) == 4


# --- bounds, layers and snapshots


def with_keys(number: int) -> Run:
    run = Scenario(WAITS).run
    run.keyed = {key_id("me", str(n)): Keyed(n, "r") for n in range(number)}
    return run


def test_a_run_remembers_so_many_keys_and_says_when_it_is_full() -> None:
    scene = Scenario(WAITS)
    scene.run = with_keys(KEYS_MAX - 1)

    def signal(key: str | None) -> Signal:
        return Signal(name="go", payload=b"1", actor="me", key=key)

    scene.when(signal("the last")).when(signal("the last")).then_nothing_happened()
    with pytest.raises(st.TooManyKeys, match="10,000 idempotency keys"):
        scene.when(signal("one more"))
    scene.when(signal(None))
    assert scene.find("signal.received").key is None


def test_keys_go_through_the_data_of_a_run() -> None:
    run = with_keys(3)
    run.keyed["x"] = Keyed(4, "r", "token#1")
    assert from_bytes(to_bytes(run)).keyed == run.keyed


def test_a_layer_that_is_thrown_away_leaves_no_key() -> None:
    run = with_keys(2)
    layer = run.layer()
    assert isinstance(layer.keyed, Layer)
    layer.keyed["new"] = Keyed(9, "r")
    above = layer.layer()
    above.keyed["newer"] = Keyed(10, "r")
    assert (len(run.keyed), len(layer.keyed), len(above.keyed)) == (2, 3, 4)
    run.adopt(layer)
    above.rebase(run)
    assert (len(run.keyed), len(above.keyed)) == (3, 4)
    assert len(above.copy().keyed) == 4


# --- if_seq


@pytest.mark.parametrize("what", [*ASKS, "pause", "cancel"])
async def test_what_is_asked_of_another_moment_is_not_done(what: str) -> None:
    async with ready_for(what) as engine:
        ask = ASKS[what][1](engine) if what in ASKS else getattr(engine, what)
        asked = (lambda **o: ask("run", **o)) if what not in ASKS else ask
        seq = (await engine.get("run")).seq
        for stale in (seq - 1, seq + 1, [1, 2], []):
            with pytest.raises(st.PreconditionFailed, match=f"is at event {seq}") as failed:
                await asked(if_seq=stale)
            assert failed.value.head == seq
        assert (await engine.get("run")).seq == seq
        await asked(if_seq=[1, seq])
        assert (await engine.get("run")).seq > seq


async def test_a_repeat_is_answered_whatever_moment_it_was_asked_of() -> None:
    async with begun(WAITS) as engine:
        seq = (await engine.get("run")).seq
        await engine.signal("run", "go", 1, key="k", if_seq=seq)
        assert (await engine.signal("run", "go", 1, key="k", if_seq=seq)).replayed


async def test_of_many_that_saw_the_same_event_one_may_go_on_from_it() -> None:
    async with begun(WAITS) as engine:
        seq = (await engine.get("run")).seq
        asks = (engine.signal("run", "go", n, if_seq=seq) for n in range(16))
        answers = await asyncio.gather(*asks, return_exceptions=True)
        assert sum(isinstance(each, st.PreconditionFailed) for each in answers) == 15
        assert await count(engine, "signal.received") == 1


async def test_of_many_that_cancel_what_they_saw_one_does() -> None:
    async with begun(WAITS) as engine:
        seq = (await engine.get("run")).seq
        asks = (engine.cancel("run", if_seq=seq) for _ in range(4))
        answers = await asyncio.gather(*asks, return_exceptions=True)
        assert sum(isinstance(each, st.PreconditionFailed) for each in answers) == 3
        assert (await engine.cancel("run")).status == "cancelled"


async def test_what_is_refused_in_any_case_is_refused_for_that() -> None:
    async with begun(WAITS) as engine:
        with pytest.raises(st.NotHeld):
            await engine.resume("run", if_seq=1)
        await engine.cancel("run")
        with pytest.raises(st.RunFinished):
            await engine.signal("run", "go", if_seq=1)
        with pytest.raises(st.PreconditionFailed):
            await engine.cancel("run", if_seq=1)
        assert (await engine.cancel("run", if_seq=(await engine.get("run")).seq)).done


async def test_a_dry_run_is_of_the_moment_too_and_no_number_is_refused() -> None:
    async with begun(WAITS) as engine:
        with pytest.raises(st.PreconditionFailed):
            await engine.migrate("run", LONGER, dry_run=True, if_seq=1)
        with pytest.raises(ValueError, match="int"):
            await engine.signal("run", "go", if_seq="12")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="length"):
            await engine.signal("run", "go", key="")


# --- laws


STEPS = some.lists(
    some.one_of(
        some.tuples(some.just("signal"), some.integers(0, 2), some.integers(0, 3)),
        some.tuples(some.sampled_from(["pause", "resume"]), some.integers(0, 2), some.just(0)),
        some.tuples(some.just("migrate"), some.integers(0, 2), some.just(0)),
    ),
    max_size=14,
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(script=STEPS, together=some.integers(1, 4))
def test_any_interleaving_of_repeats_makes_one_event_a_key(
    script: list[tuple[str, int, int]], together: int
) -> None:
    asyncio.run(played(script, together))


async def played(script: list[tuple[str, int, int]], together: int) -> None:
    """Ask all of a script, so many at once and each twice, of a run that was folded anew each time."""
    made: Counter[str] = Counter()
    async with MemoryJournal() as journal:
        async with Engine(journal) as engine:
            await engine.run(WAITS, {}, run_id="run")
        for at in range(0, len(script), together):
            async with Engine(journal) as engine:
                group = script[at : at + together]
                asks = [asked(engine, *each) for each in group for _ in range(2)]
                made.update(filter(None, await asyncio.gather(*asks)))
        async with Engine(journal) as engine:
            history = await events(engine)
            now = await engine._actors.load("run")
    keyed = [each for each in history if getattr(each.data, "key", None)]
    keys = [f"{each.type} {each.data.key}" for each in keyed]
    assert len(set(keys)) == len(keys)
    assert {each for each in keys if "migrated" not in each} == {e for e in made if made[e] == 1}
    assert to_bytes(fold(history)) == to_bytes(now)
    assert sorted(each.seq for each in now.keyed.values()) == [each.seq for each in keyed]


async def asked(engine: Engine, what: str, key: int, value: int) -> str | None:
    """Ask something with a key; returns the event that it made, by its key."""
    name = f"{what}-{key}"
    try:
        if what == "signal":
            answer = await engine.signal("run", "go", value, key=name)
            return None if answer.replayed else f"signal.received {name}"
        if what == "resume":
            answer = await engine.resume("run", key=name)
            return None if answer.replayed else f"run.resumed {name}"
        if what == "migrate":
            graph = {**WAITS, "nodes": {**WAITS["nodes"], f"n{key}": {}}}
            await engine.migrate("run", graph, key=name)
        else:
            await engine.pause("run")
    except (st.NotHeld, st.KeyReused):
        pass
    return None


async def test_what_a_full_disk_refused_is_done_once_with_its_key_and_leaves_no_secret_behind() -> (
    None
):
    async with MemoryJournal() as inner:
        journal = FullJournal(inner)
        async with Engine(journal) as engine:
            run = await engine.run(SECRETIVE)
            journal.obstacle = FULL
            with pytest.raises(JournalFull):
                await engine.signal(run.id, "token", OTHER, key="k")
            journal.obstacle = None
            assert not (await engine.signal(run.id, "token", SECRET, key="k")).replayed
            assert (await engine.signal(run.id, "token", SECRET, key="k")).replayed
            with pytest.raises(st.KeyReused):
                await engine.signal(run.id, "token", OTHER, key="k")
            assert not engine._actors.active
        assert [*(await inner.secrets(run.id)).values()] == [f'"{SECRET}"'.encode()]
