"""The program that answers one query and ends: nothing that a query does can outlive or outgrow it.

Started as a process of its own by ``querying``, which kills it when its time is over: some functions
of SQLite take as long as their arguments ask for, and look neither at a clock nor at an interrupt.
It reads one JSON object from stdin and writes one to stdout, and imports the standard library only.
"""

import json
import resource
import sqlite3
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Any, Final

HEAP_MAX_BYTES: Final = 256 * 1024 * 1024
PROCESS_MAX_BYTES: Final = 2 * HEAP_MAX_BYTES
"""What SQLite holds and what it has handed over: a row is there twice, once more as an answer."""
VALUE_MAX_BYTES: Final = 8 * 1024 * 1024
STEPS_BETWEEN_LOOKS: Final = 10_000

LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_LENGTH: VALUE_MAX_BYTES,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 500,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 100_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 100,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1000,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 1000,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}

VIEWS: Final = frozenset({"attempts", "events", "runs", "transitions", "visits"})
TABLES: Final = frozenset({"label", "record", "stream"})
"""What the views are made of. A query that passes itself off as a view could read these, too; they
hold nothing that the views do not tell. The table of secrets is in no view."""
PARTS: Final = frozenset({"told_of_attempts", "told_of_visits", "visits_begun", "each"})
"""What the views call their own parts."""
LISTS: Final = frozenset({"json_each", "json_tree"})
FUNCTIONS: Final = frozenset(
    [
        "->",
        "->>",
        "abs",
        "acos",
        "acosh",
        "asin",
        "asinh",
        "atan",
        "atan2",
        "atanh",
        "avg",
        "ceil",
        "ceiling",
        "changes",
        "char",
        "coalesce",
        "concat",
        "concat_ws",
        "cos",
        "cosh",
        "count",
        "cume_dist",
        "date",
        "datetime",
        "degrees",
        "dense_rank",
        "exp",
        "first_value",
        "floor",
        "format",
        "glob",
        "group_concat",
        "hex",
        "ifnull",
        "iif",
        "instr",
        "json",
        "json_array",
        "json_array_length",
        "json_each",
        "json_extract",
        "json_group_array",
        "json_group_object",
        "json_object",
        "json_quote",
        "json_tree",
        "json_type",
        "json_valid",
        "julianday",
        "lag",
        "last_value",
        "lead",
        "length",
        "like",
        "likelihood",
        "likely",
        "ln",
        "log",
        "log10",
        "log2",
        "lower",
        "ltrim",
        "max",
        "min",
        "mod",
        "nth_value",
        "ntile",
        "nullif",
        "octet_length",
        "percent_rank",
        "pi",
        "pow",
        "power",
        "printf",
        "quote",
        "radians",
        "rank",
        "replace",
        "round",
        "row_number",
        "rtrim",
        "sign",
        "sin",
        "sinh",
        "sqrt",
        "strftime",
        "string_agg",
        "substr",
        "substring",
        "sum",
        "tan",
        "tanh",
        "time",
        "timediff",
        "total",
        "trim",
        "trunc",
        "typeof",
        "unhex",
        "unicode",
        "unixepoch",
        "unlikely",
        "upper",
    ]
)


class Refused(Exception):
    """A query that is not answered, in a sentence."""


def bound() -> None:
    """Bound this process for the rest of its life: SQLite's own limit holds for itself alone."""
    with suppress(ValueError, OSError):  # not every system has such a bound
        resource.setrlimit(resource.RLIMIT_AS, (PROCESS_MAX_BYTES, PROCESS_MAX_BYTES))


def main() -> None:
    """Answer what stands on stdin."""
    asked = json.load(sys.stdin)
    try:
        answer = answered(asked)
    except Refused as refused:
        answer = {"refused": str(refused)}
    sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace"))


def answered(asked: dict[str, Any]) -> dict[str, Any]:
    """Return columns, rows and whether there were more; raises Refused."""
    until = time.monotonic() + asked["time_s"]
    try:
        db = connected(asked["uri"], asked["views"])
        db.set_progress_handler(lambda: int(time.monotonic() > until), STEPS_BETWEEN_LOOKS)
        cursor = db.execute(asked["sql"], asked["params"])
        if cursor.description is None:
            raise Refused("there is no statement in it; write SELECT … FROM runs")
        columns = [column[0] for column in cursor.description]
        rows, truncated = taken(cursor, asked["rows_max"], asked["bytes_max"])
    except MemoryError:
        told = f"the query needs more memory than the {HEAP_MAX_BYTES >> 20} MiB it may use"
        raise Refused(told) from None
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
        raise Refused(told_of(error, asked["time_s"])) from None
    return {"columns": columns, "rows": rows, "truncated": truncated}


def connected(uri: str, views: str) -> sqlite3.Connection:
    """Open a connection that sees the views, and can do nothing but read them."""
    db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0.5)
    db.execute(f"PRAGMA hard_heap_limit={HEAP_MAX_BYTES}")
    db.execute("PRAGMA temp_store=memory")  # so that the limit holds for what is sorted, too
    db.execute("PRAGMA trusted_schema=off")
    db.executescript(views)
    db.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')")  # made here, as later none may be
    db.execute("PRAGMA query_only=on")
    for limit, value in LIMITS.items():
        db.setlimit(limit, value)
    db.text_factory = lambda data: data.decode("utf-8", "replace")
    tables = {name for (name,) in db.execute("SELECT name FROM main.sqlite_master")}
    db.set_authorizer(partial(allowed, frozenset(tables - TABLES)))
    return db


def allowed(
    hidden: frozenset[str],
    action: int,
    first: str | None,
    second: str | None,
    place: str | None,
    within: str | None,
) -> int:
    """Tell SQLite whether a query may do something: read the views, and call harmless functions."""
    match action:
        case sqlite3.SQLITE_SELECT | 33:  # SQLITE_RECURSIVE
            fine = True
        case sqlite3.SQLITE_FUNCTION:
            fine = (second or "").lower() in FUNCTIONS
        case sqlite3.SQLITE_READ if first in TABLES:
            fine = within in VIEWS | PARTS or not second  # no column: rows are counted
        case sqlite3.SQLITE_READ:
            # Without a place and a column it is a part of the query itself whose rows are counted.
            is_own = not second and place is None and first not in hidden
            is_own = is_own and not (first or "").startswith("sqlite_")
            fine = first in VIEWS | LISTS or is_own
        case _:
            fine = False
    return sqlite3.SQLITE_OK if fine else sqlite3.SQLITE_DENY


def taken(cursor: sqlite3.Cursor, rows_max: int, bytes_max: int) -> tuple[list[list[Any]], bool]:
    """Return the first rows, and whether there are more than may be; raises Refused."""
    rows: list[list[Any]] = []
    size = 0
    for row in cursor:
        values = [plain(value) for value in row]
        size += len(json.dumps(values, ensure_ascii=False).encode("utf-8", "replace")) + 1
        if len(rows) == rows_max or size > bytes_max:
            if not rows:
                raise Refused(f"a single row is larger than the {bytes_max:,} bytes of an answer")
            return rows, True
        rows.append(values)
    return rows, False


def plain(value: Any) -> Any:
    """Return a value as JSON has it: bytes in hexadecimal digits, infinities as text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return str(value)
    return value


def told_of(error: Exception, time_s: float) -> str:
    """Return what SQLite says, as a sentence that says what to do."""
    said = str(error)
    if said == "interrupted":
        return too_slow(time_s)
    if said in ("not authorized", "authorization denied"):
        return f"a query is one SELECT over the views {', '.join(sorted(VIEWS))}"
    if "prohibited" in said or "not authorized to use function" in said:
        return f"SQLite says: {said}; a query reads the views {', '.join(sorted(VIEWS))}"
    return f"SQLite says: {said}"


def too_slow(time_s: float) -> str:
    """Return what is told of a query that took too long."""
    return f"the query took longer than {time_s:g} s; ask for less, or give it more time (time_s)"


if __name__ == "__main__":  # pragma: no cover  (by a process that nobody measures)
    bound()
    main()
