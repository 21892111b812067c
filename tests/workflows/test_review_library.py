"""Both reviews over Python's own standard library; with ``-s`` each says what came of it."""

from __future__ import annotations

import asyncio
import time
import warnings
from statistics import fmean
from typing import Any

import pytest
from msgspec import Struct

import stenograph as st
from stenograph.workflows import code_review, review_loop
from stenograph.workflows.review import outline
from tests.figures import Figure
from tests.workflows.reviewing import CHAIN, State, module_source

MODULES = [
    *("ast", "asyncio.queues", "asyncio.streams", "base64", "bdb", "bisect", "calendar", "cmd"),
    *("code", "colorsys", "compileall", "configparser", "contextlib", "copy", "csv", "dataclasses"),
    *("email.header", "email.message", "email.utils", "enum", "filecmp", "fileinput", "fnmatch"),
    *("fractions", "ftplib", "functools", "getopt", "gettext", "glob", "graphlib", "gzip"),
    *("hashlib", "heapq", "hmac", "html.parser", "http.cookies", "json.decoder", "json.encoder"),
    *("linecache", "mimetypes", "netrc", "pkgutil", "plistlib", "poplib", "pprint", "queue"),
    *("random", "sched", "selectors", "shelve", "shlex", "smtplib", "socketserver", "string"),
    *("tempfile", "textwrap", "timeit", "tokenize", "trace", "urllib.parse", "wave", "weakref"),
]
AT_ONCE = 3


class Reviewed(Struct, frozen=True):
    """What came of one module: its source, how many issues it began with, and the last state."""

    code: str
    issues: int
    status: str
    state: State


@pytest.mark.parametrize("graph", [CHAIN, review_loop.GRAPH], ids=["chain", "loop"])
async def test_the_standard_library_gets_better_and_keeps_its_outline(
    graph: dict[str, Any], figure: Figure
) -> None:
    began = time.monotonic()
    async with st.open(":memory:", tools=[code_review, review_loop]) as engine:
        slots = asyncio.Semaphore(AT_ONCE)
        every = await asyncio.gather(*(reviewed(engine, slots, graph, name) for name in MODULES))
    figure(f"{graph['id']}: {told(every)}, {time.monotonic() - began:.1f} s")
    assert len(every) > 50
    assert {each.status for each in every} == {"completed"}
    for each in every:
        assert each.state["scores"][-1] >= each.state["scores"][0] > 0
        assert definitions(each.state["code"]) == definitions(each.code)
        assert each.state["issue_count"] <= each.issues
    assert sum(each.state.get("fixed", 0) for each in every) > 100


async def reviewed(
    engine: st.Engine, slots: asyncio.Semaphore, graph: dict[str, Any], name: str
) -> Reviewed:
    """Review a module of the standard library; whoever is asked approves."""
    code = module_source(name)
    async with slots:
        run = await engine.run(graph, {"code": code, "path": f"{name}.py"})
        if run.status == "waiting":
            await engine.signal(run.id, "approval", {"approved": True, "by": "test"})
            run = await engine.wait(run.id)
    first = next(v for v in await engine.visits(run.id) if v.node in ("analyze", "review"))
    before = (await engine.state(run.id, at=first.seq)).values
    return Reviewed(code, before["issue_count"], run.status, run.state)


def definitions(code: str) -> list[tuple[str, str]]:
    with warnings.catch_warnings(action="ignore"):
        found = outline.outline(code)
    assert found["syntax_error"] is None
    kinds = ("functions", "classes")
    return [(kind, one["qualified_name"]) for kind in kinds for one in found[kind]]


def told(every: list[Reviewed]) -> str:
    states = [each.state for each in every]
    lines = sum(len(each.code.splitlines()) for each in every)
    first, last = (fmean(state["scores"][at] for state in states) for at in (0, -1))
    passes = sum(state["passes"] for state in states)
    issues = sum(each.issues for each in every)
    left = sum(state["issue_count"] for state in states)
    fixed = sum(state.get("fixed", 0) for state in states)
    return (
        f"{len(every)} modules, {lines:,} lines, {passes} passes, mean score {first:.2f} → "
        f"{last:.2f}, {issues:,} issues → {left:,}, {fixed:,} fixes applied"
    )
