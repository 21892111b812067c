"""Tools that are given a secret: they use it, tell of it, change it and hide it."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Any

import stenograph as st

SECRET = "kJ8-correct/horse battery"
OTHER = "zW4-another stapled value"
State = dict[str, Any]
seen: list[Any] = []
"""What the tool ``use`` was given as the secret, call by call."""


@st.tool
async def use(state: State) -> State:
    seen.append(state.get("token"))
    return {"uses": state.get("uses", 0) + 1}


@st.tool(process=True)
def use_in_a_process(state: State, ctx: st.Context) -> State:
    ctx.log(f"the token is {state['token']}", token=state["token"])
    ctx.progress(1, 2, f"with {state['token']}")
    return {"length": len(state["token"])}


@st.tool(process=True)
def fail_in_a_process(state: State) -> None:
    raise ValueError(f"refused: {state['token']}")


@st.tool
async def tell(state: State, ctx: st.Context) -> None:
    ctx.log(f"the token is {state['token']}", header=f"Bearer {state['token']}")
    ctx.log(b64encode(f"user:{state['token']}".encode()).decode())
    ctx.progress(1, 2, f"sent {state['token']!r}")


@st.tool
async def fail(state: State) -> None:
    raise PermissionError(f"{state['token']!r} is refused")


@st.tool
async def fail_in_its_type(state: State) -> None:
    raise type(state["token"], (Exception,), {})("refused")


@st.tool
def fail_in_a_thread(state: State) -> None:
    raise KeyError(state["token"])


@st.tool
async def fail_until_retried(state: State, ctx: st.Context) -> State:
    if ctx.attempt < 2:
        raise ConnectionError(f"no answer to {state['token']}")
    return {"length": len(state["token"])}


@st.tool
async def copy_it(state: State, config: State) -> State:
    return {config.get("to", "copy"): {"url": [f"https://x/?t={state['token']}"]}}


@st.tool
async def copy_in_place(state: State) -> None:
    state["copy"] = state["token"]


@st.tool
async def renew(state: State) -> State:
    return {"token": OTHER}


@st.tool
async def renew_in_place(state: State) -> None:
    state["token"] = OTHER


@st.tool
async def drop(state: State) -> None:
    del state["token"]


@st.tool
async def go_there(state: State) -> st.Goto:
    return st.Goto(state["token"])


@st.tool
async def spell_where(state: State) -> State:
    return {"__next_node__": state["token"]}


@st.tool
async def append_to_it(state: State) -> None:
    state["token"].append(OTHER)


@st.tool(effects="once")
async def charge(state: State) -> None:
    seen.append("charged")
    await _never()


@st.tool
async def hang(state: State) -> None:
    seen.append(state["token"])
    await _never()


@st.tool
async def talk_at_length(state: State, ctx: st.Context) -> None:
    ctx.log("y" * 20_000)
    raise ValueError("y" * 20_000)


async def _never() -> None:
    await asyncio.sleep(3600)


TOOLS = (
    use,
    use_in_a_process,
    fail_in_a_process,
    tell,
    fail,
    fail_in_its_type,
    fail_in_a_thread,
    fail_until_retried,
    copy_it,
    copy_in_place,
    renew,
    renew_in_place,
    drop,
    go_there,
    spell_where,
    append_to_it,
    charge,
    hang,
    talk_at_length,
)
