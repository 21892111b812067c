"""A table of orders with planted anomalies, for the tests of the data quality workflow.

Every planted anomaly is known by its row, column and kind. What a cell would have been is realistic:
amounts with a heavy tail, skewed categories, names of many kinds, notes that are mostly empty.
"""

from __future__ import annotations

import datetime
import random
from typing import Any

import polars as pl

CITY_NAMES = """
Berlin,Hamburg,Munich,Cologne,Frankfurt,Stuttgart,Leipzig,Dresden,Hanover,Nuremberg,Duisburg,Bochum,
Wuppertal,Bielefeld,Bonn,Mannheim,Karlsruhe,Wiesbaden,Augsburg,Kiel,Aachen,Chemnitz,Magdeburg,
Freiburg,Krefeld,Mainz,Erfurt,Rostock,Kassel,Potsdam,Oldenburg,Heidelberg,Darmstadt,Regensburg,
Ingolstadt,Ulm,Wolfsburg,Trier,Jena,Siegen,Hildesheim,Cottbus,Bad Homburg,Saint-Denis,New York,
Rio de Janeiro"""
FIRST_NAMES = """
Anna,Ben,Clara,David,Elena,Felix,Greta,Hugo,Ines,Jonas,Katja,Leon,Maria,Marie,Mario,Nils,Olga,Paul,
Quentin,Rosa,Simon,Thea,Uwe,Vera,Willem,Xenia,Yusuf,Zoe,Jean-Luc,Siobhan,Björn,Zoë"""
LAST_NAMES = """
Adler,Becker,Christensen,Dubois,Eriksson,Fischer,Garcia,Hansen,Ivanova,Jansen,Kowalski,Lange,Meyer,
Novak,O'Brien,Petersen,Quist,Rossi,Schmidt,Tanaka,Ullrich,Vogel,Weber,Xu,Yilmaz,Zimmer"""
CITIES, FIRST, LAST = (
    names.replace("\n", "").split(",") for names in (CITY_NAMES, FIRST_NAMES, LAST_NAMES)
)
CATEGORIES = ("Electronics", "Groceries", "Furniture", "Clothing", "Garden", "Stationery", "Toys")
COLUMNS = (
    *("order_id", "customer", "email", "city", "category", "amount"),
    *("quantity", "discount", "ordered", "express", "note"),
)

Planted = set[tuple[int, str, str]]


def table(rows: int, seed: int = 7) -> tuple[pl.DataFrame, Planted]:
    """Return a table of text, and each planted anomaly as (row from 1, column, kind)."""
    chance = random.Random(seed)
    lines = _orders(rows, chance)
    planted = _plant(lines, chance)
    return _frame(lines), planted


def unspoilt(rows: int, seed: int = 7) -> pl.DataFrame:
    """Return the same table before anything was planted."""
    return _frame(_orders(rows, random.Random(seed)))


def _orders(rows: int, chance: random.Random) -> list[dict[str, Any]]:
    return [_order(number, chance) for number in range(1, rows + 1)]


def _frame(lines: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(lines, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")


def _order(number: int, chance: random.Random) -> dict[str, Any]:
    first, last = chance.choice(FIRST), chance.choice(LAST)
    day = datetime.date(2021, 1, 1) + datetime.timedelta(days=int(1400 * chance.random() ** 0.7))
    host = chance.choice(("example.com", "mail.example.org", "example.co.uk", "post.example.net"))
    notes = ("call first", "gift", "leave at the door", "ring twice", "fragile - handle with care")
    return {
        "order_id": f"ORD-{number:07d}",
        "customer": f"{first} {last}",
        "email": f"{first}.{last}{chance.randrange(1000)}@{host}".lower()
        .encode("ascii", "ignore")
        .decode()
        .replace("'", ""),
        "city": CITIES[min(int(chance.expovariate(1 / 12)), len(CITIES) - 1)],
        "category": chance.choices(CATEGORIES, (40, 30, 10, 10, 5, 3, 2))[0],
        "amount": f"{chance.lognormvariate(3.5, 0.9):.2f}",
        "quantity": str(1 + min(int(chance.expovariate(0.7)), 19)),
        "discount": f"{min(max(chance.gauss(10, 3), 0), 30):.1f}",
        "ordered": day.isoformat(),
        "express": chance.choices(("yes", "no"), (1, 4))[0],
        "note": chance.choice(notes) if chance.random() < 0.1 else None,
    }


def _plant(lines: list[dict[str, Any]], chance: random.Random) -> Planted:
    planted: Planted = set()
    share = len(lines) // 400
    free = list(range(1, len(lines)))
    chance.shuffle(free)  # a row is spoilt once, so that each anomaly is known

    def spoil(column: str, kind: str, how: Any, times: int) -> None:
        for _ in range(times):
            place = free.pop()
            old = lines[place][column]
            new = how(old)
            if new != old and old is not None:
                lines[place][column] = new
                planted.add((place + 1, column, kind))

    gone = ["", "N/A", "null", "-", "NULL", "n/a", None]
    for column in ("customer", "email", "city", "amount", "quantity", "ordered"):
        spoil(column, "missing", lambda _: chance.choice(gone), share)
    for column in ("customer", "city", "category", "email", "ordered"):
        spoil(column, "whitespace", lambda old: _spaced(old, chance), share)
    words = ["unknown", "twelve", "tbd", "see note", "1,0 approx", "#REF!"]
    for column in ("amount", "quantity", "discount"):
        spoil(column, "type", lambda _: chance.choice(words), share)
    spoil("amount", "type", lambda old: f"${old}", share)
    spoil("ordered", "type", lambda _: chance.choice(["soon", "yesterday", "Q3"]), share)
    spoil("express", "type", lambda _: chance.choice(["maybe", "1", "0", "x"]), share)
    spoil("amount", "outlier", lambda old: f"{float(old) * 10 ** chance.uniform(3, 6):.2f}", share)
    spoil("amount", "outlier", lambda old: f"-{old}", share)
    spoil("quantity", "outlier", lambda _: str(chance.choice([999, 1000, 9999, 250])), share)
    spoil("discount", "outlier", lambda _: chance.choice(["100.0", "250.5", "-99.0"]), share)
    spoil("city", "spelling", lambda old: _retyped(old, chance), share)
    spoil("category", "spelling", lambda old: _retyped(old, chance), share)
    spoil("express", "spelling", lambda old: old.upper(), share)
    for how in (_no_at, _no_dot, lambda old: old.replace("@", " at ")):
        spoil("email", "format", how, share // 2)
    spoil("order_id", "format", lambda old: old.replace("-", ""), share // 2)
    spoil("order_id", "format", lambda old: old.lower(), share // 2)
    spoil("ordered", "format", lambda old: "{2}.{1}.{0}".format(*old.split("-")), share)
    spoil("ordered", "date", lambda old: f"{old[:5]}02-30", share)
    spoil("ordered", "date", lambda old: chance.choice(["1900-01-01", "9999-12-31"]), share)
    for _ in range(share):
        first, again = sorted((free.pop(), free.pop()))
        lines[again] = dict(lines[first])
        planted.add((again + 1, "", "duplicate_row"))
        first, again = sorted((free.pop(), free.pop()))
        lines[again]["order_id"] = lines[first]["order_id"]
        planted.add((again + 1, "order_id", "duplicate_key"))
    return planted


def _spaced(old: str, chance: random.Random) -> str:
    return chance.choice([f" {old}", f"{old} ", f"  {old}", f"{old}\u00a0", f"\t{old}"])


def _no_at(old: str) -> str:
    return old.replace("@", "")


def _no_dot(old: str) -> str:
    return old.partition("@")[0] + "@example"


def _retyped(old: str, chance: random.Random) -> str:
    """Return a word in other letters, or with a slip: a letter less, twice, or two exchanged."""
    at = chance.randrange(1, len(old) - 1)
    slips = [old[:at] + old[at + 1 :], old[:at] + old[at] + old[at:]]
    slips.append(old[:at] + old[at + 1] + old[at] + old[at + 2 :])
    return chance.choice([old.upper(), old.lower(), *slips])
