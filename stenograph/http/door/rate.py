"""How often one may ask: a token bucket for each who asks, in little memory."""

from __future__ import annotations

from typing import Final

KNOWN_MAX: Final = 10_000
"""Of how many who asked is kept when; who asked longest ago is forgotten first."""


class Buckets:
    """Lets each who asks have ``burst`` requests at once, and ``rate`` more a second.

    A bucket is one number: when it will be full again (the generic cell rate algorithm of ITU-T
    I.371). So one that nobody draws from needs no refilling, and one that is full no memory.
    """

    def __init__(self, rate: float, burst: int, *, most: int = KNOWN_MAX) -> None:
        self.rate, self.burst, self._most = rate, burst, most
        self._full_at: dict[str, float] = {}

    def __len__(self) -> int:
        """How many buckets are kept."""
        return len(self._full_at)

    def draw(self, who: str, now: float) -> float:
        """Take one request out of a bucket; return 0, or after how many seconds there is one."""
        full_at = max(self._full_at.pop(who, now), now) + 1 / self.rate
        wait_s = full_at - now - self.burst / self.rate
        if wait_s > 1e-9:  # of what the addition of fractions leaves over
            full_at -= 1 / self.rate
        elif len(self._full_at) >= self._most:
            del self._full_at[next(iter(self._full_at))]
        self._full_at[who] = full_at
        return max(wait_s, 0.0) if wait_s > 1e-9 else 0.0
