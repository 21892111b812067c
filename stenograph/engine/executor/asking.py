"""Asking predicates, which are Python of somebody else's: in threads of their own, with a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

from stenograph.engine.clock import Clock
from stenograph.engine.core.edges import Answers
from stenograph.engine.core.events import ErrorInfo
from stenograph.engine.executor.attempt import raised
from stenograph.engine.executor.threads import Threads
from stenograph.engine.state.state import State
from stenograph.engine.tools.draft import Draft
from stenograph.engine.tools.lines import call_on
from stenograph.engine.tools.tools import Predicate, Registry

TIMEOUT_S: Final = 5.0
ASKING_MAX: Final = 16
"""Threads that ask: not those of the tools, so that busy tools delay no decision."""


async def ask(
    names: Sequence[str], state: State, *, registry: Registry, threads: Threads, clock: Clock
) -> Answers:
    """Return what the predicates say of a state, each with a private dict of its own."""
    answers = await asyncio.gather(
        *(_ask(registry.predicates.get(name), state.draft(), threads, clock) for name in names)
    )
    return dict(zip(names, answers, strict=True))


async def _ask(
    predicate: Predicate | None, state: Draft, threads: Threads, clock: Clock
) -> bool | ErrorInfo:
    if predicate is None:
        return ErrorInfo("UnknownPredicate", "no such predicate is registered")
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bool | ErrorInfo] = loop.create_future()

    def answered(value: bool | ErrorInfo) -> None:
        if not answer.done():
            answer.set_result(value)

    def call() -> None:
        value: bool | ErrorInfo
        try:
            value = bool(predicate.ask(state))
        except BaseException as error:
            value = raised(error).error
        call_on(loop, partial(answered, value))

    job = threads.submit(call)
    late = ErrorInfo("TimeoutError", f"no answer after {TIMEOUT_S:g} s")
    timer = clock.call_later(TIMEOUT_S, partial(answered, late))
    try:
        return await answer
    finally:
        timer.cancel()
        threads.abandon(job)
