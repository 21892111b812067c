"""Sites of calls, for tests of what is called there."""

from __future__ import annotations

from typing import Any, Final

from stenograph.engine.core.commands import Place
from stenograph.engine.tools.site import Site

PLACE: Final = Place("/", "node", 2, 3)
"""Where ``site()`` is."""


def site(**given: Any) -> Site:
    """Where a tool is called: in the second visit of a node, its third attempt; or as given."""
    usual: dict[str, Any] = {
        "run_id": "run",
        "scope": "/",
        "node": "node",
        "visit": 2,
        "attempt": 3,
        "start": "node",
        "is_last": True,
    }
    return Site(**usual | given)
