"""Fixes: one group's safe fixes a pass, with a diff of their own, like a series of commits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Struct

from stenograph.workflows.review import ruff
from stenograph.workflows.review.scoring import group_named
from stenograph.workflows.review.suggestions import RuleFindings


class Fix(Struct, frozen=True):
    """What a pass applied: so many issues of these rules, by lines ``added`` and ``removed``.

    ``diff`` is unified; when there was no room for all of it, it ends at some line's end and
    ``diff_cut`` is true.
    """

    number: int = msgspec.field(name="pass")
    group: str
    rules: list[str]
    fixed: int
    added: int
    removed: int
    diff: str
    diff_cut: bool


def fixable(rules: Mapping[str, RuleFindings]) -> dict[str, list[str]]:
    """Return the rules that have safe fixes, by group, the group first that would gain most."""
    gains: dict[str, float] = {}
    groups: dict[str, list[str]] = {}
    for rule, found in rules.items():
        if found.safe:
            gain = found.safe * group_named(found.group).points
            gains[found.group] = gains.get(found.group, 0.0) + gain
            groups.setdefault(found.group, []).append(rule)
    return {group: groups[group] for group in sorted(groups, key=lambda name: -gains[name])}


async def apply_one_group(
    code: str,
    rules: Mapping[str, RuleFindings],
    *,
    path: str,
    target: str,
    warn: Callable[[str], None],
) -> tuple[str, list[str], ruff.Fixes] | None:
    """Apply the safe fixes of the first group whose fixes change the code.

    Returns the group, its rules and what ruff did; None when nothing changes. ``warn`` is told of
    a group that ruff fails on.
    """
    for group, names in fixable(rules).items():
        try:
            fixed = await ruff.fix(code, names, path=path, target=target)
        except ruff.RuffFailed as error:
            warn(f"{group} stays as it is: {error}")
            continue
        if fixed.code != code:
            return group, names, fixed
    return None


def describe(
    fixed: ruff.Fixes, group: str, rules: Sequence[str], *, number: int, path: str, room: int
) -> Fix:
    """Return what pass ``number`` applied, with at most ``room`` characters of its diff."""
    lines = fixed.diff.split("\n")[2:]  # ruff's own header names no file of the user's
    diff = "\n".join([f"--- a/{path or 'source.py'}", f"+++ b/{path or 'source.py'}", *lines])
    cut = len(diff) > room
    return Fix(
        number=number,
        group=group,
        rules=list(rules),
        fixed=fixed.count,
        added=sum(line.startswith("+") for line in lines),
        removed=sum(line.startswith("-") for line in lines),
        diff=diff[: diff.rfind("\n", 0, room) + 1] if cut else diff,
        diff_cut=cut,
    )
