"""Shortening: a summary loses its least central sentences, then clauses and words, until it fits."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final

from msgspec import Struct

from stenograph.workflows.summary import sentences, textrank

FILLED: Final = 3
"""Sentences that fill less of the room than one part in so many give way to a cut one."""

NEAR: Final = 3
"""From so many times the target on it is gone for at once, while there is enough to choose from."""


class Sentence(Struct, frozen=True, omit_defaults=True):
    """A sentence of a summary: the number of its chunk, None once a model has rewritten the whole.

    ``cut`` says that it is no whole sentence any more.
    """

    chunk: int | None
    text: str
    cut: bool = False


def joined(parts: Sequence[Sentence]) -> str:
    """Return the sentences as one text."""
    return sentences.join(part.text for part in parts)


def shorter(
    parts: Sequence[Sentence], target: int, stop_words: frozenset[str] = frozenset()
) -> list[Sentence]:
    """Return sentences of half the length together; of ``target`` characters when that is near.

    So a text of any length fits after a few rounds, each of which judges what the last one left.
    The most central sentences stay, in their order; where not one fits, the most central is cut.
    """
    length = len(joined(parts))
    limit = target if length <= NEAR * target else ceil(length / 2)
    return within(parts, limit, stop_words)


def within(
    parts: Sequence[Sentence], limit: int, stop_words: frozenset[str] = frozenset()
) -> list[Sentence]:
    """Return the most central sentences that fit into ``limit`` characters, at least one."""
    if len(joined(parts)) <= limit:
        return list(parts)
    texts = [part.text for part in parts]
    scores = textrank.rank(texts, stop_words)
    kept = [parts[at] for at in textrank.best(texts, scores, limit)]
    if len(joined(kept)) * FILLED >= limit:
        return kept
    # What fits is hardly more than headings: say a part of what matters most.
    first = parts[max(range(len(parts)), key=lambda at: (scores[at], -at))]
    return [Sentence(first.chunk, sentences.shorten(first.text, limit), cut=True)]
