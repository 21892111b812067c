from __future__ import annotations

from stenograph.workflows.review import ruff
from stenograph.workflows.review.fixes import apply_one_group, describe, fixable
from stenograph.workflows.review.suggestions import RuleFindings

UNTIDY = "import os\n\n\nclass A(object):\n    x = 1\n"
DIFF = "--- source.py\n+++ source.py\n@@ -1,2 +1,2 @@\n-old\n+new\n+er\n same\n"


def found(group: str, safe: int = 1) -> RuleFindings:
    return RuleFindings(group, "message", None, count=2, safe=safe, lines=[1])


def fixes(diff: str = DIFF) -> ruff.Fixes:
    return ruff.Fixes("code", 3, diff)


def test_the_group_that_gains_most_comes_first() -> None:
    rules = {
        "E401": found("style", 3),
        "F401": found("unused"),
        "I001": found("style", 3),
        "B006": found("bug", 0),
    }
    assert fixable(rules) == {"style": ["E401", "I001"], "unused": ["F401"]}


async def test_one_group_is_applied_at_a_time() -> None:
    rules = {"F401": found("unused"), "UP004": found("modernise")}
    done = await apply_one_group(UNTIDY, rules, path="", target="py311", warn=print)
    assert done is not None
    group, names, fixed = done
    assert (group, names, fixed.count) == ("unused", ["F401"], 1)
    assert fixed.code == UNTIDY.removeprefix("import os\n")


async def test_a_group_that_changes_nothing_makes_way_for_the_next() -> None:
    rules = {"F841": found("unused"), "UP004": found("modernise")}
    done = await apply_one_group(UNTIDY, rules, path="", target="py311", warn=print)
    assert done is not None
    assert done[0] == "modernise"


async def test_when_no_group_changes_anything_there_is_nothing_to_do() -> None:
    rules = {"F841": found("unused")}
    assert await apply_one_group(UNTIDY, rules, path="", target="py311", warn=print) is None


async def test_a_group_that_ruff_fails_on_is_told_and_left() -> None:
    warned: list[str] = []
    rules = {"X999": found("bug"), "F401": found("unused")}
    done = await apply_one_group(UNTIDY, rules, path="", target="py311", warn=warned.append)
    assert done is not None
    assert done[0] == "unused"
    assert len(warned) == 1
    assert warned[0].startswith("bug stays as it is: ruff failed:")


def test_a_fix_counts_its_lines_and_names_the_source() -> None:
    fix = describe(fixes(), "style", ["W291"], number=2, path="pkg/a.py", room=1000)
    assert (fix.number, fix.fixed, fix.added, fix.removed) == (2, 3, 2, 1)
    assert fix.diff == "--- a/pkg/a.py\n+++ b/pkg/a.py\n" + "".join(
        DIFF.splitlines(keepends=True)[2:]
    )
    assert not fix.diff_cut


def test_a_diff_is_cut_at_the_end_of_a_line() -> None:
    fix = describe(fixes(), "style", ["W291"], number=1, path="", room=57)
    assert fix.diff == "--- a/source.py\n+++ b/source.py\n@@ -1,2 +1,2 @@\n-old\n"
    assert fix.diff_cut
    assert describe(fixes(), "style", ["W291"], number=1, path="", room=0).diff == ""
