"""Summaries by a model: real runs against a real server."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from stenograph.workflows import summarize
from stenograph.workflows.summary import chat_summary
from tests.ports import free_port
from tests.workflows.chat_endpoint import (
    KEY,
    Answer,
    Send,
    configure,
    cut,
    endpoint,
    events,
    piece,
    said,
    status,
)
from tests.workflows.summarising import FLOOD, SEQUENCE, State, summarised

SHORT: State = {"text": FLOOD, "chunk_size": 250, "target_length": 60}
GRAPHS = pytest.mark.parametrize("graph", [summarize.GRAPH, SEQUENCE], ids=["map", "sequence"])
LONG = "The river Elm rose and flooded the old town, which was left under mud for a long time."


def logs(found: list[Any], about: str = "") -> list[Any]:
    """Return what was logged: all, or the tokens about a chunk."""
    lines = [event.data for event in found if event.type == "log"]
    if not about:
        return lines
    wanted = {"about": about, "kind": "tokens"}
    return [line for line in lines if line.fields and json.loads(bytes(line.fields)) == wanted]


@GRAPHS
async def test_a_model_summarises_each_chunk_and_the_whole(
    graph: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with endpoint(monkeypatch) as there:
        there.answers = [said(LONG), said(LONG), said(LONG.upper()), said("It ", "flooded.")]
        state, _ = await summarised({**SHORT, "text": FLOOD}, graph)
    assert (state["summary"], state["rounds"]) == ("It flooded.", 1)
    assert state["report"]["summarizer"] == "chat"
    assert state["report"]["sentences"] == [
        {"chunk": None, "start": None, "end": None, "cut": False, "text": "It flooded."}
    ]
    questions = [each["messages"][1]["content"] for each in there.asked]
    assert sum("Mayor J. R. Brook" in question for question in questions[:3]) == 1
    assert questions[3].startswith("Shorten this summary to at most 60 characters.")
    assert len({each["idempotency-key"] for each in there.headers}) == 4


async def test_the_chunks_of_a_node_are_asked_about_at_the_same_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    full = asyncio.Event()

    async with endpoint(monkeypatch) as there:

        async def answer_when_nobody_else_comes(send: Send) -> None:
            if len(there.asked) >= summarize.WIDTH:
                full.set()
            await full.wait()
            await asyncio.sleep(0.1)
            asked.append(len(there.asked))
            await said("A short one.")(send)

        there.answers = [*[answer_when_nobody_else_comes] * summarize.WIDTH, said("Another.")]
        state, _ = await summarised({"text": FLOOD * 20, "chunk_size": 200})
    assert asked[0] == summarize.WIDTH
    assert len(there.asked) == len(state["chunks"]) > 2 * summarize.WIDTH


async def test_an_answer_is_told_a_few_times_a_second_while_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chat_summary, "TOLD_EVERY_S", 0.05)
    tokens = [f"word{n} " for n in range(60)]
    async with endpoint(monkeypatch) as there:
        there.answers = [said(*tokens, pause_s=0.01)]
        state, found = await summarised({"text": FLOOD})
    told = logs(found, "chunk 0")
    assert 2 <= len(told) < len(tokens) / 2
    assert "".join(each.message for each in told) == "".join(tokens)
    assert "characters of chunk 0" in [each.message for each in logs(found)]
    assert state["summary"] == "".join(tokens).strip()


async def test_a_model_that_is_no_shorter_gives_way_to_dropping_sentences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with endpoint(monkeypatch) as there:
        there.answers = [said(f"{LONG} It was cold. {LONG}")]
        state, found = await summarised({**SHORT, "text": FLOOD[:200], "target_length": 90})
    assert state["length"] <= 90
    assert "the model made it no shorter; sentences are dropped" in [
        each.message for each in logs(found)
    ]


async def test_a_model_that_is_never_short_enough_is_asked_a_few_times_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = ["word " * n for n in (100, 90, 80, 70, 60)]
    async with endpoint(monkeypatch) as there:
        there.answers = [said(each) for each in answers]
        state, _ = await summarised({**SHORT, "chunk_size": 1_000})
    assert len(there.asked) == 1 + summarize.CHAT_ROUNDS
    assert state["rounds"] > summarize.CHAT_ROUNDS
    assert state["length"] <= 60


async def test_an_answer_far_too_long_is_shortened_here(monkeypatch: pytest.MonkeyPatch) -> None:
    flood = " ".join(f"Sentence {n} says the very same." for n in range(2_000))
    async with endpoint(monkeypatch) as there:
        there.answers = [said(flood)]
        state, _ = await summarised({**SHORT, "target_length": 5_000})
    assert len(json.dumps(state["summaries"])) < 30_000


async def test_more_than_a_model_reads_at_once_is_shortened_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(summarize, "CHAT_INPUT", 200)
    async with endpoint(monkeypatch) as there:
        there.answers = [
            *(
                said(f"Chunk {n} tells of {n} other things. It is {n} lines long.")
                for n in range(9)
            ),
            said("All is told."),
        ]
        state, _ = await summarised({"text": FLOOD * 3, "chunk_size": 250, "target_length": 60})
    assert (state["summary"], state["rounds"]) == ("All is told.", 2)
    assert len(there.asked[-1]["messages"][1]["content"]) < 400


@pytest.mark.parametrize(
    ("answer", "summary"),
    [
        ("A whole one. Half of anoth", "A whole one."),
        ("Half of one", "Half of one…"),
    ],
)
async def test_an_answer_that_a_limit_cut_loses_its_half_sentence(
    answer: str, summary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with endpoint(monkeypatch) as there:
        there.answers = [said(answer, ended="length")]
        state, found = await summarised({"text": FLOOD})
    assert state["summary"] == summary
    cut = f"the answer about chunk 0 was cut at {len(answer)} characters"
    assert cut in [each.message for each in logs(found)]


FAILURES: dict[str, Answer] = {
    "ChatUnauthorized": status(401, {"error": {"message": f"Incorrect API key: {KEY}"}}),
    "ChatRefused": status(400, {"error": {"message": f"no model small-1 for {KEY}"}}),
    "ChatRateLimited": status(429, f"slow down, {KEY}", {"Retry-After": "60"}),
    "ChatUnavailable": status(500, f"it broke with {KEY}"),
    "ChatCut": cut(piece(f"Your key is {KEY}"), piece("and")),
    "ChatMalformed": events(piece("Half"), f"not JSON: {KEY}"),
    "ChatEmpty": said(""),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_has_a_name_that_an_edge_can_catch(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph: State = json.loads(json.dumps(SEQUENCE))
    graph["nodes"]["summarize"]["next"] = [
        {"to": "apart", "on": "error", "when": f"error.type == '{name}'"},
        {"to": "merge"},
    ]
    graph["nodes"]["apart"] = {}
    async with endpoint(monkeypatch) as there:
        there.answers = [FAILURES[name]]
        _, found = await summarised(SHORT, graph, journal=str(tmp_path / "a.db"))
    assert [event.data.node for event in found if event.type == "node.entered"][-1] == "apart"
    assert_no_key(tmp_path)


async def test_a_failure_that_passes_is_tried_again_with_the_same_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph = json.loads(json.dumps(summarize.GRAPH))
    graph["nodes"]["summarize_chunk"]["retry"]["delay_s"] = 0.01
    async with endpoint(monkeypatch) as there:
        there.answers = [FAILURES["ChatUnavailable"], FAILURES["ChatCut"], said("It flooded.")]
        state, _ = await summarised({"text": FLOOD}, graph)
    assert state["summary"] == "It flooded."
    assert len({each["idempotency-key"] for each in there.headers}) == 1
    assert len(there.asked) == 3


async def test_a_short_wait_that_is_asked_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with endpoint(monkeypatch) as there:
        there.answers = [status(429, "slow", {"Retry-After": "0"}), said("It flooded.")]
        _, found = await summarised({"text": FLOOD})
    said_ = [each.message for each in logs(found) if each.level == "warning"]
    assert said_ == [f"{there.url}/chat/completions asks to wait 0 s"]


async def test_a_key_that_a_model_says_is_nowhere_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_summary, "TOLD_EVERY_S", 0.0)
    echo = said("Your key is ", *KEY, ". ", KEY, " it is. ", *LONG, pause_s=0.001)
    async with endpoint(monkeypatch) as there:
        there.answers = [echo]
        state, found = await summarised(
            {**SHORT, "target_length": 1_000}, journal=str(tmp_path / "a.db")
        )
        assert f"Bearer {KEY}" in there.headers[0].values()
    assert state["summary"].startswith("Your key is [key]. [key] it is.")
    told = "".join(each.message for each in logs(found, "chunk 0"))
    assert told.startswith("Your key is [key]")
    assert_no_key(tmp_path)


async def test_the_whole_of_a_run_leaves_no_key_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with endpoint(monkeypatch) as there:
        there.answers = [said(LONG), said("It flooded.")]
        await summarised(SHORT, summarize.GRAPH, journal=str(tmp_path / "a.db"))
        # At DEBUG the transport logs the headers of answers: what an endpoint puts there is its own.
        caplog.set_level("INFO")
        moved = status(302, headers={"Location": f"http://127.0.0.1:9/{KEY}"})
        there.answers = [moved]
        await summarised(SHORT, journal=str(tmp_path / "b.db"), status="failed")
    assert KEY not in caplog.text
    assert_no_key(tmp_path)


async def test_a_run_does_without_a_model_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs/summarize.md").read_text("utf-8")
    graph = json.loads(re.findall(r"```json graph\n(.*?)```", page, re.DOTALL)[1])
    configure(monkeypatch, f"http://127.0.0.1:{free_port()}/v1")
    state, found = await summarised(SHORT, graph)
    assert state["length"] <= 60
    assert "take" in [event.data.node for event in found if event.type == "node.entered"]


async def test_the_state_may_choose_sentences_over_a_configured_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with endpoint(monkeypatch) as there:
        state, _ = await summarised({**SHORT, "summarizer": "extractive"})
    assert (there.asked, state["report"]["summarizer"]) == ([], "extractive")


async def test_a_model_that_is_wanted_and_not_configured_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure(monkeypatch, "")
    _, found = await summarised({**SHORT, "summarizer": "chat"}, status="failed")
    (error,) = [event.data.error for event in found if event.type == "run.failed"]
    assert error.type == "ChatMisconfigured"
    assert re.match(
        r"STENO_CHAT_URL is the address of an OpenAI-compatible endpoint", error.message
    )


def assert_no_key(folder: Path) -> None:
    """No file of a journal holds the key, or a telling part of it."""
    files = [file.read_bytes() for file in folder.iterdir()]
    assert sum(map(len, files)) > 10_000
    assert not any(KEY[:12].encode() in each or KEY[-12:].encode() in each for each in files)
