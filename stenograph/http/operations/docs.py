"""The API told by itself: ``/openapi.json``, and ``/docs`` to read it and try it, offline."""

from __future__ import annotations

import asyncio
from functools import cache, partial
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final

from litestar import Request, Router, get
from litestar.datastructures import CacheControlHeader
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, License, OpenAPIType, Schema, SecurityScheme, Tag
from litestar.plugins import OpenAPISchemaPlugin
from litestar.response import Redirect, Response
from litestar.types import Method
from litestar.typing import FieldDefinition
from msgspec import Raw

from stenograph.http.shapes.wire import API_VERSION
from stenograph.journal import run_briefly

DESCRIPTION: Final = """\
A graph engine that takes everything down: every run is an append-only journal of events.

Every path below stands under `/api` too, but the operations. Errors are problem details
(RFC 9457): act on the last part of `type`, show `detail`, and find each fault in `errors`.

WebSockets, which this format cannot describe: `/ws/{run_id}`, `/ws/logs/{run_id}`,
`/ws/monitor/{run_id}` and `/graph/stream/{run_id}` send one run from `?after=`, then live, then
what became of it; `/ws/logs` sends the whole journal; `/ws/execute/{graph_id}` starts a run with
the state in its first message. `?batch=1` puts many events in a message; `?type=`, `?node=` and, on
the whole journal, `?graph=` and `?tag=` leave events out: then `{"type": "cursor", "seq": N}` tells
how far the stream has come, after 15 quiet seconds and before the end.
"""

TAGS: Final = [
    Tag("Classic", "Create a graph, run it, look at it, cancel it: one answer with all there is"),
    Tag("Graphs", "What can be run, and the tools that nodes may call"),
    Tag("Runs", "What has been run, each event of it, and the state after each event"),
    Tag("Journal", "Everything that ever happened, in order"),
    Tag("Operations", "For whoever watches over the server"),
]

TOKEN_SCHEME: Final = SecurityScheme(
    type="http",
    scheme="bearer",
    bearer_format="steno_<id>_<secret>",
    description=(
        "A token with the scope that the operation names: `read`, `run`, `control` or `admin`; none "
        "includes another. A server without a store of tokens needs none. WebSockets take it as "
        "`Sec-WebSocket-Protocol: stenograph, bearer.<token>`, too; no URL takes it."
    ),
)

# Only from here: a page that shows the API may send requests to it and to nobody else.
CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)

PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Stenograph: the API</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
  <div id="api"></div>
  <noscript>This page needs JavaScript; <a href="/openapi.json">/openapi.json</a> says the same.</noscript>
  <script src="/docs/swagger-ui.js"></script>
  <script src="/docs/start.js"></script>
</body>
</html>
"""

START: Final = """\
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"""

ASSETS: Final = {
    "swagger-ui.css": ("swagger_style.css", "text/css"),
    "swagger-ui.js": ("swagger_bundle.js", "text/javascript"),
}
"""Swagger UI as the package offapi ships it: the files of swagger-ui-dist, unchanged."""


ONE_DAY: Final = CacheControlHeader(max_age=86_400)


class DocsPage(OpenAPIRenderPlugin):
    """Swagger UI from our own server, under a policy that lets it reach nothing else."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the page; it fetches the schema itself."""
        return PAGE.encode()

    def receive_router(self, router: Router) -> None:
        """Add what the page needs."""
        for name in ("start.js", *ASSETS):
            router.register(_asset_handler(name))


class RawSchemas(OpenAPISchemaPlugin):
    """Describes JSON text that is passed through as the object that it is."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        """Take raw JSON only."""
        return value is Raw

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """Return the schema of any JSON object."""
        return Schema(type=OpenAPIType.OBJECT)


def openapi_config() -> OpenAPIConfig:
    """Return what describes the API, and the page under ``/docs``."""
    return OpenAPIConfig(
        title="Stenograph",
        version=API_VERSION,
        description=DESCRIPTION,
        license=License("MIT", identifier="MIT"),
        tags=TAGS,
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
        components=Components(security_schemes={"token": TOKEN_SCHEME}),
        render_plugins=[DocsPage()],
        openapi_router=Router(
            "/docs",
            route_handlers=[],
            opt={"needs": None},
            include_in_schema=False,
            before_request=_describe_first,
            after_request=_guarded,
        ),
    )


@get(
    "/openapi.json",
    needs=None,
    include_in_schema=False,
    media_type="application/json",
)
async def openapi_json(request: Request[Any, Any, Any]) -> bytes:
    """Return the description of the API in OpenAPI 3.1."""
    return await described(request)


@get("/", needs=None, include_in_schema=False, sync_to_thread=False)
def root() -> Redirect:
    """Send whoever comes to the front door on to the docs."""
    return Redirect("/docs")


async def described(request: Request[Any, Any, Any]) -> bytes:
    """Return the description as text, made once and beside the loop: anybody may ask for it."""
    state = request.app.state
    if "description" not in state:
        state["description"] = asyncio.ensure_future(run_briefly(partial(description, request)))
    text: bytes = await asyncio.shield(state["description"])
    return text


def description(request: Request[Any, Any, Any]) -> bytes:
    """Return the description as text, which takes a good part of a tenth of a second."""
    return JsonRenderPlugin.render_json(request, request.app.openapi_schema.to_schema())


@cache
def read_asset(file: str) -> bytes:
    """Return a file of the package offapi, without importing it: that reads nine megabytes."""
    return Path(str(distribution("offapi").locate_file(f"offapi/{file}"))).read_bytes()


def _operation_id(handler: HTTPRouteHandler, method: Method, path: list[Any]) -> str:
    return handler.handler_name if method != "HEAD" else f"{handler.handler_name}_head"


def _asset_handler(name: str) -> HTTPRouteHandler:
    file, media_type = ASSETS.get(name, ("", "text/javascript"))

    @get(f"/{name}", media_type=media_type, cache_control=ONE_DAY, sync_to_thread=False)
    def serve_asset() -> bytes:
        return read_asset(file) if file else START.encode()

    return serve_asset


async def _describe_first(request: Request[Any, Any, Any]) -> None:
    """Have the description made beside the loop, before the framework's own handlers make it there."""
    await described(request)


def _guarded(response: Response[Any]) -> Response[Any]:
    """Lay the policy over every answer of the docs; what is not there is a problem as elsewhere."""
    if response.status_code == 404:
        raise NotFoundException
    response.headers["Content-Security-Policy"] = CONTENT_POLICY
    return response


HANDLERS = (openapi_json, root)
