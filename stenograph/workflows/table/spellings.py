"""Spellings: which values of a category are another one's, in other letters or mistyped.

*Variants* differ in case, accents, or in what stands between the words (space, hyphen, underscore);
the most frequent is right, and those at most a third as frequent are its variants. A *misspelling*
is one slip away from a value ten times as frequent (a letter too many, too few, another, or two
that changed places; two slips in words of nine letters and more). Slips are many and each is rare,
so it is there fewer than 20 times. It keeps the digits, and the first letter where the word is
shorter than seven, and is made of words: no file name has one. Where common values are themselves
so near to each other, as first names are, nothing is called a misspelling.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

VARIANT_SHARE: Final = 1 / 3
FREQUENT: Final = 10
"""Times as frequent, and so many times at least, is a value that another misspells."""

OWN: Final = 20
"""A value that is there so many times is a word of its own, however near to another."""

ONE_SLIP: Final = 5
TWO_SLIPS: Final = 9
FREE_START: Final = 7
"""Letters that a word must have to be one slip, two slips, and a first letter away."""

TOLD_APART: Final = 4
"""A part of a value that has fewer letters is no word that one misspells, but a name: type A."""

OPPOSITES: Final = (("a", ""), ("un", ""), ("in", ""), ("hyper", "hypo"), ("inter", "intra"))
"""Beginnings of words that are one slip or two apart, and say the opposite."""

WORDS_MAX: Final = 1_000
STEPS_MAX: Final = 10_000_000
"""Most pairs of letters that are compared, some seconds; in a common table a hundredth of it."""

LENGTH_MAX: Final = 40
COMMON: Final = 0.001
DENSE: Final = 0.05
"""A category is dense when more of its common values, 0.1 % of all each, are near another."""

_BETWEEN: Final = re.compile(r"(?<=\w)[\s_-]+(?=\w)")
_NO_WORD: Final = re.compile(r"[^\w\s,'\u2019&()-]|_")
_DIGITS: Final = re.compile(r"\d+")


def respell(counts: Mapping[str, int]) -> dict[str, str]:
    """Return the values that are spelled wrong, each with the right one."""
    found = _variants(counts)
    rest = Counter({value: count for value, count in counts.items() if value not in found})
    for value, right in found.items():
        rest[right] += counts[value]
    return found | _misspelled(rest)


def _variants(counts: Mapping[str, int]) -> dict[str, str]:
    groups: dict[str, list[str]] = defaultdict(list)
    for value in counts:
        groups[_plain(value)].append(value)
    found = {}
    for values in groups.values():
        best = min(values, key=lambda value: (-counts[value], value))
        for value in values:
            if value != best and counts[value] <= VARIANT_SHARE * counts[best]:
                found[value] = best
    return found


def _plain(value: str) -> str:
    bare = unicodedata.normalize("NFKD", value.casefold())
    letters = "".join(letter for letter in bare if not unicodedata.combining(letter))
    return _BETWEEN.sub(" ", letters)


def _misspelled(counts: Mapping[str, int]) -> dict[str, str]:
    words = {value: _plain(value) for value in counts if _is_of_words(value)}
    often = [value for value in words if counts[value] >= FREQUENT]
    often = sorted(often, key=lambda value: (-counts[value], value))[:WORDS_MAX]
    index = _index((value, words[value]) for value in often)
    near, steps = dict[str, set[str]](), 0
    for value, word in words.items():
        met = {other for part in _parts(word) for other in index.get(part, ())}
        steps += len(met) * len(word) ** 2
        if steps > STEPS_MAX:  # values so alike are codes, or were made to take time
            return {}
        near[value] = _nearest(word, met, words)
    least = max(FREQUENT, COMMON * sum(counts.values()))
    common = {value for value in often if counts[value] >= least}
    dense = sum(bool((near[value] & common) - {value}) for value in common)
    if dense > max(2, DENSE * len(common)):  # a pair of them may be one word and its misspelling
        return {}
    found = {}
    for value in words:
        right = [one for one in near[value] if counts[one] >= FREQUENT * counts[value]]
        if len(right) == 1 and counts[value] < OWN:
            found[value] = right[0]
    return found


def _is_of_words(value: str) -> bool:
    return ONE_SLIP - 1 <= len(value) <= LENGTH_MAX and not _NO_WORD.search(value)


def _index(words: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    index: dict[str, set[str]] = defaultdict(set)
    for value, word in words:
        for part in _parts(word):
            index[part].add(value)
    return index


def _parts(word: str) -> set[str]:
    """Return a word, and what is left of it without one letter, or two if it is long."""
    once = {word} | {word[:at] + word[at + 1 :] for at in range(len(word))}
    if len(word) < TWO_SLIPS - 2:
        return once
    return once | {part[:at] + part[at + 1 :] for part in once for at in range(len(part))}


def _nearest(word: str, met: Iterable[str], words: Mapping[str, str]) -> set[str]:
    slips = {value: _slips(word, words[value]) for value in met if words[value] != word}
    near = {value: slip for value, slip in slips.items() if _is_near(word, words[value], slip)}
    least = min(near.values(), default=0)
    return {value for value, slip in near.items() if slip == least}


def _is_near(word: str, right: str, slips: int) -> bool:
    if _DIGITS.findall(word) != _DIGITS.findall(right):
        return False
    length = len(right)
    if word[0] != right[0] and (length < FREE_START or slips > 1):
        return False
    if _differ_on_purpose(word, right):
        return False
    return slips <= (2 if length >= TWO_SLIPS else 1 if length >= ONE_SLIP else 0)


def _differ_on_purpose(one: str, other: str) -> bool:
    """Tell whether two words are no slip apart: type A and type B, hypertension and hypotension."""
    parts, others = one.split(), other.split()
    if len(parts) == len(others):
        pairs = [pair for pair in zip(parts, others, strict=True) if pair[0] != pair[1]]
        if any(min(map(len, pair)) < TOLD_APART for pair in pairs):
            return True
        if any(_slips(*pair) > 1 for pair in pairs if min(map(len, pair)) < TWO_SLIPS):
            return True  # north east and north west
    return any(
        one == first + stem
        for pair in OPPOSITES
        for first, second in (pair, pair[::-1])
        if other.startswith(second)
        for stem in (other.removeprefix(second),)
    )


def _slips(one: str, other: str) -> int:
    """Return how many slips lead from one word to the other (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]
