"""Every number and name in docs/summarize.md is what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from stenograph.workflows import summarize
from stenograph.workflows.summary import (
    chat,
    chat_errors,
    chat_settings,
    chunks,
    duplicates,
    options,
    sentences,
    shortening,
    states,
    textrank,
    texts,
)
from tests.workflows.summarising import FLOOD, summarised

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs/summarize.md").read_text("utf-8")
ONE_LINE: Final = " ".join(PAGE.split())


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table after a piece of text."""
    table = PAGE.partition(heading)[2].partition("| --- ")[2].partition("\n\n")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]
    ]


def names(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


def test_the_graph_is_the_graph() -> None:
    graph = re.findall(r"```json graph\n(.*?)```", PAGE, re.DOTALL)[0]
    assert json.loads(graph) == summarize.GRAPH


async def test_every_key_that_a_summary_writes_is_on_the_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("STENO_CHAT_URL", raising=False)
    table = {row[0].strip("`"): row[2] for row in rows("prints the final state")}
    assert set(table) == {tool.name for tool in summarize.TOOLS}
    state, _ = await summarised({"text": FLOOD})
    assert {key for cell in table.values() for key in names(cell)} == set(state) - {"text"}


def test_the_options_and_their_defaults_are_those_of_the_code() -> None:
    defaults = {row[0].strip("`"): row[2] for row in rows("What they read from the config")}
    assert set(defaults) == {"text", "path", *options.Options.__struct_fields__}
    assert defaults["target_length"] == f"{states.TARGET_LENGTH:,}"
    assert defaults["chunk_size"] == f"{states.CHUNK_SIZE:,}"
    assert defaults["language"] == f"`{sentences.LANGUAGE}`"


def test_the_errors_are_the_errors() -> None:
    errors = {
        name
        for name, thing in vars(chat_errors).items()
        if isinstance(thing, type) and issubclass(thing, chat_errors.ChatError)
    }
    assert {row[0].strip("`") for row in rows("is the same for every attempt")} == errors - {
        "ChatError"
    }


@pytest.mark.parametrize(
    "sentence",
    [
        f"at most {texts.FILE_MAX:,} bytes",
        f"may be: 1 to {states.TARGET_LENGTH_MAX:,} characters",
        f"may be: {states.CHUNK_SIZE_MIN} to {states.CHUNK_SIZE_MAX:,} characters",
        f"at most {states.STOP_WORDS_MAX:,} | none",
        f"At most {summarize.CHUNKS_MAX:,} chunks are made",
        f"come to {summarize.SUMMARIES_MAX:,} characters at most",
        f"merged of them to {summarize.MERGED_MAX:,}",
        f"longer than {chunks.WORD_MAX} characters",
        f"in blocks of {textrank.BLOCK}",
        f"no more than {summarize.SENTENCE_ROOM} characters",
        f"{duplicates.ALIKE:.0%}".replace("%", " % of their words"),
        f"keys of {chat_settings.HIDDEN_FROM} characters or more",
        f"up to {summarize.CHAT_ROUNDS} rounds",
        f"given {summarize.CHAT_INPUT:,} characters",
        f"more than {chat.WAIT_MAX_S:g} seconds",
        f"no connection in {chat.CONNECT_S:g} seconds, or nothing said for {chat.SILENCE_S:g}",
        f"all chunks, {summarize.WIDTH} at a time",
    ],
)
def test_a_number_on_the_page_is_that_of_the_code(sentence: str) -> None:
    assert sentence in ONE_LINE


def test_words_for_numbers_are_right_too() -> None:
    assert (shortening.NEAR, summarize.SPREAD, chat.WAITS, textrank.COMMON) == (3, 2, 2, 0.5)
    for sentence in (
        "from three times the target on",
        "twice its share of the target",
        "429, twice after waiting",
        "more than half the sentences of a block",
    ):
        assert sentence in ONE_LINE
