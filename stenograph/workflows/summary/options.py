"""The options of a summary: read from the config of the node, else from the state, and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, get_args

from msgspec import Struct

from stenograph.workflows.summary import chat_settings
from stenograph.workflows.summary.sentences import LANGUAGE

TARGET_LENGTH: Final = 1_000
TARGET_LENGTH_MAX: Final = 100_000
CHUNK_SIZE: Final = 4_000
CHUNK_SIZE_MIN: Final = 100
CHUNK_SIZE_MAX: Final = 20_000
STOP_WORDS_MAX: Final = 2_000

Summarizer: TypeAlias = Literal["extractive", "chat"]


class Options(Struct, frozen=True):
    """How to summarise; lengths are characters."""

    target_length: int
    chunk_size: int
    summarizer: Summarizer
    language: str
    stop_words: frozenset[str]


def options(state: Mapping[str, Any], config: Mapping[str, Any]) -> Options:
    """Return the options; raises ValueError, which names the one that cannot be."""

    def given(key: str, default: Any) -> Any:
        return config.get(key, state.get(key, default))

    default = "chat" if chat_settings.is_configured() else "extractive"
    return Options(
        _number("target_length", given("target_length", TARGET_LENGTH), 1, TARGET_LENGTH_MAX),
        _number("chunk_size", given("chunk_size", CHUNK_SIZE), CHUNK_SIZE_MIN, CHUNK_SIZE_MAX),
        _summarizer(given("summarizer", default)),
        _language(given("language", LANGUAGE)),
        _stop_words(given("stop_words", [])),
    )


def _number(name: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    rule = f"a whole number of characters from {least:,} to {most:,}"
    raise ValueError(f'"{name}" is {rule}; it is {value!r:.100}')


def _summarizer(value: Any) -> Summarizer:
    if value not in get_args(Summarizer):
        raise ValueError(f'"summarizer" is "extractive" or "chat"; it is {value!r:.100}')
    found: Summarizer = value
    return found


def _language(value: Any) -> str:
    if isinstance(value, str) and len(value) <= 35:
        return value
    raise ValueError(f'"language" is the code of one, such as "en"; it is {value!r:.100}')


def _stop_words(value: Any) -> frozenset[str]:
    fine = isinstance(value, list) and len(value) <= STOP_WORDS_MAX
    if fine and all(isinstance(each, str) for each in value):
        return frozenset(each.casefold() for each in value)
    raise ValueError(
        f'"stop_words" is a list of at most {STOP_WORDS_MAX:,} words; it is {value!r:.100}'
    )
