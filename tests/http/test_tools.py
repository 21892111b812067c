"""Tools and predicates over HTTP: what there is, and what they take and return."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pydantic
import pytest
from msgspec import Struct

import stenograph as st
from tests.http.serving import app_client
from tests.http.tools import TOOLS


class Wanted(Struct):
    """What the measuring tools read of the state."""

    path: str
    width: int = 80


class Measured(pydantic.BaseModel):
    lines: int


class Settings(Struct, rename="camel"):
    wide_lines: bool = False


class Odd(Struct):
    """No schema: of the type within only pydantic knows one."""

    inner: Measured | None = None


@st.tool(name="text.measure", effects="pure", version="2", limit=3, rate=(10, 60))
def measure(state: Wanted, config: Settings) -> Measured | None:
    """Count lines."""
    return Measured(lines=state.width)


@st.tool(name="text/measure oddly?", process=True)
def measure_oddly(state: Odd, config: dict[str, Any]) -> dict[str, Any]:
    return {"odd": True}


@st.predicate
def is_wide(state: Wanted) -> bool:
    """Tell whether a line may be long."""
    return state.width > 80


def opened() -> Any:
    return st.open(":memory:", tools=[*TOOLS, measure, measure_oddly, is_wide])


async def test_tools_are_listed_with_what_they_say_of_themselves() -> None:
    async with app_client() as client:
        answer = (await client.get("/tools")).json()
    names = [each["name"] for each in answer["items"]]
    count = next(each for each in answer["items"] if each["name"] == "count")
    assert names == sorted(names)
    assert len(names) + len(answer["predicates"]) == len(TOOLS)
    assert count == {
        "name": "count",
        "version": count["version"],
        "effects": "repeatable",
        "doc": "Add one to `n`, and say so.",
        "is_async": True,
        "process": False,
        "limit": None,
        "rate": None,
        "state_schema": None,
        "config_schema": None,
        "returns_schema": None,
    }


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_a_tool_tells_what_it_takes_and_returns(prefix: str) -> None:
    async with app_client(opened) as client:
        tool = (await client.get(f"{prefix}/tools/text.measure")).json()
        listed = (await client.get("/tools")).json()["items"]
    assert tool in listed
    assert (tool["version"], tool["limit"], tool["rate"]) == ("2", 3, {"limit": 10, "per_s": 60})
    wanted = tool["state_schema"]["$defs"]["Wanted"]
    assert wanted["properties"]["width"] == {"type": "integer", "default": 80}
    assert wanted["required"] == ["path"]
    assert list(tool["config_schema"]["$defs"]["Settings"]["properties"]) == ["wideLines"]
    assert tool["returns_schema"]["properties"]["lines"]["type"] == "integer"


async def test_a_tool_of_any_name_has_an_address_even_without_a_schema() -> None:
    async with app_client(opened) as client:
        tool = (await client.get(f"/tools/{quote('text/measure oddly?')}")).json()
    assert (tool["name"], tool["process"]) == ("text/measure oddly?", True)
    assert [tool[f"{each}_schema"] for each in ("state", "config", "returns")] == [None] * 3


async def test_a_tool_that_there_is_not() -> None:
    async with app_client() as client:
        answer = await client.get("/tools/cuont")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/tool-not-found")
    assert answer.json()["detail"] == "there is no tool 'cuont'; GET /tools lists those there are"


async def test_predicates_are_listed_by_name_and_with_what_they_say() -> None:
    async with app_client(opened) as client:
        answer = (await client.get("/tools")).json()
    assert answer["predicates"] == ["enough", "is_wide"]
    enough, is_wide = answer["predicate_items"]
    assert enough == {
        "name": "enough",
        "doc": "Tell whether `n` has reached `to`.",
        "state_schema": None,
    }
    assert is_wide["state_schema"]["$defs"]["Wanted"]["required"] == ["path"]


async def test_a_config_that_does_not_fit_is_refused_with_its_place() -> None:
    node = {"tool": "text.measure", "config": {"wideLines": "yes"}}
    async with app_client(opened) as client:
        answer = await client.post("/graphs", json={"start": "a", "nodes": {"a": node}})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "/nodes/a/config/wideLines", "detail": "is text, not true or false"}
    ]
