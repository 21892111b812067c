"""The site of a call: in which run, where in it, and what a tool may find there."""

from __future__ import annotations

from msgspec import Struct

from stenograph.engine.tools.data_folder import DataFolder


class Site(Struct, frozen=True, kw_only=True):
    """Where a tool is called.

    ``start`` is the node that the graph of its scope begins with; ``is_last``: no edge leads on
    from its own. ``folder`` is the data folder, when the engine has one.
    ``traceparent`` is that of the run; ``is_traced``: each of its attempts has a span of its own.
    """

    run_id: str
    scope: str
    node: str
    visit: int
    attempt: int
    start: str
    is_last: bool
    folder: DataFolder | None = None
    traceparent: str | None = None
    is_traced: bool = False
