"""Placeholders: the tools that a graph may name before its own are written."""

from __future__ import annotations

from typing import Annotated, Final, TypedDict

from msgspec import Meta

import stenograph as st

VERSION: Final = "1"


class Nothing(TypedDict):
    """No key of the state is read."""


class Approved(TypedDict):
    """The one key that is written."""

    approved: Annotated[bool, Meta(description="That it is approved: true.")]


@st.tool(name="tools.noop", effects="pure", version=VERSION)
def noop(state: Nothing) -> None:
    """Do nothing, and leave the state as it is."""


@st.tool(name="tools.approve", effects="pure", version=VERSION)
def approve(state: Nothing) -> Approved:
    """Set ``approved`` to true, whatever else the state holds."""
    return {"approved": True}


TOOLS: Final = (noop, approve)
