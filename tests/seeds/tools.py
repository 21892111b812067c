"""Tools that say themselves where to go next, by ``__next_node__`` in the state."""

from __future__ import annotations

from typing import Any

import stenograph as st


@st.tool
def route(state: dict[str, Any]) -> None:
    """Go to the left first, then to the right."""
    state["rounds"] = state.get("rounds", 0) + 1
    state["__next_node__"] = "left" if state["rounds"] == 1 else "right"


@st.tool
def turn_back(state: dict[str, Any]) -> None:
    """Go back to an earlier node."""
    state["__next_node__"] = "route"
