from __future__ import annotations

import math
import random
from collections.abc import Callable

import polars as pl
import pytest

from stenograph.workflows.table import tails


def sample(draw: Callable[[random.Random], float], count: int = 5_000) -> list[float]:
    chance = random.Random(3)
    return [draw(chance) for _ in range(count)]


DRAWS: dict[str, Callable[[random.Random], float]] = {
    "normal": lambda r: r.gauss(50, 10),
    "near zero": lambda r: r.gauss(3, 1),
    "uniform": lambda r: r.random(),
    "exponential": lambda r: r.expovariate(1),
    "lognormal": lambda r: r.lognormvariate(0, 2),
    "power law": lambda r: r.paretovariate(1),
    "Cauchy": lambda r: math.tan(math.pi * (r.random() - 0.5)),
    "two hills": lambda r: r.gauss(r.choice((0, 100)), 5),
    "mostly nothing": lambda r: 0 if r.random() < 0.7 else r.lognormvariate(3, 1),
    "counts": lambda r: float(int(r.expovariate(0.3))),
}


def outside(values: list[float]) -> list[float]:
    found = tails.bounds(pl.Series(values, dtype=pl.Float64))
    low = -math.inf if found.low is None else found.low.bound
    high = math.inf if found.high is None else found.high.bound
    return [value for value in values if not low <= value <= high]


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
def test_no_tail_is_flooded_with_alarms(draw: Callable[[random.Random], float]) -> None:
    for count in (30, 300, 5_000):
        assert len(outside(sample(draw, count))) <= count / 1000


@pytest.mark.parametrize("name", ["normal", "uniform", "exponential", "counts"])
def test_what_lies_far_outside_is_found(name: str) -> None:
    values = sample(DRAWS[name])
    far = [max(values) * 20] * 25
    assert outside(values + far) == far


def test_an_amount_ten_thousand_times_too_large_is_found_in_a_heavy_tail() -> None:
    values = sample(lambda r: r.lognormvariate(3.5, 0.9))
    far = [value * 10_000 for value in values[:20]]
    assert outside(values + far) == far


def test_one_of_ten_is_found() -> None:
    assert outside([10, 12, 11, 9, 10, 11, 12, 10, 9, 900]) == [900]


def test_a_few_of_the_wrong_sign_are_found() -> None:
    values = sample(lambda r: float(r.randrange(1, 10)), 1_000)
    assert outside([*values, -5.0]) == [-5.0]
    assert outside([*values, *[-5.0] * 200]) == []


def test_few_values_and_all_alike_are_not_judged() -> None:
    assert tails.bounds(pl.Series([1.0, 2.0, 900.0])) == tails.Bounds(None, None)
    assert outside([5.0] * 990 + [6.0] * 10) == []


def test_a_side_whose_last_tenth_alone_differs_gets_a_far_fence() -> None:
    values = [1.0] * 950 + [2.0] * 50
    assert outside([*values, 3.0]) == []


def test_many_beyond_a_fence_are_part_of_the_column() -> None:
    values = sample(lambda r: r.gauss(0, 1), 1_000)
    assert outside(values + [1e6] * 30) == []


def test_a_fence_too_far_for_a_number_is_none() -> None:
    values = [math.exp(min(n / 7, 690)) for n in range(5_000)]
    found = tails.bounds(pl.Series(values))
    assert found.high is None


def test_signed_values_are_judged_by_their_distance() -> None:
    days = pl.Series([float(n) for n in range(18_000, 19_400)] + [2_932_896.0, -25_567.0])
    found = tails.bounds(days, signed=True)
    assert found.low is not None
    assert found.high is not None
    assert -25_567 < found.low.bound < 18_000 < 19_400 < found.high.bound < 2_932_896
