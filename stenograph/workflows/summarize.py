"""Summarise and refine: split a text, summarise its chunks, merge, and refine until it fits.

``split → summarize`` (a branch for each chunk) ``→ merge → refine``, again until ``length_ok``. The
text is the state's ``text``, or the file at ``path`` in the data folder; ``target_length``,
``chunk_size``, ``summarizer``, ``language`` and ``stop_words`` are optional. docs/summarize.md tells
how a summary comes about.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from math import ceil
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

import stenograph as st
from stenograph.workflows.counting import count
from stenograph.workflows.summary import (
    chat,
    chat_settings,
    chat_summary,
    chunks,
    duplicates,
    sentences,
    shortening,
    texts,
)
from stenograph.workflows.summary.chat_summary import Asking
from stenograph.workflows.summary.options import Options, options
from stenograph.workflows.summary.sentences import Span
from stenograph.workflows.summary.shortening import Sentence
from stenograph.workflows.summary.states import (
    TARGET_LENGTH,
    Config,
    Merged,
    Refined,
    Split,
    Summarized,
    ToFit,
    ToMerge,
    ToRefine,
    ToSplit,
    ToSummarizeAll,
    ToSummarizeOne,
    Written,
)

State: TypeAlias = dict[str, Any]

VERSION: Final = "1"
"""Of the tools; to be raised whenever the same text would be summarised otherwise."""

CHUNKS_MAX: Final = 2_500
SUMMARIES_MAX: Final = 400_000
"""Most characters of all summaries of chunks, so that they fit into one step's change."""

MERGED_MAX: Final = 200_000
SENTENCE_ROOM: Final = 400
"""Characters that a chunk's summary may have whatever the target, so that whole sentences fit."""

SPREAD: Final = 2
"""So many times the target is gathered from all chunks, for refining to choose from."""

WIDTH: Final = 8
"""How many chunks are summarised at a time."""

ROUNDS_MAX: Final = 40
"""Each halves the summary at least, so that 40 are more than any text needs."""

CHAT_ROUNDS: Final = 3
"""Rounds in which a model is asked; if the summary is too long then, sentences are dropped."""

CHAT_INPUT: Final = 20_000
"""Most characters that a model is asked to shorten."""

RETRY: Final = {"attempts": 4, "delay_s": 1, "on": ["ChatTransient"]}

GRAPH: Final[State] = {
    "id": "summarize",
    "start": "split",
    "nodes": {
        "split": {
            "tool": "split_text",
            "next": {
                "each": "chunks",
                "as": "chunk",
                "to": "summarize_chunk",
                "join": "merge",
                "width": WIDTH,
            },
        },
        "summarize_chunk": {"tool": "summarize_chunk", "retry": RETRY},
        "merge": {"tool": "merge_summaries", "next": "refine"},
        "refine": {
            "tool": "refine_summary",
            "retry": RETRY,
            "next": {"to": "refine", "until": {"fn": "length_ok"}, "max": ROUNDS_MAX},
        },
    },
    "state": {"summaries": {"reducer": "concat"}},
}
"""The graph, in canonical form."""


@st.tool(version=VERSION)
async def split_text(state: ToSplit, config: Config, ctx: st.Context) -> Split:
    """Cut the text into ``chunks``: ``{number, start, end}`` each, its place in the text.

    Also ``source``, what was counted in it, and ``target_length``.
    """
    asked = options(state, config)
    file = texts.file_of(state, ctx)
    return await asyncio.to_thread(_split, state, file, asked, ctx)


@st.tool(version=VERSION)
async def summarize_chunk(state: ToSummarizeOne, config: Config, ctx: st.Context) -> Summarized:
    """Summarise the one ``chunk`` of a branch: ``summaries``, a list of one, for a reducer."""
    asked = options(state, config)
    chunk = _wanted(state, "chunk", "the edge to summarize_chunk has each, and as: chunk")
    async with _asking(asked, ctx) as asking:
        return {"summaries": [await _summary(state, chunk, asked, asking, ctx)]}


@st.tool(version=VERSION)
async def summarize_chunks(state: ToSummarizeAll, config: Config, ctx: st.Context) -> Summarized:
    """Summarise all ``chunks``, 8 at a time: ``summaries`` in their order."""
    asked = options(state, config)
    todo = _wanted(state, "chunks", "split_text runs before")
    done: list[State] = [{}] * len(todo)
    waiting = iter(enumerate(todo))
    finished = 0

    async def work(asking: Asking | None) -> None:
        nonlocal finished
        for at, chunk in waiting:
            done[at] = await _summary(state, chunk, asked, asking, ctx)
            finished += 1
            ctx.progress(finished, len(todo), "chunks summarised")

    try:
        async with _asking(asked, ctx) as asking, asyncio.TaskGroup() as tasks:
            for _ in range(WIDTH):
                tasks.create_task(work(asking))
    except BaseExceptionGroup as group:
        raise _first(group) from None
    ctx.log(f"summarised {count(len(todo), 'chunk')}")
    return {"summaries": done}


@st.tool(effects="pure", version=VERSION)
async def merge_summaries(state: ToMerge, config: Config, ctx: st.Context) -> Merged:
    """Join the ``summaries`` without near-duplicates: ``sentences``, ``summary``, ``length``."""
    asked = options(state, config)
    summaries = _wanted(state, "summaries", "summarize_chunk or summarize_chunks runs before")
    found = msgspec.convert(
        [one for each in summaries for one in each["sentences"]], list[Sentence]
    )
    parts = await asyncio.to_thread(_merged, found, asked)
    dropped = len(found) - len(parts)
    ctx.log(
        f"merged {count(len(parts), 'sentence')} of {count(len(summaries), 'chunk')}, "
        f"{count(dropped, 'duplicate')} dropped"
    )
    return {
        **_written(parts),
        "rounds": 0,
        "dropped": dropped,
        "target_length": asked.target_length,
    }


@st.tool(version=VERSION)
async def refine_summary(state: ToRefine, config: Config, ctx: st.Context) -> Refined:
    """Shorten ``summary`` by one round if it is longer than ``target_length``; when it fits, report.

    Writes also ``sentences``, ``length``, ``rounds``, ``compression_ratio`` and ``report``.
    """
    asked = options(state, config)
    parts = msgspec.convert(
        _wanted(state, "sentences", "merge_summaries runs before"), list[Sentence]
    )
    before = len(shortening.joined(parts))
    rounds = state.get("rounds", 0)
    if before > asked.target_length:
        rounds += 1
        parts = await _refined(parts, asked, rounds, ctx)
    written = _written(parts)
    after = written["length"]
    ctx.log(f"round {rounds}: {before:,} to {after:,} of {asked.target_length:,} characters")
    source = _wanted(state, "source", "split_text runs before")
    update: Refined = {
        "sentences": written["sentences"],
        "summary": written["summary"],
        "length": after,
        "rounds": rounds,
        "target_length": asked.target_length,
        "compression_ratio": round(after / source["characters"], 6),
    }
    if after <= asked.target_length:
        update["report"] = _report({**state, **update}, parts, asked)
    return update


@st.predicate
def length_ok(state: ToFit) -> bool:
    """Tell whether the ``summary`` has at most ``target_length`` characters."""
    return len(state.get("summary", "")) <= state.get("target_length", TARGET_LENGTH)


TOOLS: Final = (split_text, summarize_chunk, summarize_chunks, merge_summaries, refine_summary)


def _split(state: ToSplit, file: Path | None, asked: Options, ctx: st.Context) -> Split:
    text = state.get("text") or "" if file is None else texts.read(file)
    if not text.strip():
        raise ValueError("the text is empty: there is nothing to summarise")
    size, spans = _spans(text, asked)
    found = texts.in_text(spans) if file is None else texts.in_file(spans, text, file)
    source = {
        "path": state.get("path"),
        "characters": len(text),
        # By chunks: one call over a book would hold up every other thread.
        "words": sum(len(text[each.start : each.end].split()) for each in spans),
        "chunks": len(found),
        "chunk_size": size,
    }
    told = f"{count(len(text), 'character')} into {count(len(found), 'chunk')}"
    ctx.log(f"split {told} of about {size:,}", words=source["words"])
    return {"chunks": found, "source": source, "target_length": asked.target_length}


def _spans(text: str, asked: Options) -> tuple[int, list[Span]]:
    """Return the chunks, and their size: what was asked for, or more where there were too many."""
    # Most chunks end in their second half.
    size = max(asked.chunk_size, ceil(len(text) * 1.5 / CHUNKS_MAX))
    while len(spans := chunks.split(text, size, asked.language)) > CHUNKS_MAX:
        size *= 2
    return size, spans


async def _summary(
    state: Mapping[str, Any],
    chunk: Mapping[str, int],
    asked: Options,
    asking: Asking | None,
    ctx: st.Context,
) -> State:
    """Return the summary of a chunk, ``{chunk, characters, sentences}``."""
    number, source = chunk["number"], state["source"]
    file = texts.file_of(state, ctx)
    text = await asyncio.to_thread(texts.text_of, chunk, state, file)
    most = SUMMARIES_MAX // source["chunks"]
    wanted = max(SPREAD * ceil(asked.target_length / source["chunks"]), SENTENCE_ROOM)
    room = min(most, wanted, ceil(len(text) / 2))
    if asking is None and source["characters"] <= asked.target_length:
        all_ = await asyncio.to_thread(sentences.split, text, asked.language)
        parts = [Sentence(number, each) for each in all_]
    elif asking is None:
        larger = min(most, SENTENCE_ROOM)
        parts = await asyncio.to_thread(_extract, text, number, room, larger, asked)
    else:
        parts = await chat_summary.summarise(asking, text, number, room)
    return {"chunk": number, "characters": len(text), "sentences": msgspec.to_builtins(parts)}


def _extract(text: str, number: int, room: int, larger: int, asked: Options) -> list[Sentence]:
    """Return the most central sentences of a chunk; in the larger room, if that keeps one whole."""
    found = sentences.split(text, asked.language)
    # A heading or the line of a table tells little; they count where there is nothing else.
    telling = [each for each in found if len(sentences.words(each)) > 2] or found
    all_ = [Sentence(number, each) for each in telling]
    kept = shortening.within(all_, room, asked.stop_words)
    if kept[0].cut:
        whole = shortening.within(all_, larger, asked.stop_words)
        kept = kept if whole[0].cut else whole
    return kept


def _merged(found: Sequence[Sentence], asked: Options) -> list[Sentence]:
    parts = [found[at] for at in duplicates.first_of_each([one.text for one in found])]
    return shortening.within(parts, MERGED_MAX, asked.stop_words)


async def _refined(
    parts: Sequence[Sentence], asked: Options, rounds: int, ctx: st.Context
) -> list[Sentence]:
    """Return a shorter summary: by a model in the first rounds, if there is one."""
    text, target = shortening.joined(parts), asked.target_length
    if asked.summarizer == "chat" and len(text) > CHAT_INPUT:
        return await asyncio.to_thread(shortening.within, parts, CHAT_INPUT, asked.stop_words)
    if asked.summarizer == "chat" and rounds <= CHAT_ROUNDS:
        async with _asking(asked, ctx) as asking:
            assert asking is not None
            said = await chat_summary.shorten(asking, text, target)
        if len(shortening.joined(said)) < len(text):
            return said
        ctx.log("the model made it no shorter; sentences are dropped", level="warning")
    return await asyncio.to_thread(shortening.shorter, parts, target, asked.stop_words)


@asynccontextmanager
async def _asking(asked: Options, ctx: st.Context) -> AsyncIterator[Asking | None]:
    """Open the way to the chat endpoint, where one is to summarise."""
    if asked.summarizer == "extractive":
        yield None
        return
    settings = chat_settings.settings()
    async with chat.client_for(settings) as client:
        yield Asking(ctx, settings, client, asked.language)


def _written(parts: Sequence[Sentence]) -> Written:
    summary = shortening.joined(parts)
    return {"sentences": msgspec.to_builtins(parts), "summary": summary, "length": len(summary)}


def _report(state: Mapping[str, Any], parts: Sequence[Sentence], asked: Options) -> State:
    """Sum up how the summary came about, and where its sentences are from."""
    source, chunks_ = state["source"], {each["number"]: each for each in state["chunks"]}
    taken = [_origin(part, chunks_) for part in parts]
    ratio = state["compression_ratio"]
    told = (
        f"{count(source['characters'], 'character')} in {count(len(chunks_), 'chunk')} "
        f"became {count(state['length'], 'character')} in {count(len(parts), 'sentence')} "
        f"({ratio:.2%}) after {count(state['rounds'], 'round')}"
    )
    same = ("rounds", "length", "target_length", "compression_ratio")
    return {
        "summary": told,
        "summarizer": asked.summarizer,
        "source": source,
        **{key: state[key] for key in same},
        "dropped": state.get("dropped", 0),
        "sentences": taken,
    }


def _origin(part: Sentence, chunks_: Mapping[int, Mapping[str, int]]) -> State:
    place = {} if part.chunk is None else chunks_[part.chunk]
    where = {"chunk": part.chunk, "start": place.get("start"), "end": place.get("end")}
    return {**where, "cut": part.cut, "text": part.text}


def _wanted(state: Mapping[str, Any], key: str, advice: str) -> Any:
    if not state.get(key):
        raise ValueError(f"there is no {key} in the state: see that {advice}")
    return state[key]


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group; the tasks beside it were stopped for it."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
