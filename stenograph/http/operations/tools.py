"""Tools and predicates: what they are called, what they say of themselves, what they take."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias
from urllib.parse import unquote

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import PathParameter

from stenograph.engine import Engine, Predicate, Tool
from stenograph.http.errors import Refused
from stenograph.http.problems import problems
from stenograph.http.shapes.wire import PredicateItem, ToolItem, ToolList, ToolRate

ToolName: TypeAlias = Annotated[str, PathParameter(description="What a node calls it by")]


@get("/tools", needs="read", summary="List tools", tags=["Graphs"])
async def list_tools(engine: NamedDependency[Engine]) -> ToolList:
    """List the tools that nodes may call, and the predicates that edges may ask."""
    tools, predicates = engine.registry.tools, engine.registry.predicates
    return ToolList(
        items=[tool_item(tools[name]) for name in sorted(tools)],
        predicates=sorted(predicates),
        predicate_items=[predicate_item(predicates[name]) for name in sorted(predicates)],
    )


@get(
    "/tools/{name:path}",
    needs="read",
    responses=problems("tool-not-found"),
    summary="Read about a tool",
    tags=["Graphs"],
)
async def get_tool(
    request: Request[Any, Any, Any], name: ToolName, engine: NamedDependency[Engine]
) -> ToolItem:
    """Tell of one tool what the list tells."""
    asked = unquote(
        request.scope["raw_path"].decode(errors="replace").partition("/tools/")[2]
    )  # as it was sent
    tool = engine.registry.tools.get(asked)
    if tool is None:
        detail = f"there is no tool {asked[:200]!r}; GET /tools lists those there are"
        raise Refused("tool-not-found", detail)
    return tool_item(tool)


def tool_item(tool: Tool) -> ToolItem:
    """Return a tool as the outside sees it."""
    types, rate = tool.types, tool.rate
    return ToolItem(
        name=tool.name,
        version=tool.version,
        effects=tool.effects,
        doc=tool.doc,
        is_async=tool.is_async,
        process=tool.process,
        limit=tool.limit,
        rate=None if rate is None else ToolRate(rate.limit, rate.per_s),
        state_schema=types.state_schema,
        config_schema=types.config_schema,
        returns_schema=types.returns_schema,
    )


def predicate_item(predicate: Predicate) -> PredicateItem:
    """Return a predicate as the outside sees it."""
    schema = predicate.types.state_schema
    return PredicateItem(name=predicate.name, doc=predicate.doc, state_schema=schema)


HANDLERS = (list_tools, get_tool)
