from __future__ import annotations

import pytest

from stenograph.workflows.table import spellings
from stenograph.workflows.table.spellings import respell

WRONG = {
    "case": ({"Berlin": 30, "BERLIN": 3, "berlin": 1}, {"BERLIN": "Berlin", "berlin": "Berlin"}),
    "between the words": ({"New York": 9, "New-York": 1, "new_york": 1}, None),
    "accents": ({"Zürich": 30, "Zurich": 2}, {"Zurich": "Zürich"}),
    "a letter less": ({"Berlin": 30, "Berln": 1}, {"Berln": "Berlin"}),
    "a letter more": ({"Berlin": 30, "Berrlin": 1}, {"Berrlin": "Berlin"}),
    "another letter": ({"Berlin": 30, "Berlxn": 1}, {"Berlxn": "Berlin"}),
    "exchanged": ({"Berlin": 30, "Belrin": 1}, {"Belrin": "Berlin"}),
    "a blank less": ({"New York": 30, "NewYork": 1}, {"NewYork": "New York"}),
    "two slips in a long word": ({"Electronics": 50, "Elektronix": 1}, {}),
    "two in nine letters": ({"Stationery": 50, "Sttionary": 1}, {"Sttionary": "Stationery"}),
    "first letter of a long word": ({"Hamburg": 50, "Jamburg": 1}, {"Jamburg": "Hamburg"}),
    "case of a misspelling": ({"Berlin": 30, "BERLN": 1}, {"BERLN": "Berlin"}),
}


@pytest.mark.parametrize(("counts", "found"), WRONG.values(), ids=WRONG.keys())
def test_wrong_spellings_are_told_with_the_right_one(
    counts: dict[str, int], found: dict[str, str] | None
) -> None:
    best = max(counts, key=lambda value: counts[value])
    expected = dict.fromkeys(counts.keys() - {best}, best) if found is None else found
    assert respell(counts) == expected


RIGHT = {
    "other words": {"male": 50, "female": 1},
    "other digits": {"Zone 10": 50, "Zone 11": 1},
    "another first letter": {"Gambia": 50, "Zambia": 1},
    "short": {"red": 50, "red2": 1, "rod": 1},
    "two slips in a short word": {"Austria": 50, "Australia": 1},
    "not rare": {"Berlin": 30, "Berlon": 4},
    "both cases frequent": {"Lu": 50, "LU": 40},
    "file names": {"base.py": 50, "_base.py": 1, "bases.py": 1},
    "grades": {"A": 30, "A-": 3, "A+": 3},
    "between two": {"Marian": 30, "Marion": 30, "Marien": 1},
}


@pytest.mark.parametrize("counts", RIGHT.values(), ids=RIGHT.keys())
def test_what_is_its_own_word_is_left(counts: dict[str, int]) -> None:
    assert respell(counts) == {}


def test_a_category_of_values_near_to_each_other_has_no_misspellings() -> None:
    names = ("Maria", "Marie", "Mario", "Johan", "Johann", "Julia", "Julie", "Karla", "Carla")
    counts = {name: 200 - 20 * place for place, name in enumerate(names)}
    assert respell({**counts, "Julio": 1}) == {}


OPPOSITES = [
    ("typical", "atypical"),
    ("hypertension", "hypotension"),
    ("interstate", "intrastate"),
    ("Type A", "Type B"),
    ("North East", "North West"),
]


@pytest.mark.parametrize(("often", "rare"), OPPOSITES)
def test_a_name_or_an_opposite_is_no_misspelling(often: str, rare: str) -> None:
    assert respell({often: 1000, rare: 19, "something else": 500}) == {}


def test_a_rare_value_that_is_itself_frequent_is_a_word_of_its_own() -> None:
    assert respell({"employee": 1000, "employer": 20, "contractor": 500}) == {}
    assert respell({"Australia": 1000, "Austrlia": 19}) == {"Austrlia": "Australia"}


def test_values_made_to_take_time_are_not_compared_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = {"Electronics": 50, "Elctronics": 1}
    assert respell(counts) == {"Elctronics": "Electronics"}
    monkeypatch.setattr(spellings, "STEPS_MAX", 100)
    assert respell(counts) == {}
