"""Any JSON value, and any state: strategies for laws that hold for all of them."""

from __future__ import annotations

from hypothesis import strategies as st

INTS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | INTS | FLOATS | TEXTS
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4)
)
ODD_KEYS = st.sampled_from(["", "-", "/", "~", "~1", "a/-", "a", "ä", "\x00", "k"])
KEYS = ODD_KEYS | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
STATES = st.dictionaries(KEYS, JSON, max_size=5)
