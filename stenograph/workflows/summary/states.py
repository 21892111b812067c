"""Types: what the tools of a summary read of the state and of a config, and what they write.

What is large, as the summaries of a thousand chunks are, is declared loosely.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias, TypedDict

from msgspec import UNSET, Meta, Struct, UnsetType

from stenograph.workflows.summary.sentences import LANGUAGE

TARGET_LENGTH: Final = 1_000
TARGET_LENGTH_MAX: Final = 100_000
CHUNK_SIZE: Final = 4_000
CHUNK_SIZE_MIN: Final = 100
CHUNK_SIZE_MAX: Final = 20_000
STOP_WORDS_MAX: Final = 2_000
LANGUAGE_MAX: Final = 35

SUMMARIZERS: Final = ("extractive", "chat")

_LIST: Final = {"type": "array", "items": {"type": "object"}}

# What the tools are given.
Text: TypeAlias = Annotated[
    str | None, Meta(description="The text to summarise; the state has this or path.")
]
Path: TypeAlias = Annotated[
    str | None, Meta(description="A file in UTF-8 in the data folder, in place of text.")
]
TargetLength: TypeAlias = Annotated[
    int,
    Meta(
        description="How long the summary may be, in characters.",
        ge=1,
        le=TARGET_LENGTH_MAX,
        extra_json_schema={"default": TARGET_LENGTH},
    ),
]
ChunkSize: TypeAlias = Annotated[
    int,
    Meta(
        description="How long a chunk may be, in characters.",
        ge=CHUNK_SIZE_MIN,
        le=CHUNK_SIZE_MAX,
        extra_json_schema={"default": CHUNK_SIZE},
    ),
]
Summarizer: TypeAlias = Annotated[
    str,
    Meta(
        description="Whether sentences are taken out of the text, or a model is asked; by default "
        "it is asked where one is configured.",
        pattern=f"^({'|'.join(SUMMARIZERS)})$",
        extra_json_schema={"enum": SUMMARIZERS},
    ),
]
Language: TypeAlias = Annotated[
    str,
    Meta(
        description="The code of the language of the text, such as en.",
        max_length=LANGUAGE_MAX,
        extra_json_schema={"default": LANGUAGE},
    ),
]
StopWords: TypeAlias = Annotated[
    list[str],
    Meta(
        description="Words that say nothing about what a sentence is about, in any case.",
        max_length=STOP_WORDS_MAX,
        extra_json_schema={"default": []},
    ),
]

# What they make of it.
Chunks: TypeAlias = Annotated[
    Any,
    Meta(
        description="The chunks: {number, start, end} each, its place in the text.",
        extra_json_schema=_LIST,
    ),
]
Chunk: TypeAlias = Annotated[
    Any,
    Meta(
        description="The chunk of a branch: {number, start, end}, its place in the text.",
        extra_json_schema={"type": "object"},
    ),
]
Source: TypeAlias = Annotated[
    Any,
    Meta(
        description="What was counted in the text: {path, characters, words, chunks, chunk_size}.",
        extra_json_schema={"type": "object"},
    ),
]
Summaries: TypeAlias = Annotated[
    Any,
    Meta(
        description="The summaries of the chunks: {chunk, characters, sentences} each.",
        extra_json_schema=_LIST,
    ),
]
Sentences: TypeAlias = Annotated[
    Any,
    Meta(
        description="The sentences of the summary: {chunk, text, cut} each.",
        extra_json_schema=_LIST,
    ),
]
Summary: TypeAlias = Annotated[str, Meta(description="The summary.")]
Length: TypeAlias = Annotated[int, Meta(description="How long it is, in characters.")]
Dropped: TypeAlias = Annotated[
    int, Meta(description="How many sentences were left out when the summaries were merged.")
]
Rounds: TypeAlias = Annotated[int, Meta(description="How often the summary has been shortened.")]
Ratio: TypeAlias = Annotated[
    float, Meta(description="The length of the summary by that of the text.")
]
Report: TypeAlias = Annotated[
    dict[str, Any],
    Meta(description="How the summary came about, and where its sentences are from."),
]


class Config(Struct, frozen=True, kw_only=True):
    """What the config of a node may say; it wins over the state."""

    target_length: TargetLength | UnsetType = UNSET
    chunk_size: ChunkSize | UnsetType = UNSET
    summarizer: Summarizer | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    stop_words: StopWords | UnsetType = UNSET


class Wishes(TypedDict, total=False):
    """How to summarise."""

    target_length: TargetLength
    chunk_size: ChunkSize
    summarizer: Summarizer
    language: Language
    stop_words: StopWords


class ToSplit(Wishes, total=False):
    """A text, or a file."""

    text: Text
    path: Path


class Split(TypedDict):
    """Where the chunks of a text are."""

    chunks: Chunks
    source: Source
    target_length: TargetLength


class ToSummarizeOne(ToSplit, total=False):
    """A text, and one of its chunks."""

    chunk: Chunk
    source: Source


class ToSummarizeAll(ToSplit, total=False):
    """A text, and all its chunks."""

    chunks: Chunks
    source: Source


class Summarized(TypedDict):
    """What chunks say."""

    summaries: Summaries


class ToMerge(Wishes, total=False):
    """What all chunks say."""

    summaries: Summaries


class Written(TypedDict):
    """A summary, and the sentences that it is of."""

    sentences: Sentences
    summary: Summary
    length: Length


class Merged(Written):
    """The summary, before it is shortened."""

    dropped: Dropped
    rounds: Rounds
    target_length: TargetLength


class ToRefine(Wishes, total=False):
    """The summary so far, and where it is from."""

    sentences: Sentences
    rounds: Rounds
    dropped: Dropped
    source: Source
    chunks: Chunks


class Refined(Written, total=False):
    """The summary after a round; when it fits, with its report."""

    rounds: Rounds
    target_length: TargetLength
    compression_ratio: Ratio
    report: Report


class ToFit(TypedDict, total=False):
    """A summary, and how long it may be."""

    summary: Summary
    target_length: TargetLength
