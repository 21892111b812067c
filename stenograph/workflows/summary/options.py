"""The options of a summary: of the config of the node, else of the state, else as usual."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from stenograph.workflows.summary import chat_settings
from stenograph.workflows.summary.sentences import LANGUAGE
from stenograph.workflows.summary.states import CHUNK_SIZE, TARGET_LENGTH, Config


class Options(Struct, frozen=True):
    """How to summarise; lengths are characters."""

    target_length: int
    chunk_size: int
    summarizer: str
    language: str
    stop_words: frozenset[str]


def options(state: Mapping[str, Any], config: Config) -> Options:
    """Return the options; what they may be, their types have said already."""
    given = {**state, **msgspec.to_builtins(config)}
    default = "chat" if chat_settings.is_configured() else "extractive"
    return Options(
        given.get("target_length", TARGET_LENGTH),
        given.get("chunk_size", CHUNK_SIZE),
        given.get("summarizer", default),
        given.get("language", LANGUAGE),
        frozenset(each.casefold() for each in given.get("stop_words", [])),
    )
