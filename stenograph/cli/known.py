"""What a reader of a run's events knows of its states: enough to say what a value was before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET

from stenograph.cli.places import ROOT, forked_from

OVER: Final = frozenset({"node.exited", "node.attempt_failed", "fork.joined"})
"""The events of a scope after which nothing stands within it any more."""


class Known:
    """The values of one scope. A branch has those that its fork saw, until it writes its own."""

    def __init__(self, values: Mapping[str, Any] | None = None, seen: Known | None = None) -> None:
        self._own: dict[str, Any] = dict(values or {})
        self._seen = seen

    def get(self, key: str) -> Any:
        """Return a value, or UNSET when there is none, or none is known."""
        if key in self._own or self._seen is None:
            return self._own.get(key, UNSET)
        return self._seen.get(key)

    def set(self, key: str, value: Any) -> None:
        """Take down a value; UNSET when it is gone."""
        self._own[key] = value

    def grow(self, key: str, item: Any) -> None:
        """Take down what a list grew by, if the list is known."""
        if isinstance(self._own.get(key), list):
            self._own[key].append(item)
        elif (seen := self.get(key)) is not UNSET:
            self._own[key] = [*seen, item]


class States:
    """The values of each scope of a run that is open."""

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self._scopes = {ROOT: Known(state)}
        self._forked: set[str] = set()

    def of(self, scope: str) -> Known:
        """Return what is known of a scope."""
        if scope not in self._scopes:
            parent = forked_from(scope)
            # Of a fork that nobody saw begin, the branches may have changed anything since.
            seen = self.of(parent) if parent in self._forked else None
            self._scopes[scope] = Known(seen=seen)
        return self._scopes[scope]

    def note(self, type_: str, scope: str) -> None:
        """Take down that scopes begin or end."""
        if type_ == "fork.opened":
            self._forked.add(scope)
        elif type_ in OVER:
            self._forked = {one for one in self._forked if not one.startswith(scope)}
            for inner in [one for one in self._scopes if one.startswith(scope) and one != scope]:
                del self._scopes[inner]
