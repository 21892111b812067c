"""A request whose body, when it is large, is parsed beside the event loop."""

from __future__ import annotations

from functools import partial
from typing import Any

from litestar import Request
from litestar.serialization import decode_json

from stenograph.journal import AT_ONCE_BYTES, run_briefly


class JsonRequest(Request[Any, Any, Any]):
    """A request with a body of JSON; handlers ask for it once."""

    async def json(self) -> Any:
        """Return the body as values; raises SerializationException."""
        body = await self.body() or b"null"
        return await run_briefly(partial(decode_json, body), at_once=len(body) <= AT_ONCE_BYTES)
