from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import stenograph as st
from stenograph.engine import open_data_folder
from stenograph.workflows import summarize
from stenograph.workflows.summarize import (
    length_ok,
    merge_summaries,
    refine_summary,
    split_text,
    summarize_chunk,
    summarize_chunks,
)
from stenograph.workflows.summary.texts import TextChanged
from tests.workflows.reviewing import Listener, merged
from tests.workflows.summarising import FLOOD, SEQUENCE, State, assert_from, summarised

GRAPHS = pytest.mark.parametrize("graph", [summarize.GRAPH, SEQUENCE], ids=["map", "sequence"])


@pytest.fixture(autouse=True)
def no_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STENO_CHAT_URL", raising=False)


# the graphs


@GRAPHS
async def test_a_text_is_summarised_until_it_fits(graph: State) -> None:
    given = {"text": FLOOD, "chunk_size": 250, "target_length": 120}
    state, _ = await summarised(given, graph)
    assert state["length"] == len(state["summary"]) <= 120
    assert state["rounds"] >= 1
    assert [each["chunk"] for each in state["summaries"]] == list(range(len(state["chunks"])))
    assert_from(FLOOD, state)


async def test_both_graphs_come_to_the_same_summary_each_time() -> None:
    given = {"text": FLOOD, "chunk_size": 200, "target_length": 150}
    first, _ = await summarised(given)
    again, _ = await summarised(given, summarize.GRAPH)
    assert first == again


@GRAPHS
async def test_a_file_in_the_data_folder_is_summarised_like_its_text(
    graph: State, tmp_path: Path
) -> None:
    (tmp_path / "flood.txt").write_text(FLOOD)
    given = {"chunk_size": 250, "target_length": 120}
    state, events = await summarised({**given, "path": "flood.txt"}, graph, data=tmp_path)
    inline, _ = await summarised({**given, "text": FLOOD}, graph)
    assert state["summary"] == inline["summary"]
    everything = "".join(str(event) for event in events)
    assert "A local baker gave bread" not in everything


async def test_a_short_text_is_its_own_summary() -> None:
    state, _ = await summarised({"text": "Only one sentence."})
    assert (state["summary"], state["rounds"], state["length"]) == ("Only one sentence.", 0, 18)
    assert state["compression_ratio"] == 1


@pytest.mark.parametrize("chunk_size", [100, 4_000])
async def test_a_text_that_fits_keeps_all_its_sentences(chunk_size: int) -> None:
    state, _ = await summarised({"text": FLOOD, "chunk_size": chunk_size})
    assert (state["summary"], state["rounds"]) == (" ".join(FLOOD.split()), 0)
    longer, _ = await summarised({"text": FLOOD, "target_length": len(FLOOD) - 1})
    assert longer["length"] < len(FLOOD) / 2


@pytest.mark.parametrize("target", [1, 2, 7, 40])
async def test_the_smallest_targets_are_reached_too(target: int) -> None:
    state, _ = await summarised({"text": FLOOD, "target_length": target})
    assert 0 < state["length"] <= target
    assert state["summary"].endswith("…")


@pytest.mark.parametrize("text", ["字" * 3_000, "x" * 3_000, "*** " * 900, "。" * 600, "a. " * 900])
async def test_any_text_is_summarised(text: str) -> None:
    state, _ = await summarised({"text": text, "chunk_size": 500, "target_length": 50})
    assert state["length"] <= 50


@pytest.mark.parametrize(
    ("length", "sentence"),
    [
        (0, "is at least 1"),
        ("300", "is text, not an integer"),
        (None, "is null, not an integer"),
    ],
)
async def test_a_target_that_cannot_be_ends_the_run_with_one_sentence(
    length: object, sentence: str
) -> None:
    _, events = await summarised({"text": FLOOD, "target_length": length}, status="failed")
    (error,) = [event.data.error for event in events if event.type == "run.failed"]
    assert (error.node, error.type) == ("split", "state-mismatch")
    assert error.message == f"/target_length {sentence}"


async def test_the_graph_is_sound(tmp_path: Path) -> None:
    async with st.open(":memory:", tools=[summarize]) as engine:
        stored = await engine.create_graph(summarize.GRAPH)
    assert (stored.graph_id, stored.warnings) == ("summarize", ())


def test_a_server_may_know_the_tools_without_what_they_need() -> None:
    without = "import sys; sys.modules.update(sentencex=None, httpx_sse=None); "
    program = f"{without}from stenograph.workflows import summarize; print(summarize.GRAPH['id'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("summarize\n", "")


def test_every_tool_is_async() -> None:
    assert all(tool.is_async for tool in summarize.TOOLS)


# split_text


async def test_split_says_what_it_found() -> None:
    listener = Listener()
    state = merged(
        {}, await split_text.call({"text": FLOOD, "chunk_size": 250}, config={}, ctx=listener.ctx)
    )
    assert [sorted(each) for each in state["chunks"]] == [["end", "number", "start"]] * 3
    assert state["source"] == {
        "path": None,
        "characters": len(FLOOD),
        "words": len(FLOOD.split()),
        "chunks": 3,
        "chunk_size": 250,
    }
    assert state["target_length"] == 1_000
    assert listener.said == [f"split {len(FLOOD)} characters into 3 chunks of about 250"]


@pytest.mark.parametrize("text", [FLOOD * 20, f"{'y' * 900} " * 13], ids=["prose", "long words"])
async def test_chunks_grow_where_there_would_be_too_many(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summarize, "CHUNKS_MAX", 10)
    given = {"text": text, "chunk_size": 100, "target_length": 200}
    state, _ = await summarised(given)
    assert 5 <= len(state["chunks"]) <= 10
    assert state["chunk_size"] == 100
    assert state["source"]["chunk_size"] > 1_000


@pytest.mark.parametrize("text", ["", " \n\t"])
async def test_an_empty_text_has_no_summary(text: str) -> None:
    with pytest.raises(ValueError, match="the text is empty: there is nothing to summarise"):
        await split_text.call({"text": text}, config={}, ctx=Listener().ctx)


# summarize_chunk, summarize_chunks


async def test_a_chunk_keeps_its_most_central_sentences_in_their_order() -> None:
    given = {"text": FLOOD, "target_length": 500}
    state = merged(given, await split_text.call(given, config={}, ctx=Listener().ctx))
    update = await summarize_chunk.call(
        {**state, "chunk": state["chunks"][0]}, config={}, ctx=Listener().ctx
    )
    (summary,) = update["summaries"]
    told = [each["text"] for each in summary["sentences"]]
    assert (summary["chunk"], summary["characters"]) == (0, len(FLOOD.strip()))
    assert told == sorted(told, key=FLOOD.replace("\n", " ").index)
    assert "over the river" in " ".join(told)
    assert len(" ".join(told)) <= len(FLOOD) / 2


async def test_chunks_are_summarised_in_their_order_and_counted() -> None:
    listener = Listener()
    text = " ".join(f"Sentence number {n} is not very long." for n in range(200))
    state = merged(
        {"text": text},
        await split_text.call({"text": text, "chunk_size": 300}, config={}, ctx=listener.ctx),
    )
    found = (await summarize_chunks.call(state, config={}, ctx=listener.ctx))["summaries"]
    assert [each["chunk"] for each in found] == list(range(len(state["chunks"])))
    assert listener.said[-1] == f"summarised {len(found)} chunks"


async def test_a_whole_sentence_is_better_than_a_cut_one() -> None:
    text = f"The river rose so high that it had flooded {'very many ' * 20}houses."
    state, _ = await summarised({"text": f"{text} It was cold then.", "target_length": 250})
    assert (state["summary"], state["report"]["sentences"][0]["cut"]) == (text, False)


async def test_a_sentence_longer_than_any_room_is_cut() -> None:
    text = "The river rose " + "and rose " * 100 + "until it fell."
    state, _ = await summarised({"text": text, "target_length": 300})
    assert state["report"]["sentences"][0]["cut"]
    assert_from(text, state)


async def test_headings_and_lines_of_tables_count_where_there_is_nothing_else() -> None:
    table = "\n\n".join(f"Row {n}" for n in range(50))
    state, _ = await summarised({"text": table, "target_length": 60})
    assert "Row" in state["summary"]


async def test_a_file_that_changes_while_it_is_summarised_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(FLOOD)
    ctx = Listener(folder=open_data_folder(tmp_path)).ctx
    state = merged({"path": "a.txt"}, await split_text.call({"path": "a.txt"}, config={}, ctx=ctx))
    (tmp_path / "a.txt").write_text(FLOOD.upper())
    with pytest.raises(TextChanged, match="start a new run"):
        await summarize_chunks.call(state, config={}, ctx=ctx)


# merge_summaries


async def test_merging_drops_what_was_said_before() -> None:
    said = [["It rained hard all night.", "A dog barked."], ["It rained hard, all night!", "So."]]
    summaries = [
        {"chunk": n, "sentences": [{"chunk": n, "text": text} for text in texts]}
        for n, texts in enumerate(said)
    ]
    listener = Listener()
    state = merged(
        {}, await merge_summaries.call({"summaries": summaries}, config={}, ctx=listener.ctx)
    )
    assert state["summary"] == "It rained hard all night. A dog barked. So."
    assert [each["chunk"] for each in state["sentences"]] == [0, 0, 1]
    assert (state["dropped"], state["rounds"], state["length"]) == (1, 0, 43)
    assert listener.said == ["merged 3 sentences of 2 chunks, 1 duplicate dropped"]


# refine_summary, length_ok


async def test_a_round_says_what_it_did() -> None:
    parts = [{"chunk": 0, "text": f"Sentence {n} tells something new."} for n in range(20)]
    state = {"sentences": parts, "source": {"characters": 10_000}, "target_length": 100}
    listener = Listener()
    update = merged(state, await refine_summary.call(state, config={}, ctx=listener.ctx))
    assert (update["rounds"], update["target_length"]) == (1, 100)
    assert update["compression_ratio"] == update["length"] / 10_000
    assert listener.said == [f"round 1: 649 to {update['length']} of 100 characters"]
    assert "report" not in update
    assert not length_ok(update)


async def test_the_config_of_the_node_sets_the_target_that_is_checked() -> None:
    parts = [{"chunk": 0, "text": "It rained hard, and the river rose."}]
    state = {
        "sentences": parts,
        "source": {"characters": 100},
        "chunks": [{"number": 0, "start": 0, "end": 100}],
        "target_length": 500,
    }
    update = merged(
        state, await refine_summary.call(state, config={"target_length": 20}, ctx=Listener().ctx)
    )
    assert (update["summary"], update["target_length"]) == ("It rained hard…", 20)
    assert length_ok(update)


def test_no_summary_is_never_too_long() -> None:
    assert length_ok({})


async def test_the_report_says_where_each_sentence_is_from() -> None:
    state, _ = await summarised({"text": FLOOD, "chunk_size": 250, "target_length": 130})
    report = state["report"]
    for each in report["sentences"]:
        assert each["text"] in FLOOD.replace("\n", " ")[each["start"] : each["end"]]
    assert report["summarizer"] == "extractive"
    assert report["summary"] == (
        f"{len(FLOOD)} characters in 3 chunks became {state['length']} characters in "
        f"{len(report['sentences'])} sentences ({state['compression_ratio']:.2%}) after "
        f"{state['rounds']} round{'s' if state['rounds'] != 1 else ''}"
    )
    for key in ("length", "target_length", "rounds", "compression_ratio", "source", "dropped"):
        assert report[key] == state[key]


@pytest.mark.parametrize(
    ("tool", "sentence"),
    [
        (summarize_chunk, "there is no chunk in the state: see that the edge"),
        (summarize_chunks, "there is no chunks in the state: see that split_text runs before"),
        (merge_summaries, "there is no summaries in the state: see that summarize_chunk"),
        (refine_summary, "there is no sentences in the state: see that merge_summaries runs"),
    ],
)
async def test_a_tool_out_of_order_says_what_it_needs(tool: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        await tool.call({"text": FLOOD}, config={}, ctx=Listener().ctx)


async def test_every_state_is_small_and_json() -> None:
    state, _ = await summarised({"text": FLOOD, "target_length": 100})
    assert len(json.dumps(state, allow_nan=False)) < 4_000
