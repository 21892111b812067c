"""Secrets in real runs over a real file: tools get them, and nobody reads them anywhere else."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import asdict

import stenograph as st
from stenograph.engine import Engine
from tests.engine.secret_tools import OTHER, SECRET, TOOLS, seen

TOKEN = {"token": {"secret": True}}


def graph(*tools: str, **more: Any) -> dict[str, Any]:
    """Return a graph that calls tools one after the other, with a secret ``token``."""
    nodes = {
        f"n{at}": {"tool": tool, **({"next": f"n{at + 1}"} if at + 1 < len(tools) else {})}
        for at, tool in enumerate(tools)
    }
    return {"start": "n0", "nodes": nodes, "state": TOKEN, **more}


def waiting(**wait: Any) -> dict[str, Any]:
    """Return a graph that waits for the secret as a signal, then uses it."""
    nodes = {"n0": {"wait": {"signal": "token", **wait}, "next": "n1"}, "n1": {"tool": "use"}}
    return {"start": "n0", "nodes": nodes, "state": TOKEN}


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Engine]:
    seen.clear()
    async with st.open(path / "s.db", tools=TOOLS) as engine:
        yield engine


async def run(path: Path, *tools: str, **options: Any) -> st.RunView:
    """Run tools over the secret, see that nothing shows it, and return how it ended."""
    async with opened(path) as engine:
        ended = await engine.run(graph(*tools), {"token": SECRET}, **options)
        await assert_hidden(engine, ended.id)
        return ended


async def assert_hidden(engine: Engine, run_id: str, *secrets: str) -> None:
    """See that nothing that can be read of a run has a secret in it."""
    shown = await shown_of(engine, run_id)
    for secret in secrets or (SECRET, OTHER):
        assert secret not in shown


async def shown_of(engine: Engine, run_id: str) -> str:
    """Return all that can be read of a run, as text."""
    view = await engine.get(run_id)
    texts = [str(asdict(view)), str(await engine.visits(run_id)), str(await engine.runs())]
    texts += [str((await engine.state(run_id, at)).values) for at in range(1, view.seq + 1)]
    records = [record for page in [await engine.journal.read(run_id)] for record in page]
    return "\n".join([*texts, *(record.data.decode() for record in records)])


async def until_called() -> None:
    """Wait until a tool was given the secret."""
    async with asyncio.timeout(30):
        while not seen:  # noqa: ASYNC110 - the tool knows of no test
            await asyncio.sleep(0.001)


async def events(engine: Engine, run_id: str, kind: str) -> list[Any]:
    return [event.data async for event in engine.tail(run_id) if event.type == kind]


def bytes_of(path: Path) -> bytes:
    return b"".join(each.read_bytes() for each in sorted(path.glob("s.db*")))


async def test_a_tool_gets_the_value_and_the_world_what_stands_for_it(tmp_path: Path) -> None:
    ended = await run(tmp_path, "use", "use")
    assert seen == [SECRET, SECRET]
    assert ended.state == {"token": {"$secret": "token#1"}, "uses": 2}


async def test_what_has_ended_left_no_byte_of_the_secret_in_the_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        begun = await engine.start(graph("hang"), {"token": SECRET})
        assert SECRET.encode() in bytes_of(tmp_path)
        await engine.cancel(begun.id)
        assert (await engine.wait(begun.id)).status == "cancelled"
        assert await engine.journal.secrets(begun.id) == {}
    assert SECRET.encode() not in bytes_of(tmp_path)


async def test_a_completed_run_keeps_no_secret(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        ended = await engine.run(graph("use", "renew", "use"), {"token": SECRET})
        assert await engine.journal.secrets(ended.id) == {}
    found = bytes_of(tmp_path)
    assert (SECRET.encode() in found, OTHER.encode() in found) == (False, False)


async def test_a_failed_run_keeps_its_secrets_for_a_retry(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        failed = await engine.run(graph("fail_until_retried", "use"), {"token": SECRET})
        assert failed.status == "failed"
    async with opened(tmp_path) as engine:
        await engine.retry(failed.id)
        assert (await engine.wait(failed.id)).status == "completed"
        assert seen == [SECRET]
        await assert_hidden(engine, failed.id)
    assert SECRET.encode() not in bytes_of(tmp_path)


async def test_log_lines_and_progress_are_masked(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        ended = await engine.run(graph("tell"), {"token": SECRET})
        said = [each.message for each in await events(engine, ended.id, "log")]
        assert said[0] == "the token is [secret token]"
        assert len(said) == 3
        await assert_hidden(engine, ended.id)


@pytest.mark.parametrize("tool", ["fail", "fail_in_a_thread", "fail_in_its_type"])
async def test_errors_are_masked_in_type_message_and_traceback(tmp_path: Path, tool: str) -> None:
    ended = await run(tmp_path, tool)
    assert ended.status == "failed"
    assert "[secret token]" in str(ended.error)
    assert ended.error is not None
    assert "Traceback" in ended.error.traceback


async def test_the_engine_logs_no_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for tool in ("tell", "fail", "copy_it", "fail_in_a_process", "go_there"):
        async with opened(tmp_path) as engine:
            await engine.run(graph(tool), {"token": SECRET})
    assert SECRET not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize("tool", ["copy_it", "copy_in_place", "go_there", "spell_where"])
async def test_a_secret_in_another_place_is_the_nodes_error(tmp_path: Path, tool: str) -> None:
    ended = await run(tmp_path, tool)
    assert ended.error is not None
    assert ended.error.type == "secret-leaked"
    assert "'token'" in ended.error.message


async def test_a_leak_can_be_caught_by_an_edge(tmp_path: Path) -> None:
    caught = graph("copy_it", "use")
    caught["nodes"]["n0"]["next"] = {
        "to": "n1",
        "on": "error",
        "when": "error.type == 'secret-leaked'",
    }
    async with opened(tmp_path) as engine:
        assert (await engine.run(caught, {"token": SECRET})).status == "completed"


@pytest.mark.parametrize("tool", ["renew", "renew_in_place"])
async def test_a_tool_may_replace_the_secret(tmp_path: Path, tool: str) -> None:
    ended = await run(tmp_path, tool, "use")
    assert seen == [OTHER]
    assert ended.state["token"] == {"$secret": "token#2"}


async def test_a_large_state_shows_a_replaced_secret_as_well(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        state = {"token": SECRET, "pages": ["x" * 100] * 500}
        ended = await engine.run(graph("use", "renew", "use"), state)
        assert (seen, ended.state["token"]) == ([SECRET, OTHER], {"$secret": "token#2"})
        await assert_hidden(engine, ended.id)


async def test_a_secret_may_be_a_list_that_a_tool_changes(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        ended = await engine.run(graph("append_to_it", "use"), {"token": [SECRET]})
        assert seen == [[SECRET, OTHER]]
        await assert_hidden(engine, ended.id)


async def test_a_tool_may_take_the_secret_away(tmp_path: Path) -> None:
    ended = await run(tmp_path, "drop", "use")
    assert (seen, ended.state) == ([None], {"uses": 1})


async def test_a_secret_outlives_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        begun = await engine.start(graph("hang", "use"), {"token": SECRET})
        await until_called()
    async with opened(tmp_path) as engine:
        await until_called()
        await assert_hidden(engine, begun.id)
        assert seen == [SECRET]


async def test_after_a_restart_new_secrets_have_names_of_their_own(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        begun = await engine.start(waiting(), {"token": SECRET})
    async with opened(tmp_path) as engine:
        await engine.signal(begun.id, "token", OTHER)
        ended = await engine.wait(begun.id)
        assert (seen, ended.state["token"]) == ([OTHER], {"$secret": "token#2"})


async def test_a_signal_may_bring_a_secret(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        begun = await engine.start(waiting(), {})
        await engine.signal(begun.id, "token", SECRET)
        ended = await engine.wait(begun.id)
        assert (seen, ended.status) == ([SECRET], "completed")
        (received,) = await events(engine, ended.id, "signal.received")
        assert bytes(received.payload) == b'{"$secret":"token#1"}'
        await assert_hidden(engine, begun.id)
    assert SECRET.encode() not in bytes_of(tmp_path)


async def test_a_secret_signal_is_kept_until_it_is_waited_for(tmp_path: Path) -> None:
    early = waiting()
    early["nodes"]["n"] = {"tool": "hang", "timeout_s": 0.1, "next": {"to": "n0", "on": "timeout"}}
    async with opened(tmp_path) as engine:
        begun = await engine.start({**early, "start": "n"}, {"token": OTHER})
        await engine.signal(begun.id, "token", SECRET)
        await assert_hidden(engine, begun.id)
        assert (await engine.wait(begun.id)).status == "completed"
        assert seen == [OTHER, SECRET]


async def test_a_secret_signal_is_held_to_the_schema_by_its_real_value(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        begun = await engine.start(waiting(schema={"type": "string", "minLength": 20}), {})
        with pytest.raises(st.SignalRefused) as refused:
            await engine.signal(begun.id, "token", "too short")
        assert "too short" not in str(refused.value)
        await engine.signal(begun.id, "token", SECRET)
        assert (await engine.wait(begun.id)).status == "completed"


async def test_a_secret_signal_is_held_to_the_schema_of_its_key(tmp_path: Path) -> None:
    strict = {**waiting(), "state": {"token": {"secret": True, "schema": {"type": "string"}}}}
    async with opened(tmp_path) as engine:
        begun = await engine.start(strict, {})
        with pytest.raises(st.SignalRefused):
            await engine.signal(begun.id, "token", 7_654_321)
        assert (await engine.get(begun.id)).status == "waiting"


async def test_the_schema_of_a_secret_key_is_held_without_telling_the_value(
    tmp_path: Path,
) -> None:
    strict = graph("renew", state={"token": {"secret": True, "schema": {"maxLength": 24}}})
    async with opened(tmp_path) as engine:
        with pytest.raises(st.StateRefused) as refused:
            await engine.run(strict, {"token": SECRET * 2})
        assert SECRET not in str(refused.value)
        assert refused.value.faults[0].pointer == "/token"
        ended = await engine.run(strict, {"token": SECRET[:20]})
        assert ended.error is not None
        assert (ended.status, ended.error.type) == ("failed", "schema-violated")
        await assert_hidden(engine, ended.id, OTHER, SECRET[:20])


async def test_another_signal_may_not_carry_the_secret(tmp_path: Path) -> None:
    other = waiting()
    other["nodes"]["n0"]["wait"]["signal"] = "note"
    async with opened(tmp_path) as engine:
        begun = await engine.start(other, {"token": SECRET})
        with pytest.raises(st.SecretLeaked):
            await engine.signal(begun.id, "note", {"text": f"use {SECRET}"})
        await engine.signal(begun.id, "note", "fine")
        assert (await engine.wait(begun.id)).status == "completed"
        await assert_hidden(engine, begun.id)


async def test_what_stands_for_a_secret_is_refused_from_outside(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        with pytest.raises(st.SecretRefused):
            await engine.run(graph("use"), {"token": {"$secret": "token#1"}})
        begun = await engine.start(waiting(), {"token": SECRET})
        with pytest.raises(st.SecretRefused):
            await engine.signal(begun.id, "token", {"$secret": "token#1"})
        assert [each.run_id for each in await engine.runs()] == [begun.id]


async def test_tags_and_other_keys_may_not_hold_the_secret_at_the_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        with pytest.raises(st.SecretLeaked, match="the tags"):
            await engine.run(graph("use"), {"token": SECRET}, tags={"who": f"x {SECRET}"})
        with pytest.raises(st.SecretLeaked, match="'url'"):
            await engine.run(graph("use"), {"token": SECRET, "url": [f"?t={SECRET}"]})
        assert await engine.runs() == []


async def test_the_names_of_keys_may_not_tell_the_secret_at_the_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        with pytest.raises(st.SecretLeaked) as refused:
            await engine.run(graph("use"), {"token": SECRET, f"?t={SECRET}": 1})
        assert SECRET not in str(refused.value)


@pytest.mark.parametrize("option", ["key", "actor"])
async def test_who_starts_a_run_may_not_tell_the_secret_in_passing(
    tmp_path: Path, option: str
) -> None:
    async with opened(tmp_path) as engine:
        with pytest.raises(st.SecretLeaked):
            await engine.run(graph("use"), {"token": SECRET}, **{option: SECRET})  # type: ignore[arg-type]
        assert await engine.runs() == []


LONG = "".join(f"{number:04}-" for number in range(200))


async def test_a_long_secret_is_not_told_in_part_by_what_is_cut(tmp_path: Path) -> None:
    strict = graph("copy_in_place", state={**TOKEN, "copy": {"schema": {"enum": ["x"]}}})
    async with opened(tmp_path) as engine:
        for tool in (strict, graph("go_there"), graph("fail"), graph("tell")):
            ended = await engine.run(tool, {"token": LONG})
            await assert_hidden(engine, ended.id, LONG[:20])


@pytest.mark.parametrize("state", [{}, {"token": SECRET}])
async def test_what_is_cut_keeps_what_is_no_secret(tmp_path: Path, state: dict[str, Any]) -> None:
    async with opened(tmp_path) as engine:
        ended = await engine.run(graph("talk_at_length"), state)
        (line,) = await events(engine, ended.id, "log")
        assert ended.error is not None
        assert len(line.message) > 10_000
        assert len(ended.error.message) > 1_000


async def test_the_reasons_that_people_give_are_masked(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        begun = await engine.start(waiting(), {"token": SECRET})
        await engine.pause(begun.id, reason=f"is it {SECRET}?")
        await engine.cancel(begun.id, reason=f"it was {SECRET}")
        await assert_hidden(engine, begun.id)


async def parked(path: Path, **more: Any) -> str:
    async with opened(path) as engine:
        begun = await engine.start(graph("charge", "use", **more), {"token": SECRET})
        await until_called()
    return begun.id


async def test_what_a_person_says_a_node_returned_may_hold_a_new_secret(tmp_path: Path) -> None:
    run_id = await parked(tmp_path)
    async with opened(tmp_path) as engine:
        await engine.resume(run_id, result={"token": OTHER, "paid": True})
        ended = await engine.wait(run_id)
        assert (ended.status, ended.state["paid"], seen) == ("completed", True, [OTHER])
        await assert_hidden(engine, run_id)


async def test_what_a_person_says_a_node_returned_may_not_tell_the_secret(tmp_path: Path) -> None:
    run_id = await parked(tmp_path)
    async with opened(tmp_path) as engine:
        with pytest.raises(st.SecretLeaked):
            await engine.resume(run_id, result={"receipt": f"paid by {SECRET}"})
        assert (await engine.get(run_id)).status == "parked"
        await assert_hidden(engine, run_id)


async def test_what_a_person_says_a_node_returned_is_held_to_the_schema_of_the_secret(
    tmp_path: Path,
) -> None:
    run_id = await parked(tmp_path, state={"token": {"secret": True, "schema": {"type": "string"}}})
    async with opened(tmp_path) as engine:
        with pytest.raises(st.SchemaViolated):
            await engine.resume(run_id, result={"token": 7_654_321})
        assert (await engine.get(run_id)).status == "parked"
        await assert_hidden(engine, run_id, "7654321")


async def test_a_run_with_a_secret_is_paused_and_resumed_like_any(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        begun = await engine.start(waiting(), {"token": SECRET})
        await engine.pause(begun.id)
        await engine.resume(begun.id)
        await engine.signal(begun.id, "token", OTHER)
        assert (await engine.wait(begun.id)).status == "completed"
        assert seen == [OTHER]


async def test_a_predicate_may_be_asked_where_a_secret_signal_leads(tmp_path: Path) -> None:
    asking = waiting()
    asking["nodes"]["n0"]["next"] = {"to": "n1", "when": {"fn": "always"}}
    always = st.predicate(name="always")(lambda state: True)
    seen.clear()
    async with st.open(tmp_path / "s.db", tools=[*TOOLS, always]) as engine:
        begun = await engine.start(asking, {})
        await engine.signal(begun.id, "token", SECRET)
        ended = await engine.wait(begun.id)
        assert (ended.status, seen) == ("completed", [SECRET])
        await assert_hidden(engine, begun.id)


async def test_a_node_whose_secret_is_no_longer_kept_fails_and_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        failed = await engine.run(graph("fail_until_retried"), {"token": SECRET})
    with closing(sqlite3.connect(tmp_path / "s.db", isolation_level=None)) as database:
        database.execute("DELETE FROM secret")
    async with opened(tmp_path) as engine:
        await engine.retry(failed.id)
        error = (await engine.wait(failed.id)).error
        assert error is not None
        assert (error.type, error.message) == (
            "secret-forgotten",
            "the secrets token are no longer kept",
        )


def mapped(tool: str, **edge: Any) -> dict[str, Any]:
    split = {"next": {"each": "items", "to": "work", "join": "$end", **edge}}
    return {"start": "split", "nodes": {"split": split, "work": {"tool": tool}}, "state": TOKEN}


async def test_the_branches_of_a_map_get_the_secret(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        ended = await engine.run(mapped("use"), {"token": SECRET, "items": [1, 2, 3]})
        assert (ended.status, seen) == ("completed", [SECRET] * 3)
        await assert_hidden(engine, ended.id)


async def test_branches_that_set_the_secret_to_one_value_each_are_in_conflict(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as engine:
        ended = await engine.run(mapped("renew"), {"token": SECRET, "items": [1, 2]})
        assert ended.error is not None
        assert ended.error.type == "merge-conflict"
        await assert_hidden(engine, ended.id)


async def test_the_collected_errors_of_branches_are_masked(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        state = {"token": SECRET, "items": [1, 2]}
        ended = await engine.run(mapped("fail", on_error="collect"), state)
        assert [each["message"] for each in ended.state["errors"]] == [
            "'[secret token]' is refused"
        ] * 2
        await assert_hidden(engine, ended.id)


def calling(own: dict[str, Any], child: dict[str, Any], *tools: str) -> list[dict[str, Any]]:
    """Return a graph that calls another and then uses the token, and before it that other."""
    called = {**graph(*tools, state=child), "id": "child"}
    nodes = {"call": {"graph": "child", "next": "after"}, "after": {"tool": "use"}}
    return [called, {"start": "call", "nodes": nodes, "state": own}]


async def call(engine: Engine, graphs: list[dict[str, Any]]) -> st.RunView:
    await engine.create_graph(graphs[0])
    return await engine.run(graphs[1], {"token": SECRET})


async def test_a_sub_graph_that_declares_the_secret_gets_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        ended = await call(engine, calling(TOKEN, TOKEN, "use", "renew"))
        assert (ended.status, seen) == ("completed", [SECRET, OTHER])
        await assert_hidden(engine, ended.id)


async def test_a_sub_graph_that_does_not_declare_the_secret_gets_what_stands_for_it(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as engine:
        ended = await call(engine, calling(TOKEN, {}, "use"))
        assert (ended.status, seen) == ("completed", [{"$secret": "token#1"}, SECRET])
        await assert_hidden(engine, ended.id)


async def test_a_secret_of_the_sub_graph_alone_leaves_the_value_outside_as_it_is(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as engine:
        ended = await call(engine, calling({}, TOKEN, "use"))
        assert (ended.status, seen) == ("completed", [SECRET, SECRET])
        assert ended.state["token"] == SECRET


async def test_a_new_secret_of_the_sub_graph_alone_does_not_come_out(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        ended = await call(engine, calling({}, TOKEN, "renew", "use"))
        assert seen[0] == OTHER
        await assert_hidden(engine, ended.id, OTHER)


async def test_the_error_of_a_sub_graph_is_masked(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        ended = await call(engine, calling(TOKEN, TOKEN, "fail"))
        assert ended.status == "failed"
        await assert_hidden(engine, ended.id)


async def test_what_a_worker_process_says_is_masked(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        ended = await engine.run(graph("use_in_a_process"), {"token": SECRET})
        assert (ended.status, ended.state["length"]) == ("completed", len(SECRET))
        said = [each.message for each in await events(engine, ended.id, "log")]
        assert said == ["the token is [secret token]", "with [secret token]"]
        await assert_hidden(engine, ended.id)


async def test_the_error_of_a_worker_process_is_masked(tmp_path: Path) -> None:
    ended = await run(tmp_path, "fail_in_a_process")
    assert ended.error is not None
    assert ended.error.message == "refused: [secret token]"


async def test_an_attempt_that_is_made_again_gets_the_secret_again(tmp_path: Path) -> None:
    again = graph("fail_until_retried")
    again["nodes"]["n0"]["retry"] = {"attempts": 2, "delay_s": 0.001}
    async with opened(tmp_path) as engine:
        ended = await engine.run(again, {"token": SECRET})
        assert ended.state["length"] == len(SECRET)
        await assert_hidden(engine, ended.id)


async def test_starting_again_with_the_same_secret_is_a_repeat(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        first = await engine.start(waiting(), {"token": SECRET}, key="k")
        again = await engine.start(waiting(), {"token": SECRET}, key="k")
        assert (again.id, again.replayed) == (first.id, True)
        assert len(await engine.journal.secrets(first.id)) == 1


async def test_starting_again_with_another_secret_is_another_request(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        await engine.start(waiting(), {"token": SECRET}, key="k")
        with pytest.raises(st.KeyReused):
            await engine.start(waiting(), {"token": OTHER}, key="k")


async def test_two_runs_do_not_mask_or_share_one_anothers_secrets(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        held = await engine.start(waiting(), {"token": SECRET})
        ended = await engine.run(graph("use"), {"token": OTHER, "note": SECRET})
        assert (ended.state["note"], seen) == (SECRET, [OTHER])
        assert await engine.journal.secrets(held.id) != {}
