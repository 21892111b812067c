from __future__ import annotations

from stenograph.workflows.review.ruff import Complexity, Fixable, Issue
from stenograph.workflows.review.suggestions import about_syntax, by_rule, write


def issue(rule: str, line: int, fixable: Fixable = "no") -> Issue:
    return Issue(rule, f"{rule} says so", line, 1, fixable, f"https://rules/{rule}")


def texts(*issues: Issue) -> list[str]:
    return [one.text for one in write(by_rule(issues), [])]


def test_issues_are_gathered_by_rule_the_costliest_first() -> None:
    found = by_rule([issue("E501", 1), issue("D100", 2), issue("F821", 3), issue("D100", 4)])
    assert [(rule, one.count, one.points) for rule, one in found.items()] == [
        ("F821", 1, 5),
        ("D100", 2, 2),
        ("E501", 1, 0.25),
    ]


def test_a_rule_tells_how_many_of_its_issues_ruff_can_fix() -> None:
    found = by_rule([issue("F401", 1, "safe"), issue("F401", 2, "unsafe"), issue("F401", 3)])
    assert (found["F401"].count, found["F401"].safe, found["F401"].unsafe) == (3, 1, 1)


def test_a_suggestion_says_where_what_and_how() -> None:
    assert texts(issue("D100", 7)) == ["line 7: D100 says so. Change it by hand."]
    assert texts(issue("D100", 7), issue("D100", 9)) == [
        "2 places, lines 7, 9: D100 says so. Change it by hand."
    ]
    assert texts(*[issue("D100", line) for line in range(1, 8)]) == [
        "7 places, lines 1, 2, 3, 4, 5 …: D100 says so. Change it by hand."
    ]


def test_a_suggestion_says_what_ruff_can_do() -> None:
    assert texts(issue("F401", 1, "safe"))[0].endswith("Ruff has a safe fix.")
    assert texts(issue("F401", 1, "safe"), issue("F401", 2))[0].endswith(
        "Ruff has a safe fix for 1 of them."
    )
    assert texts(issue("F401", 1, "unsafe"))[0].endswith(
        "Read first what `ruff check --select F401 --unsafe-fixes --diff` would do."
    )


def test_a_function_is_a_suggestion_when_it_is_too_complex() -> None:
    told = write(by_rule([issue("F821", 1)]), [Complexity("f", 3, 10), Complexity("g", 9, 31)])
    assert [(one.rule, one.line, one.points) for one in told] == [("C901", 9, 10.5), ("F821", 1, 5)]
    assert told[0].text == "line 9: `g` has a complexity of 31, and 10 is the limit. Split it."


def test_broken_python_is_one_suggestion() -> None:
    told = about_syntax({"message": "invalid syntax", "line": 3, "column": 1})
    assert told.text == "line 3: invalid syntax. Nothing else can be said before this is mended."
    nowhere = about_syntax({"message": "too deep", "line": None, "column": None})
    assert nowhere.text.startswith("too deep. ")
