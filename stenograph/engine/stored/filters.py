"""Filters: which events a subscription is for. One pure function decides, wherever they are read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from stenograph.engine.core.events import EVENT_TYPES
from stenograph.engine.errors import Fault
from stenograph.engine.graphs.reading import did_you_mean
from stenograph.journal import Record

WORDS_MAX: Final = 32
"""Most types, nodes, graphs or tags of one filter."""
WORD_MAX_CHARS: Final = 255
PREFIXES: Final = frozenset(f"{name.partition('.')[0]}.*" for name in EVENT_TYPES if "." in name)
"""What stands for all types that begin alike: ``node.*``."""

NO_LABELS: Final[Mapping[str, str]] = {}


class FilterInvalid(ValueError):
    """A filter that no event could ever pass, or that is none: ``faults`` tells of each word."""

    def __init__(self, faults: Collection[Fault]) -> None:
        self.faults = list(faults)
        super().__init__("; ".join(f"{each.pointer[1:]}: {each.detail}" for each in self.faults))


class Filter(Struct, frozen=True):
    """What passes: any of the ``types`` (``node.*`` for all that begin so), any of the ``nodes``,
    in a run of any of the ``graphs`` that has all of the ``tags``. What is empty asks nothing.
    """

    types: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    graphs: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def asks_for_run(self) -> bool:
        """Whether it takes the labels of an event's run to judge it."""
        return bool(self.graphs or self.tags)

    @property
    def query(self) -> list[tuple[str, str]]:
        """As it stands in the query of a URL."""
        return [
            *(("type", each) for each in self.types),
            *(("node", each) for each in self.nodes),
            *(("graph", each) for each in self.graphs),
            *(("tag", f"{name}:{value}") for name, value in self.tags),
        ]


NO_FILTER: Final = Filter()


class _Of(Struct):
    """What a filter reads of an event's data; the rest is passed over."""

    node: str = ""


_NODE: Final = msgspec.json.Decoder(_Of)


def passes(wanted: Filter, record: Record, labels: Mapping[str, str] = NO_LABELS) -> bool:
    """Tell whether an event passes; ``labels`` are those of its run, where a filter asks for them."""
    if wanted.types and not any(matches(each, record.type) for each in wanted.types):
        return False
    if wanted.graphs and labels.get("graph") not in wanted.graphs:
        return False
    if not all(labels.get(f"tag:{name}") == value for name, value in wanted.tags):
        return False
    return not wanted.nodes or node_of(record.data) in wanted.nodes


def matches(pattern: str, type_: str) -> bool:
    """Tell whether a type is the one that is meant, or begins as ``node.*`` says."""
    return type_.startswith(pattern[:-1]) if pattern.endswith(".*") else type_ == pattern


def node_of(data: bytes) -> str:
    """Return the node that an event is about; nothing where it is about none, or was erased."""
    try:
        return _NODE.decode(data).node
    except msgspec.MsgspecError:
        return ""


def filter_of(
    types: Iterable[str] = (),
    nodes: Iterable[str] = (),
    graphs: Iterable[str] = (),
    tags: Iterable[str] = (),
) -> Filter:
    """Return the filter that the words of a query or a command line make; raises FilterInvalid.

    A tag is ``name:value``. The order of words and how often they stand does not matter.
    """
    asked = {"type": types, "node": nodes, "graph": graphs, "tag": tags}
    words = {name: tuple(sorted(set(each))) for name, each in asked.items()}
    if faults := [fault for name, each in words.items() for fault in _faults(name, each)]:
        raise FilterInvalid(faults)
    split = (each.partition(":") for each in words["tag"])
    return Filter(
        words["type"],
        words["node"],
        words["graph"],
        tuple((name, value) for name, _, value in split),
    )


def words_of(words: Iterable[str]) -> tuple[str, ...]:
    """Return the words of a filter; whoever writes one alone as text means that one."""
    return (words,) if isinstance(words, str) else tuple(words)


def _faults(name: str, words: Collection[str]) -> Iterator[Fault]:
    if len(words) > WORDS_MAX:
        yield Fault(f"/{name}", f"a filter has at most {WORDS_MAX} of them")
        return
    for word in words:
        if not 0 < len(word) <= WORD_MAX_CHARS:
            yield Fault(f"/{name}", f"has 1 to {WORD_MAX_CHARS} characters")
        elif name == "type" and word not in EVENT_TYPES | PREFIXES:
            hint = did_you_mean(word, sorted(EVENT_TYPES | PREFIXES))
            yield Fault("/type", f"there is no event {word!r}{hint}")
        elif name == "tag" and not word.partition(":")[1]:
            yield Fault("/tag", f"{word!r} is not of the form name:value")
