"""The handlers that Restate's server calls, over HTTP/2; steps are async, as plain ones go to threads."""

from __future__ import annotations

from typing import Any

import restate

bench = restate.Service("bench")


async def plus_one(n: int) -> int:
    """Add one."""
    return n + 1


async def double(n: int) -> int:
    """Double."""
    return n * 2


async def less_one(n: int) -> int:
    """Take one away."""
    return n - 1


@bench.handler()
async def counting(ctx: restate.Context, steps: int) -> int:
    """Make so many durable steps."""
    n = 0
    while n < steps:
        n = await ctx.run_typed("count", plus_one, n=n)
    return n


@bench.handler()
async def three(ctx: restate.Context, body: dict[str, Any]) -> dict[str, Any]:
    """Make three durable steps."""
    n = body["initial_state"]["n"]
    a = await ctx.run_typed("first", plus_one, n=n)
    b = await ctx.run_typed("second", double, n=a)
    c = await ctx.run_typed("third", less_one, n=b)
    return {"status": "completed", "state": {"n": n, "a": a, "b": b, "c": c}}


app = restate.app(services=[bench])
