"""What the tests of the code review share: someone to listen, and a review without an engine."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import stenograph as st
from stenograph.workflows import code_review
from stenograph.workflows.review.states import Config
from tests.sites import site

State = dict[str, Any]

CHAIN: State = {
    "id": "chain",
    "start": "extract",
    "nodes": {
        "extract": {"tool": "extract", "next": "analyze"},
        "analyze": {"tool": "analyze", "next": "suggest"},
        "suggest": {"tool": "suggest", "config": {"threshold": 90}},
    },
}
"""Three nodes in a row, the last of which goes back by itself."""

UNTIDY = '''\
"""A module that one can tidy."""
import os, sys
from typing import List


class Door(object):
    """A door."""

    def open(self, wide: List[int]):
        """Open it."""
        if wide:
            return "{}".format(wide)
        else:
            return None
'''


class Listener:
    """Gives tools a context, with a node behind theirs, and keeps what they say."""

    def __init__(self, **where: Any) -> None:
        self.said: list[str] = []
        self.ctx = st.Context(
            site(**{"is_last": False} | where),
            now_us=lambda: 0,
            write=lambda line: self.said.append(line.message),
        )


def module_source(name: str) -> str:
    """Return the source of a module of the standard library, its line ends as they are."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_bytes().decode()


async def passed_once(state: State, config: State | None = None) -> State:
    """Return the state after one pass, every update having been JSON on the way."""
    ctx = Listener().ctx
    state = merged(state, await code_review.extract(state, ctx))
    state = merged(state, await code_review.analyze(state, ctx))
    return merged(state, await code_review.suggest(state, Config(**config or {}), ctx))


async def reviewed(code: str, **state: Any) -> State:
    """Return the state after as many passes as the review wants, and the report."""
    state = await passed_once({"code": code, **state})
    while state["improved"]:
        state = await passed_once(state)
    return merged(state, code_review.report(state, Config(), Listener().ctx))


def merged(state: State, update: State) -> State:
    """Return the state with a tool's update, which must be JSON."""
    return {**state, **json.loads(json.dumps(update, allow_nan=False))}


def patched(code: str, diff: str) -> str:
    """Apply unified diffs of one file, one after the other."""
    for part in diff.split("--- a/")[1:]:
        code = _patched_once(code, part.split("\n")[2:])
    return code


def _patched_once(code: str, diff: list[str]) -> str:
    old, new, at = code.split("\n"), [], 0
    for line in diff:
        if line.startswith("@@"):
            first = int(line.split()[1].lstrip("-").split(",")[0]) - 1
            new += old[at:first]
            at = first
        elif line.startswith("+"):
            new.append(line[1:])
        elif line.startswith((" ", "-")):
            assert old[at] == line[1:], "the diff is of another source"
            new += [] if line.startswith("-") else [old[at]]
            at += 1
    return "\n".join(new + old[at:])
