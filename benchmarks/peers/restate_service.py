"""The handlers that Restate's server calls, over HTTP/2."""

from __future__ import annotations

from typing import Any

import restate

bench = restate.Service("bench")


@bench.handler()
async def counting(ctx: restate.Context, steps: int) -> int:
    """Make so many durable steps."""
    n = 0
    while n < steps:
        n = await ctx.run_typed("count", lambda n: n + 1, n=n)
    return n


@bench.handler()
async def three(ctx: restate.Context, body: dict[str, Any]) -> dict[str, Any]:
    """Make three durable steps."""
    n = body["initial_state"]["n"]
    a = await ctx.run_typed("first", lambda n: n + 1, n=n)
    b = await ctx.run_typed("second", lambda n: n * 2, n=a)
    c = await ctx.run_typed("third", lambda n: n - 1, n=b)
    return {"status": "completed", "state": {"n": n, "a": a, "b": b, "c": c}}


app = restate.app(services=[bench])
