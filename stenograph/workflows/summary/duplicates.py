"""Near-duplicates: sentences that say again, in almost the same words, what another has said."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import ceil
from typing import Final

from stenograph.workflows.summary import sentences

ALIKE: Final = 0.8
"""The share of their words, taken together, that two near-duplicates have in common (Jaccard)."""

COMPARED: Final = 100
"""Sentences of one rare word that another is compared with, the latest of them: where all words are
common, as in a text of few letters, all would be compared with all."""


def first_of_each(texts: Sequence[str]) -> list[int]:
    """Return which sentences to keep, in order: the first of all that are near-duplicates.

    Two sets of words so alike share one of their rarest; only sentences that do are compared.
    Source: "prefix filtering", R. Bayardo, Y. Ma and R. Srikant, Scaling Up All Pairs Similarity
    Search, WWW 2007.
    """
    bags = [frozenset(sentences.words(text)) or frozenset([text]) for text in texts]
    frequency = Counter(word for bag in bags for word in bag)
    kept: list[int] = []
    seen: set[frozenset[str]] = set()
    by_word: dict[str, list[int]] = defaultdict(list)
    for at, bag in enumerate(bags):
        if bag in seen:
            continue
        seen.add(bag)
        rare = _rarest(bag, frequency)
        candidates = {other for word in rare for other in by_word[word][-COMPARED:]}
        if not any(_are_alike(bag, bags[other]) for other in candidates):
            kept.append(at)
            for word in rare:
                by_word[word].append(at)
    return kept


def _rarest(bag: frozenset[str], frequency: Counter[str]) -> list[str]:
    """Return so many of the rarest words that every near-duplicate has one of them as well."""
    needed = len(bag) - _at_least(len(bag)) + 1
    return sorted(bag, key=lambda word: (frequency[word], word))[:needed]


def _at_least(size: int) -> int:
    """Return how many of its words a near-duplicate of a set must have, rounded up."""
    return ceil(size * ALIKE - 1e-9)


def _are_alike(a: frozenset[str], b: frozenset[str]) -> bool:
    return len(a & b) >= ALIKE * len(a | b)
