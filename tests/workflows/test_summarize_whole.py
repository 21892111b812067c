"""A book from beginning to end: real English prose, by path, through a real engine."""

from __future__ import annotations

import time
from pathlib import Path
from pydoc_data import topics

import pytest

from stenograph.workflows import summarize
from tests.figures import Figure
from tests.workflows.summarising import SEQUENCE, State, assert_from, summarised

WORDS_A_PAGE = 500
BOOK = "\n\n".join(topics.topics[name] for name in sorted(topics.topics))


@pytest.fixture(autouse=True)
def no_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STENO_CHAT_URL", raising=False)


@pytest.mark.parametrize(
    ("graph", "chunk_size"),
    [(summarize.GRAPH, 4_000), (summarize.GRAPH, 500), (SEQUENCE, 500)],
    ids=["map of 4,000", "map of 500", "sequence of 500"],
)
async def test_a_book_of_more_than_100_pages_is_summarised(
    graph: State, chunk_size: int, tmp_path: Path, figure: Figure
) -> None:
    (tmp_path / "book.txt").write_text(BOOK, "utf-8")
    given = {"path": "book.txt", "chunk_size": chunk_size, "target_length": 1_000}
    began = time.perf_counter()
    state, events = await summarised(given, graph, journal=str(tmp_path / "book.db"), data=tmp_path)
    took_s = time.perf_counter() - began
    pages = state["source"]["words"] / WORDS_A_PAGE
    assert pages > 100
    assert state["length"] == len(state["summary"]) <= 1_000
    assert not any(each["cut"] for each in state["report"]["sentences"])
    assert_from(BOOK, state)
    journal = (tmp_path / "book.db").stat().st_size
    figure(
        f"{pages:.0f} pages ({state['source']['words']:,} words, "
        f"{state['source']['characters']:,} characters): {len(state['chunks']):,} chunks of about "
        f"{chunk_size:,}, {state['rounds']} rounds to {state['length']} characters "
        f"({state['compression_ratio']:.3%}) in {took_s:.1f} s; {len(events):,} events, "
        f"a journal of {journal / 2**20:.1f} MiB\n\n{state['summary']}"
    )
