"""Conditions: `Idempotency-Key` and `If-Match` of what is asked of a run, over HTTP and by the client."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

import stenograph as st
from stenograph.engine.core.keying import KEYS_MAX
from stenograph.engine.core.run import Keyed
from tests.http.serving import app_client, serving

WAITS: dict[str, Any] = {
    "id": "waits",
    "start": "ask",
    "nodes": {"ask": {"wait": {"signal": "go"}, "next": "ask"}},
    "state": {"go": {"reducer": "append"}},
}
LONGER = {**WAITS, "nodes": {**WAITS["nodes"], "more": {}}}
FAILS = {"id": "fails", "start": "a", "nodes": {"a": {"next": "$fail"}}}
KEY = {"Idempotency-Key": "k"}
ASKS: dict[str, tuple[Any, str]] = {
    "signals/go": ({"by": "ann"}, "signal.received"),
    "resume": ({"limits": {"steps": 99}}, "run.resumed"),
    "retry": ({"limits": {"steps": 99}}, "run.retried"),
    "migrate": ({"graph": LONGER}, "run.migrated"),
}
CONTROLS = [*ASKS, "pause", "cancel"]


async def rests(client: httpx.AsyncClient, what: str = "") -> str:
    """Run a graph as `r` until it can be asked what is named so; return its entity tag."""
    body = {"graph": FAILS if what == "retry" else WAITS, "id": "r"}
    answer = await client.post("/runs", json=body, headers={"Prefer": "wait=20"})
    assert answer.status_code < 300, answer.text
    if what == "resume":
        await client.post("/runs/r/pause")
    return (await client.get("/runs/r")).headers["ETag"]


async def ask(client: httpx.AsyncClient, what: str, **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    body = ASKS[what][0] if what in ASKS else None
    return await client.post(f"/runs/r/{what}", json=body, headers=given)


async def types(client: httpx.AsyncClient) -> list[str]:
    return [each["type"] for each in (await client.get("/runs/r/events")).json()["events"]]


@pytest.mark.parametrize("what", ASKS)
async def test_a_repeat_is_answered_with_the_run_and_makes_no_event(what: str) -> None:
    async with app_client() as client:
        await rests(client, what)
        first = await ask(client, what, Idempotency_Key="k")
        again = await ask(client, what, Idempotency_Key="k")
        assert (first.status_code, again.status_code) == (200, 200), again.text
        assert "Idempotency-Replayed" not in first.headers
        assert again.headers["Idempotency-Replayed"] == "true"
        assert (first.json()["replayed"], again.json()["replayed"]) == (False, True)
        assert (await types(client)).count(ASKS[what][1]) == 1


@pytest.mark.parametrize("what", ASKS)
async def test_another_body_with_the_key_is_refused(what: str) -> None:
    async with app_client() as client:
        await rests(client, what)
        await ask(client, what, Idempotency_Key="k")
        other = {"graph": WAITS} if what == "migrate" else {"limits": {"steps": 98}}
        answer = await client.post(f"/runs/r/{what}", json=other, headers=KEY)
        assert answer.status_code == 422
        assert answer.json()["type"] == "/problems/idempotency-key-reused"


@pytest.mark.parametrize("what", ASKS)
@pytest.mark.parametrize("key", ["", "é", "a" * 256])
async def test_what_is_no_key_is_refused(what: str, key: str) -> None:
    async with app_client() as client:
        await rests(client, what)
        answer = await client.post(
            f"/runs/r/{what}",
            json=ASKS[what][0],
            headers={b"Idempotency-Key": key.encode("latin-1")},
        )
        assert answer.json()["type"] == "/problems/idempotency-key-invalid"


async def test_two_keys_are_none_and_two_lines_of_tags_are_a_list() -> None:
    async with app_client() as client:
        etag = await rests(client)
        two = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
        answer = await client.post("/runs/r/signals/go", headers=two)
        assert answer.json()["type"] == "/problems/idempotency-key-invalid"
        answer = await client.post(
            "/runs/r/pause", headers=[("If-Match", '"x"'), ("If-Match", etag)]
        )
        assert answer.status_code == 200


async def test_a_repeat_is_answered_after_the_run_has_ended_and_by_the_next_server(
    tmp_path: Path,
) -> None:
    def open_engine() -> Any:
        return st.open(tmp_path / "s.db")

    async with app_client(open_engine) as client:
        await rests(client)
        await ask(client, "signals/go", Idempotency_Key="k")
        await client.post("/runs/r/cancel")
    async with app_client(open_engine) as client:
        again = await ask(client, "signals/go", Idempotency_Key="k")
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.json()["status"] == "cancelled"
        new = await ask(client, "signals/go", Idempotency_Key="another")
        assert new.json()["type"] == "/problems/run-finished"


async def test_many_repeats_on_many_connections_are_one_signal() -> None:
    async with serving() as server:
        await rests(server.http)
        asks = [ask(server.http, "signals/go", Idempotency_Key=f"k{n % 4}") for n in range(40)]
        answers = await asyncio.gather(*asks)
        replayed = sum("Idempotency-Replayed" in each.headers for each in answers)
        assert (replayed, (await types(server.http)).count("signal.received")) == (36, 4)


# --- entity tags


async def test_the_tag_of_a_run_is_that_of_its_state() -> None:
    async with app_client() as client:
        etag = await rests(client)
        assert (await client.get("/runs/r/state")).headers["ETag"] == etag
        held = await client.get("/runs/r", headers={"If-None-Match": etag})
        assert (held.status_code, held.content, held.headers["ETag"]) == (304, b"", etag)
        await ask(client, "signals/go")
        assert (await client.get("/runs/r", headers={"If-None-Match": etag})).status_code == 200


@pytest.mark.parametrize("what", CONTROLS)
async def test_what_is_asked_of_the_run_as_it_is_is_done_and_tells_its_new_tag(what: str) -> None:
    async with app_client() as client:
        etag = await rests(client, what)
        answer = await ask(client, what, If_Match=f'"x", {etag}')
        assert answer.status_code == 200, answer.text
        assert answer.headers["ETag"] == etag.replace(
            etag.rpartition("-")[2], f'{answer.json()["seq"]}"'
        )


@pytest.mark.parametrize("what", CONTROLS)
async def test_what_is_asked_of_a_run_that_has_moved_on_is_not_done(what: str) -> None:
    async with app_client() as client:
        etag = await rests(client, what)
        journal, _, seq = etag.strip('"').rpartition("-")
        stale = [f'"{journal}-{int(seq) - 1}"', f"W/{etag}", f'"other-{seq}"', f'"{seq}"', '""']
        for tag in stale:
            answer = await ask(client, what, If_Match=tag)
            assert answer.json()["type"] == "/problems/precondition-failed"
            assert (answer.status_code, answer.headers["ETag"]) == (412, etag)
        assert (await client.get("/runs/r")).headers["ETag"] == etag


@pytest.mark.parametrize("what", CONTROLS)
async def test_a_star_is_any_moment(what: str) -> None:
    async with app_client() as client:
        await rests(client, what)
        assert (await ask(client, what, If_Match=" * ")).status_code == 200


@pytest.mark.parametrize(
    "tag", ["", "12", '"', '"a', "W/", '"a" "b"', '"a";', "*, *", '"a", b', ","]
)
@pytest.mark.parametrize("what", CONTROLS)
async def test_what_is_no_tag_is_refused(what: str, tag: str) -> None:
    async with app_client() as client:
        etag = await rests(client, what)
        answer = await ask(client, what, If_Match=tag)
        assert answer.status_code == 400
        assert answer.json()["type"] == "/problems/if-match-invalid"
        assert (await client.get("/runs/r")).headers["ETag"] == etag


async def test_a_repeat_is_answered_also_with_the_tag_of_before() -> None:
    async with app_client() as client:
        etag = await rests(client)
        for _ in range(2):
            answer = await ask(client, "signals/go", Idempotency_Key="k", If_Match=etag)
            assert answer.status_code == 200


async def test_of_many_that_hold_one_tag_one_is_heard() -> None:
    async with serving() as server:
        etag = await rests(server.http)
        asks = [ask(server.http, "signals/go", If_Match=etag) for _ in range(16)]
        codes = sorted(each.status_code for each in await asyncio.gather(*asks))
        assert codes == [200] + [412] * 15


async def test_the_classic_cancel_takes_a_tag_too() -> None:
    async with app_client() as client:
        etag = await rests(client)
        assert (
            await client.post("/graph/cancel/r", headers={"If-Match": '"x"'})
        ).status_code == 412
        done = await client.post("/graph/cancel/r", headers={"If-Match": etag})
        assert (done.status_code, done.json()["status"]) == (200, "cancelled")
        assert done.headers["ETag"] == (await client.get("/runs/r")).headers["ETag"]


async def test_nothing_is_asked_of_a_run_that_is_not_there_or_was_erased() -> None:
    async with app_client() as client:
        none = await ask(client, "signals/go", If_Match="*")
        assert none.json()["type"] == "/problems/run-not-found"
        await rests(client)
        await client.post("/runs/r/cancel")
        await client.post("/runs/r/erase")
        gone = await ask(client, "signals/go", Idempotency_Key="k")
        assert gone.json()["type"] == "/problems/run-erased"


async def test_headers_and_answers_are_described() -> None:
    async with app_client() as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    for what in ["signals/{name}", *CONTROLS[1:]]:
        operation = paths[f"/runs/{{run_id}}/{what}"]["post"]
        named = {each["name"] for each in operation["parameters"] if each["in"] == "header"}
        keyed = what not in ("pause", "cancel")
        assert named == ({"Idempotency-Key", "If-Match"} if keyed else {"If-Match"})
        told = operation["responses"]["200" if keyed else "202"]["headers"]
        assert set(told) == ({"ETag", "Idempotency-Replayed"} if keyed else {"ETag"})
        assert "precondition-failed" in operation["responses"]["412"]["description"]


# --- the client


async def test_the_client_says_it_in_the_engines_words() -> None:
    async with serving() as server, st.Client(server.url) as client:
        await client.create_graph(WAITS)
        run = await client.run("waits", run_id="r", wait_s=5)
        first = await client.signal("r", "go", 1, key="k", if_seq=[run.seq])
        again = await client.signal("r", "go", 1, key="k", if_seq=run.seq)
        assert (first.replayed, again.replayed) == (False, True)
        await client.pause("r", if_seq=again.seq)
        seqs = [(await client.resume("r", key="r")).seq for _ in range(2)]
        assert seqs[0] == seqs[1]
        moved = [await client.migrate("r", LONGER, key="m", if_seq=seqs[0]) for _ in range(2)]
        assert [each.replayed for each in moved] == [False, True]
        done = await client.cancel("r", if_seq=moved[1].seq)
        assert done.status == "cancelled"


async def test_the_client_raises_what_the_engine_raises() -> None:
    async with serving() as server, st.Client(server.url) as client:
        run = await client.run(FAILS, run_id="r", wait_s=5)
        with pytest.raises(st.PreconditionFailed, match="was to be at 1;") as failed:
            await client.retry("r", if_seq=1)
        assert failed.value.head == run.seq
        with pytest.raises(st.PreconditionFailed):
            await client.retry("r", if_seq=[])
        await client.retry("r", key="k")
        with pytest.raises(st.KeyReused, match="made event"):
            await client.retry("r", key="k", limits=st.Limits(steps=3))
        with pytest.raises(ValueError, match="no idempotency key"):
            await client.retry("r", key=" k ")
        with pytest.raises(st.UnknownRun):
            await client.retry("nope", if_seq=1)


async def test_the_client_tells_of_a_run_that_remembers_no_more_keys() -> None:
    async with serving() as server, st.Client(server.url) as client:
        await rests(server.http)
        run = await server.engine._actors.load("r")
        run.keyed |= {str(n): Keyed(n, "r") for n in range(KEYS_MAX)}
        with pytest.raises(st.TooManyKeys, match="10,000 idempotency keys"):
            await client.signal("r", "go", key="k")
        answer = await ask(server.http, "signals/go", Idempotency_Key="k")
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/too-many-keys")
