"""Chunks: a text cut into pieces of about one size, at paragraphs and sentences, never in a word."""

from __future__ import annotations

from typing import Final

from stenograph.workflows.summary import sentences
from stenograph.workflows.summary.sentences import LANGUAGE, PARAGRAPH, Span

WORD_MAX: Final = 200
"""Characters without a space that are still a word; what is longer may be cut."""

AHEAD: Final = 100
"""Characters behind a chunk's end that are looked at: what follows tells whether a sentence ended."""


def split(text: str, size: int, language: str = LANGUAGE) -> list[Span]:
    """Return where the chunks of a text are, in order, without the space around them.

    A chunk holds ``size`` characters at most, or as many more as its last word needs. It ends with
    a paragraph if one ends in its second half, else with its last sentence, else with a word.
    """
    found = []
    start = _behind_space(text, 0)
    while start < len(text):
        end = _end(text, start, size, language)
        piece = text[start:end]
        found.append(Span(start, start + len(piece.rstrip())))
        start = _behind_space(text, end)
    return found


def _end(text: str, start: int, size: int, language: str) -> int:
    limit = start + size
    if len(text) <= limit:
        return len(text)
    ends = [found.start() for found in PARAGRAPH.finditer(text, start + size // 2, limit + 2)]
    if ends:
        return ends[-1]
    piece = text[start : limit + AHEAD]
    ends = [start + span.end for span in sentences.spans(piece, language)]
    # The first quarter is too little; a sentence that is longer is cut between words.
    fitting = [
        end for end in ends if start + size // 4 < end <= limit and not _is_in_word(text, end)
    ]
    return fitting[-1] if fitting else _word_end(text, start, limit)


def _is_in_word(text: str, at: int) -> bool:
    """Tell whether a full stop before ``at`` may be one within a word, as in ``a.b``."""
    return text[at - 1].isascii() and not text[at].isspace()


def _word_end(text: str, start: int, limit: int) -> int:
    """Return a place at or before ``limit`` between words, or else behind the word it is in."""
    for at in range(limit, start, -1):
        if text[at].isspace():
            return at
    for at in range(limit, min(limit + WORD_MAX, len(text))):
        if text[at].isspace():
            return at
    if len(text) <= limit + WORD_MAX:
        return len(text)
    # No space near: Chinese and its like, or no language at all.
    for at in range(limit, start, -1):
        if not text[at - 1].isalnum() and text[at].isalnum():
            return at
    return sentences.whole_letters(text, start, limit)


def _behind_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at
