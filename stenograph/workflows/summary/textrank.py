"""TextRank: how central each sentence is among its neighbours.

Source: R. Mihalcea and P. Tarau, TextRank: Bringing Order into Texts, EMNLP 2004. Sentences are the
vertices of a graph, weighted by the words that two share; what many central sentences resemble is
central. No training, no language is assumed, and the same sentences get the same scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from math import log
from typing import Final

from stenograph.workflows.summary import sentences

DAMPING: Final = 0.85
TOLERANCE: Final = 1e-4
ROUNDS_MAX: Final = 100
BLOCK: Final = 200
"""Most sentences that are compared with each other: all pairs of them are."""

COMMON: Final = 0.5
"""A word in more than this share of a block's sentences says nothing about any of them."""

COMMON_FROM: Final = 10
"""Sentences from which on that is judged."""


def rank(texts: Sequence[str], stop_words: frozenset[str] = frozenset()) -> list[float]:
    """Return a score for each sentence; above 1 is more central than the mean of its block.

    Sentences are compared with those of their block, up to 200 neighbours, so that the time grows
    with the number of sentences and not with its square.
    """
    scores: list[float] = []
    for start in range(0, len(texts), BLOCK):
        scores += _ranked(
            [sentences.words(text) for text in texts[start : start + BLOCK]], stop_words
        )
    return scores


def best(texts: Sequence[str], scores: Sequence[float], room: int) -> list[int]:
    """Return which sentences to keep, in their order: the most central that fit ``room`` together.

    Characters count, with a blank between sentences. Of equals the earlier is taken. It may be none.
    """
    kept = []
    room += 1
    for at in sorted(range(len(texts)), key=lambda at: (-scores[at], at)):
        if len(texts[at]) < room:
            room -= len(texts[at]) + 1
            kept.append(at)
    return sorted(kept)


def _ranked(bags: Sequence[Sequence[str]], stop_words: frozenset[str]) -> list[float]:
    sets = [frozenset(bag) - stop_words for bag in bags]
    if len(sets) >= COMMON_FROM:
        seen = Counter(word for each in sets for word in each)
        limit = COMMON * len(sets)
        sets = [frozenset(word for word in each if seen[word] <= limit) for each in sets]
    weights = _weights(sets, [log(len(bag)) if bag else 0.0 for bag in bags])
    totals = [sum(row.values()) for row in weights]
    scores = [1.0] * len(bags)
    for _ in range(ROUNDS_MAX):
        new = [
            1 - DAMPING + DAMPING * sum(scores[of] * part / totals[of] for of, part in row.items())
            for row in weights
        ]
        moved = max((abs(a - b) for a, b in zip(new, scores, strict=True)), default=0.0)
        scores = new
        if moved < TOLERANCE:
            break
    return scores


def _weights(sets: Sequence[frozenset[str]], logs: Sequence[float]) -> list[dict[int, float]]:
    """Return for each sentence those that share words with it, and how alike they are."""
    weights: list[dict[int, float]] = [{} for _ in sets]
    for a, b in combinations(range(len(sets)), 2):
        shared = len(sets[a] & sets[b])
        if shared and (length := logs[a] + logs[b]) > 0:
            weights[a][b] = weights[b][a] = shared / length
    return weights
