"""The site of a call: in which run, where in it, and what a tool may find there."""

from __future__ import annotations

from msgspec import Struct

from stenograph.engine.tools.data_folder import DataFolder


class Site(Struct, frozen=True, kw_only=True):
    """Where a tool is called.

    ``start`` is the node that the graph of its scope begins with; ``is_last``: no edge leads on
    from its own. ``folder`` is the data folder, when the engine has one.
    """

    run_id: str
    scope: str
    node: str
    visit: int
    attempt: int
    start: str
    is_last: bool
    folder: DataFolder | None = None
