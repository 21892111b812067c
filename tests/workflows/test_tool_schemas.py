"""What a user learns of the tools that the package offers: what each reads, takes and writes."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest

import stenograph as st
from stenograph.engine import Registry
from stenograph.engine.tools.tools import Predicate, Tool
from tests.http.serving import app_client

ROOT: Final = Path(__file__).parents[2]
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
MODULES: Final = [
    import_module(name) for name in PROJECT["entry-points"]["stenograph.tools"].values()
]
OFFERED: Final = Registry(MODULES)
TOOLS: Final = OFFERED.tools.values()
READ_NOTHING: Final = {"tools.noop", "tools.approve"}


def properties(schema: dict[str, Any] | None) -> dict[str, Any]:
    """Return the properties of the object that a schema is of; it must be one."""
    assert schema is not None
    name = schema["$ref"].removeprefix("#/$defs/")
    found: dict[str, Any] = schema["$defs"][name]["properties"]
    return found


def undescribed(schema: dict[str, Any] | None) -> list[str]:
    return [key for key, one in properties(schema).items() if not one.get("description")]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_tool_says_in_a_line_what_it_does_and_of_each_key_that_it_reads_what_that_is(
    tool: Tool,
) -> None:
    assert tool.doc.splitlines()[0].endswith((".", ":"))
    assert bool(properties(tool.types.state_schema)) is (tool.name not in READ_NOTHING)
    assert undescribed(tool.types.state_schema) == []


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_tool_that_takes_a_config_says_what_may_be_in_it(tool: Tool) -> None:
    if "config" not in tool.extras:
        assert tool.types.config_schema is None
        return
    assert properties(tool.types.config_schema)
    assert undescribed(tool.types.config_schema) == []
    assert tool.types.config_fault({}) is None


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_tool_says_of_each_key_that_it_writes_what_that_is(tool: Tool) -> None:
    if tool.name != "tools.noop":
        assert properties(tool.types.returns_schema)
        assert undescribed(tool.types.returns_schema) == []


@pytest.mark.parametrize("predicate", OFFERED.predicates.values(), ids=lambda one: one.name)
def test_a_predicate_says_what_it_asks(predicate: Predicate) -> None:
    assert predicate.doc
    assert properties(predicate.types.state_schema)
    assert undescribed(predicate.types.state_schema) == []


async def test_get_tools_shows_all_of_it() -> None:
    async with app_client(lambda: st.open(":memory:", tools=MODULES)) as client:
        shown = (await client.get("/tools")).json()
    assert {item["name"] for item in shown["items"]} == {tool.name for tool in TOOLS}
    for item in shown["items"]:
        types = OFFERED.tools[item["name"]].types
        assert item["state_schema"] == types.state_schema is not None
        assert item["config_schema"] == types.config_schema
        assert item["returns_schema"] == types.returns_schema
    (asked,) = shown["predicate_items"]
    assert (asked["name"], list(properties(asked["state_schema"]))) == (
        "length_ok",
        ["summary", "target_length"],
    )
