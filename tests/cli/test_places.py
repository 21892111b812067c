"""Places: where in a run something happens, as people are told it."""

from __future__ import annotations

import pytest

from stenograph.cli.places import around, called_from, ending, forked_from, like, place


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"scope": "/", "node": "a"}, "a"),
        ({"scope": "/split#1[0]/", "node": "a"}, "split#1[0]/a"),
        ({"scope": "/split#1[0]/"}, "split#1[0]"),
        ({}, "run"),
    ],
)
def test_a_place_is_a_node_after_its_scope(data: dict[str, str], told: str) -> None:
    assert place(data) == told


def test_a_scope_stands_in_others() -> None:
    assert list(around("/a#1[0]/b#2/")) == ["/a#1[0]/b#2/", "/a#1[0]/"]
    assert list(around("/")) == []
    assert forked_from("/a#1[0]/b#2[3]/") == "/a#1[0]/"
    assert forked_from("/a#1[0]/") == "/"
    assert forked_from("/a#1/") is forked_from("/") is None
    assert called_from("/", "x/y~z", 2) == "/x~1y~0z#2/"


def test_branches_are_alike_but_for_their_numbers() -> None:
    assert like("/a#1[10]/b#2[3]/") == "/a#1[*]/b#2[*]/"
    assert like("/a#1/") == "/a#1/"


def test_the_end_of_a_place_says_most() -> None:
    assert ending("split#1[0]/work", 15) == "split#1[0]/work"
    assert ending("split#1[0]/work", 9) == "…[0]/work"
