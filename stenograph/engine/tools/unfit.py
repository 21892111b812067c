"""Where in a value something does not fit, told by msgspec: ``$.issues[0].line`` as a list of keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

UNKNOWN: Final = "*"
_STEP: Final = re.compile(r"\.([^.\[\]`]+)|\[(\d+|\.\.\.)\]")


def place_of(
    message: str, values: Mapping[str, Any], complaint: Callable[[Mapping[str, Any]], str]
) -> list[Any]:
    """Return the keys that lead to what a message is about.

    Of an object with keys of its own msgspec does not say which it was; that key is searched by
    halves: ``complaint`` returns the message that a part of the values has. What cannot be found is
    a ``*``.
    """
    steps: list[Any] = []
    for name, number in _STEP.findall(message.partition(" - at ")[2]):
        if number == "...":
            key, values = _key(message, values, steps, complaint)
            steps.append(key)
        else:
            steps.append(name or int(number))
    return steps


def _key(
    message: str,
    values: Mapping[str, Any],
    steps: Sequence[Any],
    complaint: Callable[[Mapping[str, Any]], str],
) -> tuple[Any, Mapping[str, Any]]:
    """Return the key that does not fit, and the values without its neighbours."""
    found: Any = values
    try:
        for step in steps:
            found = found[step]
    except (LookupError, TypeError):  # a name with dots or brackets, which cannot be told apart
        found = None
    if not (found and isinstance(found, dict)):
        return UNKNOWN, values
    keys = list(found)
    while len(keys) > 1:
        half = keys[: len(keys) // 2]
        part = _with(values, steps, {key: found[key] for key in half})
        keys = half if complaint(part) == message else keys[len(half) :]
    return keys[0], _with(values, steps, {keys[0]: found[keys[0]]})


def _with(value: Any, steps: Sequence[Any], part: Any) -> Any:
    """Return a value with a part in the place of what stands at ``steps``; it stays as it is."""
    if not steps:
        return part
    twin = value.copy()
    twin[steps[0]] = _with(value[steps[0]], steps[1:], part)
    return twin
