"""A crash at any commit of any graph loses nothing, doubles nothing, and leaves nothing stuck."""

from __future__ import annotations

import pytest

from tests.crashes import Tally, crash_everywhere
from tests.graphs import SAMPLES


@pytest.mark.parametrize("name", SAMPLES)
async def test_a_run_that_crashed_anywhere_ends_as_the_uncrashed_one(name: str) -> None:
    tally = Tally()
    faults = await crash_everywhere(SAMPLES[name], tally)
    assert not faults, "\n".join(faults)
    assert tally.points >= 3
    assert (tally.lost, tally.doubled, tally.stuck) == (0, 0, 0)
