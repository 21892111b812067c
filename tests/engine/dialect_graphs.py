"""Graphs in the shapes of other engines, and what becomes of them: for the tests of dialects."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stenograph.engine.errors import GraphInvalid
from stenograph.engine.graphs.parse import ParsedGraph, parse_graph

TOOLS = ("t", "u", "v")
THREE = [{"id": "a", "func": "t"}, {"id": "b", "func": "u"}, {"id": "c", "func": "v"}]
ABC = {"a": {"tool": "t"}, "b": {"tool": "u"}, "c": {"tool": "v"}}


def parse(data: Any) -> ParsedGraph:
    return parse_graph(data, tools=TOOLS, predicates=["ready"], graphs=["stored"])


def nodes(data: Any) -> Any:
    """The canonical nodes of a graph, which ends where no edge matches and begins at a."""
    canonical = json.loads(parse(data).data)
    assert (canonical["on_no_match"], canonical["start"]) == ("end", "a")
    return canonical["nodes"]


def ways(data: Any) -> Any:
    """The edges that leave a."""
    return nodes(data)["a"].get("next", [])


def warnings(data: Any) -> dict[str, str]:
    return {fault.pointer: fault.detail for fault in parse(data).warnings}


def faults(data: Any) -> dict[str, str]:
    with pytest.raises(GraphInvalid) as caught:
        parse(data)
    assert len(set(caught.value.faults)) == len(caught.value.faults)
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def listed(*edges: Any, **fields: Any) -> dict[str, Any]:
    return {"start_node": "a", "nodes": THREE, "edges": list(edges), **fields}


def from_a(**edge: Any) -> dict[str, Any]:
    return {"from": "a", "to": "b", **edge}


def inline(**node: Any) -> dict[str, Any]:
    """A map of nodes; the first says itself where it leads."""
    return {"start": "a", "nodes": {"a": {"fn": "t", **node}, "b": {"fn": "u"}, "c": {"fn": "v"}}}
