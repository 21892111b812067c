"""Placeholders: the tools that a graph may name before its own are written."""

from __future__ import annotations

from typing import Any, Final

import stenograph as st

VERSION: Final = "1"


@st.tool(name="tools.noop", effects="pure", version=VERSION)
def noop(state: dict[str, Any]) -> None:
    """Do nothing, and leave the state as it is."""


@st.tool(name="tools.approve", effects="pure", version=VERSION)
def approve(state: dict[str, Any]) -> dict[str, Any]:
    """Set ``approved`` to true, whatever else the state holds."""
    return {"approved": True}


TOOLS: Final = (noop, approve)
