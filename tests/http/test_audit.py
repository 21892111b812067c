"""Why, blame and diff over HTTP, and as a client asks."""

from __future__ import annotations

import pytest

import stenograph as st
from stenograph.engine import BlameAt, Reason, RunDiff
from stenograph.http import Client
from tests.http.serving import app_client, created, ran, serving
from tests.http.tools import COUNT


async def test_a_reason_is_data_and_words() -> None:
    async with app_client() as client:
        run_id = (await ran(client, COUNT, "r", to=2))["run_id"]
        events = (await client.get(f"/runs/{run_id}/events")).json()["events"]
        seq = next(each["seq"] for each in events if each["type"] == "transition.taken")
        answer = await client.get(f"/runs/{run_id}/why", params={"seq": seq})
    body = answer.json()
    assert (answer.status_code, body["type"], body["node"]) == (200, "transition.taken", "count")
    assert body["edges"][0]["verdict"] == "taken"
    assert body["because"][0]["type"] == "node.exited"
    assert body["says"][0].startswith("count went to count")


async def test_blame_names_the_writer_of_each_part() -> None:
    async with app_client() as client:
        run_id = (await ran(client, COUNT, "r", to=2))["run_id"]
        whole = (await client.get(f"/runs/{run_id}/blame")).json()
        item = (await client.get(f"/runs/{run_id}/blame", params={"path": "/seen/0"})).json()
        then = (await client.get(f"/runs/{run_id}/blame", params={"at": 1, "scope": "/"})).json()
    assert {each["path"] for each in whole["items"]} == {"/to", "/n", "/seen", "/seen/0"}
    assert [each["by"]["visit"] for each in item["items"]] == [1]
    assert [each["by"]["type"] for each in then["items"]] == ["run.created"]
    assert (then["seq"], then["more"]) == (1, 0)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("why", "query-invalid"),
        ("why?seq=0", "query-invalid"),
        ("why?seq=999", "seq-not-reached"),
        ("blame?at=999", "seq-not-reached"),
        ("blame?path=/nothing", "path-not-found"),
        ("blame?scope=/split%231/", "scope-not-found"),
        ("diff/nobody", "run-not-found"),
        ("diff/r?at=999", "seq-not-reached"),
    ],
)
async def test_what_cannot_be_told_is_a_problem(query: str, code: str) -> None:
    async with app_client() as client:
        await client.post("/runs", json={"graph": await created(client, COUNT), "id": "r"})
        answer = await client.get(f"/runs/r/{query}")
    assert (answer.json()["type"], answer.status_code) == (
        f"/problems/{code}",
        400 if code == "query-invalid" else 404,
    )
    assert answer.json()["detail"]


async def test_a_parameter_that_is_missing_is_named() -> None:
    async with app_client() as client:
        answer = await client.get("/runs/r/why")
    assert answer.json()["errors"] == [{"pointer": "/seq", "detail": "is missing"}]


async def test_a_diff_is_json_or_text_for_people() -> None:
    async with app_client() as client:
        one, other = [(await ran(client, COUNT, f"r{to}", to=to))["run_id"] for to in (2, 3)]
        body = (await client.get(f"/runs/{one}/diff/{other}")).json()
        text = await client.get(f"/runs/{one}/diff/{other}", headers={"Accept": "text/plain"})
        same = (await client.get(f"/runs/{one}/diff/{one}")).json()
    assert (body["same"], body["parted"]["node"], body["parted"]["visit"]) == (False, "count", 2)
    assert {"op": "replace", "path": "/to", "old": 2, "new": 3} in body["changes"]
    assert text.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert text.text.splitlines()[2] == body["summary"]
    assert (same["same"], same["changes"], same["parted"]) == (True, [], None)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/plain", "text/plain"),
        ("Text/Plain, */*", "text/plain"),
        ("application/json, text/plain, */*", "application/json"),  # as some libraries ask by habit
        ("*/*", "application/json"),
        ("", "application/json"),
    ],
)
async def test_a_diff_is_text_only_for_who_does_not_ask_for_json(accept: str, kind: str) -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=2)
        answer = await client.get("/runs/r/diff/r", headers={"Accept": accept})
    assert answer.headers["Content-Type"].startswith(kind)


async def test_a_client_is_answered_as_the_engine_answers() -> None:
    async with serving() as served, Client(served.url) as client:
        for to in (2, 3):
            await client.run(COUNT, {"to": to}, run_id=f"r{to}")
        seq = (await client.get("r2")).seq
        reason, blame = await client.why("r2", seq), await client.blame("r2", "/n", at=seq)
        diff = await client.diff("r2", "r3", at=2, other_at=3)
        assert reason == await served.engine.why("r2", seq)
        assert blame == await served.engine.blame("r2", "/n", at=seq)
        assert diff == await served.engine.diff("r2", "r3", at=2, other_at=3)
    assert (type(reason), type(blame), type(diff)) == (Reason, BlameAt, RunDiff)


async def test_a_client_raises_what_the_engine_would() -> None:
    async with serving() as served, Client(served.url) as client:
        await client.run(COUNT, {"to": 1}, run_id="r")
        head = (await client.get("r")).seq
        for engine in (served.engine, client):
            for seq in (0, head + 1):
                with pytest.raises(st.SeqNotReached) as found:
                    await engine.why("r", seq)
                assert (found.value.asked, found.value.head) == (seq, head)
                with pytest.raises(st.SeqNotReached):
                    await engine.blame("r", at=seq)
                with pytest.raises(st.SeqNotReached):
                    await engine.diff("r", "r", other_at=seq)
            with pytest.raises(st.PathNotFound, match="has nothing at '/x'"):
                await engine.blame("r", "/x")
            with pytest.raises(st.ScopeNotFound, match="no scope"):
                await engine.blame("r", scope="/a#1/")
            for one, other in (("r", "no"), ("no", "r"), ("r", "/")):
                with pytest.raises(st.UnknownRun):
                    await engine.diff(one, other)
