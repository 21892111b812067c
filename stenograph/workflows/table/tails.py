"""Outliers: how far the tail of a column reaches, judged by the middle of it.

Each side of the median is looked at by itself. With L(p) = -ln 2p, a tail whose distance from the
median grows as L(p)^β is fitted to two quantiles: those beyond which 10 % and 2.5 % of the values
lie (in small tables more). β is 1 for an exponential tail, about 0.7 for a normal one. The fence
stands where one value in 1,000 such tables would lie. Where β says that the tail is clearly heavier
than exponential (β above 1.25), the same is done to the logarithms, in which a power law is
exponential: of the values where they are positive, else of their distances from the median. So a
heavy tail moves its own fence away. A value beyond it must also lie more than 6 robust standard
deviations (1.4826 times the median of the distances on that side) away.
"""

from __future__ import annotations

import math
from typing import Final

import polars as pl
from msgspec import Struct

VALUES_MIN: Final = 8
TAIL: Final = 0.025
TAIL_SMALL: Final = 0.15
TAIL_VALUES: Final = 4
"""A tail's quantile leaves at least so many values beyond it, if that is no more than 15 %."""

TABLES: Final = 1000
HEAVY: Final = 1.25
"""A steeper tail is judged by logarithms; an exponential one has 1, and its samples about that."""

STEEP_MIN: Final = 0.5
STEEP_MAX: Final = 3.0
Z_MIN: Final = 6.0
MAD_TO_SD: Final = 1.4826
OUTLIERS_MAX: Final = 0.02
"""More than this share on one side are no outliers but a part of what the column is."""

NEGATIVE_MAX: Final = 0.01
NEGATIVE_SIZE: Final = 0.25


class Fence(Struct, frozen=True):
    """Where one side of a column ends; ``z`` in robust standard deviations, on ``scale``."""

    bound: float
    z: float
    scale: str


class Bounds(Struct, frozen=True):
    """What is usual in a column; a side that cannot be judged is None."""

    low: Fence | None
    high: Fence | None


def bounds(values: pl.Series, *, signed: bool = False) -> Bounds:
    """Return the fences of a column of numbers, nulls ignored.

    ``signed``: zero and below mean nothing special, as with days.
    """
    values = values.drop_nulls()
    if len(values) < VALUES_MIN:
        return Bounds(None, None)
    low, high = _far_side(values, -1), _far_side(values, 1)
    if signed:
        return Bounds(_rare(values, low, -1), _rare(values, high, 1))
    positive = values.filter(values > 0)
    below = len(values) - len(positive)
    sign = _sign_fence(values)
    if below <= OUTLIERS_MAX * len(values) and _steepness(values, 1) > HEAVY:
        logs = positive.log()
        high, low = _unlog(_side(logs, 1)), _unlog(_side(logs, -1))
    if sign is not None:
        low = sign
    return Bounds(_rare(values, low, -1), _rare(values, high, 1))


def is_sign_rare(values: pl.Series) -> bool:
    """Tell whether a few numbers, nulls ignored, are negative as hardly any other is."""
    return _sign_fence(values.drop_nulls()) is not None


def _far_side(values: pl.Series, sign: int) -> Fence | None:
    """Return the fence on one side; of a heavy tail by the logarithms of the distances."""
    if _steepness(values, sign) <= HEAVY:
        return _side(values, sign)
    middle = _quantile(values, 0.5)
    distances = (values - middle) * sign
    fence = _unlog(_side(distances.filter(distances > 0).log(), 1))
    return fence and Fence(middle + sign * fence.bound, fence.z, "logarithm of the distance")


def _side(values: pl.Series, sign: int) -> Fence | None:
    """Return the fence on one side; None where more than nine in ten values are the same."""
    mirrored = values * sign
    middle, far, share = _points(mirrored)
    beta = _steepness(values, sign)
    if far <= middle:
        return None
    reach = math.log(TABLES * len(values) / 2) / -math.log(2 * share)
    bound = middle + (far - middle) * reach ** min(max(beta, STEEP_MIN), STEEP_MAX)
    above = mirrored.filter(mirrored >= middle) - middle
    spread = MAD_TO_SD * float(above.median() or 0)  # type: ignore[arg-type]
    bound = max(bound, middle + Z_MIN * spread)
    z = (bound - middle) / spread if spread else math.inf
    return Fence(sign * bound, z, "value")


def _points(values: pl.Series) -> tuple[float, float, float]:
    share = min(max(TAIL, TAIL_VALUES / len(values)), TAIL_SMALL)
    return _quantile(values, 0.5), _quantile(values, 1 - share), share


def _steepness(values: pl.Series, sign: int) -> float:
    mirrored = values * sign
    middle, far, share = _points(mirrored)
    nearer = min(4 * share, 0.35)
    near = _quantile(mirrored, 1 - nearer)
    if near <= middle:
        return STEEP_MAX if far > middle else 1.0
    return math.log((far - middle) / (near - middle)) / math.log(
        math.log(2 * share) / math.log(2 * nearer)
    )


def _quantile(values: pl.Series, share: float) -> float:
    return float(values.quantile(share, "linear") or 0)


def _unlog(fence: Fence | None) -> Fence | None:
    if fence is None or fence.bound > 700:
        return None
    return Fence(math.exp(fence.bound), fence.z, "logarithm")


def _sign_fence(values: pl.Series) -> Fence | None:
    """Return a fence at 0 when a few values have the wrong sign: negative, and not small."""
    negative = values.filter(values < 0)
    rest = values.filter(values > 0)
    if not 0 < len(negative) <= max(NEGATIVE_MAX * len(values), 1.0):
        return None
    size, usual = -_quantile(negative, 0.5), _quantile(rest, 0.5)
    return Fence(0.0, 0.0, "sign") if size >= NEGATIVE_SIZE * usual else None


def _rare(values: pl.Series, fence: Fence | None, sign: int) -> Fence | None:
    if fence is None:
        return None
    beyond = int((values * sign > fence.bound * sign).sum())
    most = max(OUTLIERS_MAX * len(values), 1.0)
    return fence if beyond <= most else None
