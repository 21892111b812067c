"""Sentences: where they begin and end in a text, what words they hold, how one is made shorter."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

LANGUAGE: Final = "en"
WINDOW: Final = 10_000
"""Characters that are looked at together; the segmenter takes quadratic time for some texts."""

ELLIPSIS: Final = "…"

PARAGRAPH: Final = re.compile(r"\n[^\S\n]*\n")
# The full stop, exclamation and question mark of Chinese and Japanese, then closing quotation marks.
_WIDE_END: Final = re.compile("[\u3002\uff01\uff1f\uff61][\u300d\u300f\uff09\u201d\u2019]*$")
_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_DASHES: Final = "\u2013\u2014"
_WIDE: Final = "\u3001\uff0c\uff1a\uff1b"  # the comma, colon and semicolon of Chinese and Japanese
_CLAUSE: Final = re.compile(rf"[,;:{_DASHES}](?=\s)|\s[{_DASHES}-](?=\s)|[{_WIDE}]")
# Thai, Lao, Myanmar, Khmer, kana and Han are written without spaces between words.
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
)


class Span(NamedTuple):
    """A piece of a text: ``text[start:end]``."""

    start: int
    end: int


def spans(text: str, language: str = LANGUAGE) -> list[Span]:
    """Return where the sentences of a text are, in order, without the space around them.

    ``language`` (``en``, ``de``, …) says whose abbreviations count; an unknown one is taken as
    English. An empty line ends a sentence as a full stop does. Raises ModuleNotFoundError without
    the extra ``workflows``.
    """
    segmenter = _segmenter()
    found = []
    for window in _windows(text):
        piece = text[window.start : window.end]
        for each in segmenter.get_sentence_boundaries(language, piece):
            start, end = each["start_index"], each["end_index"]
            if span := _stripped(text, window.start + start, window.start + end):
                found.append(span)
    return found


def split(text: str, language: str = LANGUAGE) -> list[str]:
    """Return the sentences of a text, each on one line: space within them is one blank."""
    return [plain(text[start:end]) for start, end in spans(text, language)]


def plain(text: str) -> str:
    """Return a text on one line, with one blank where there is any space."""
    return " ".join(text.split())


def join(texts: Iterable[str]) -> str:
    """Return sentences as one text; after a Chinese or Japanese full stop there is no blank."""
    pieces: list[str] = []
    for text in texts:
        pieces += [text] if not pieces or _WIDE_END.search(pieces[-1]) else [" ", text]
    return "".join(pieces)


def words(sentence: str) -> list[str]:
    """Return the words of a sentence for comparison, in any script, case folded.

    Where a script puts no space between words, every two neighbouring characters are one.
    """
    found = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", sentence).casefold()):
        if len(word) > 2 and _UNSPACED.search(word):
            found += [word[at : at + 2] for at in range(len(word) - 1)]
        else:
            found.append(word)
    return found


def shorten(sentence: str, limit: int) -> str:
    """Return a sentence in at most ``limit`` characters (1 or more), with an ellipsis if it was cut.

    Its last clauses go first; where that would leave less than half of what fits, its last words;
    where not one word fits, its last letters.
    """
    if len(sentence) <= limit:
        return sentence
    room = limit - len(ELLIPSIS)
    clauses = [found.start() for found in _CLAUSE.finditer(sentence, 0, room + 1)]
    end = clauses[-1] if clauses and clauses[-1] >= room / 2 else sentence.rfind(" ", 0, room + 1)
    if end < 1:
        end = whole_letters(sentence, 0, room)
    return sentence[:end].rstrip(f" ,;:-{_DASHES}{_WIDE}") + ELLIPSIS


def whole_letters(text: str, start: int, end: int) -> int:
    """Return the place at or before ``end`` (but after ``start``) that cuts no letter from its marks."""
    at = end
    while start < at < len(text) and _belongs_to_last(text, at):
        at -= 1
    return at if at > start else end


def _belongs_to_last(text: str, at: int) -> bool:
    joiner = "\u200d"
    return unicodedata.category(text[at])[0] == "M" or joiner in text[at - 1 : at + 1]


def _windows(text: str) -> Iterator[Span]:
    """Yield pieces of a text that end with a paragraph or line, or else with a word."""
    start = 0
    while len(text) - start > WINDOW:
        end = start + WINDOW
        for mark in ("\n\n", "\n", " "):
            if (at := text.rfind(mark, start + WINDOW // 2, end)) >= 0:
                end = at + len(mark)
                break
        yield Span(start, end)
        start = end
    yield Span(start, len(text))


def _stripped(text: str, start: int, end: int) -> Span | None:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    end -= len(piece) - len(piece.rstrip())
    return Span(start, end) if start < end else None


def _segmenter() -> Any:
    try:
        import sentencex  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            'summaries need the extra of the workflows: pip install "stenograph[workflows]"'
        ) from None
    return sentencex
