"""A table to clean: a row that is there twice, a price that cannot be, values that are missing."""

from __future__ import annotations

from typing import Any

TABLE: list[dict[str, Any]] = [
    {"id": 1, "city": "Bern", "price": 10.0},
    {"id": 2, "city": "Bern", "price": 11.0},
    {"id": 2, "city": "Bern", "price": 11.0},
    *({"id": n, "city": ("Bern", "Basel")[n % 2], "price": 10.0 + n % 5} for n in range(3, 60)),
    {"id": 60, "city": "bern ", "price": 99999.0},
    {"id": 61, "city": None, "price": None},
]
