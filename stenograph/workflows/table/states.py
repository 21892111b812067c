"""Types: what the data quality tools read of the state and of a config, and what they write.

They import nothing of polars, so that a server can tell of the tools without it. Tables, rules and
findings are declared loosely: what is in them is checked where it is used, with its place.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias, TypedDict

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

ROUNDS: Final = 5
ROUNDS_MAX: Final = 20

FILLS: Final = ("auto", "leave")
OUTLIERS: Final = ("auto", "clip", "null", "drop")
UNREADABLE: Final = ("leave", "null")

_Objects: TypeAlias = list[dict[str, Any]]
_LIST: Final = {"type": "array", "items": {"type": "object"}}

# What the tools are given.
Path: TypeAlias = Annotated[
    str | None,
    Meta(
        description="A table in the data folder: .csv, .tsv, .txt, .parquet, .json, .ndjson or "
        ".jsonl. Without it, rows is the table."
    ),
]
Rows: TypeAlias = Annotated[
    Any, Meta(description="The table itself, a list of objects.", extra_json_schema=_LIST)
]
Data: TypeAlias = Annotated[
    Any, Meta(description="Another spelling of rows.", extra_json_schema=_LIST)
]
Rules: TypeAlias = Annotated[
    Any,
    Meta(
        description="The rules that are applied to the table, in their order; it may begin with "
        "those of an earlier run.",
        extra_json_schema=_LIST,
    ),
]
Key: TypeAlias = Annotated[
    str | list[str],
    Meta(description="The column, or a list of columns, that names a row."),
]
Threshold: TypeAlias = Annotated[
    int,
    Meta(
        description="How many anomalies may be left.",
        ge=0,
        le=10**9,
        extra_json_schema={"default": 0},
    ),
]
OtherThreshold: TypeAlias = Annotated[
    int, Meta(description="Another spelling of threshold.", ge=0, le=10**9)
]
MaxRounds: TypeAlias = Annotated[
    int,
    Meta(
        description="How many rounds at most.",
        ge=1,
        le=ROUNDS_MAX,
        extra_json_schema={"default": ROUNDS},
    ),
]
Fill: TypeAlias = Annotated[
    str,
    Meta(
        description="Whether gaps are filled where that can be guessed, or stay empty.",
        pattern=f"^({'|'.join(FILLS)})$",
        extra_json_schema={"enum": FILLS, "default": FILLS[0]},
    ),
]
Outliers: TypeAlias = Annotated[
    str,
    Meta(
        description="What becomes of outliers: held to their bound, emptied, or their row dropped.",
        pattern=f"^({'|'.join(OUTLIERS)})$",
        extra_json_schema={"enum": OUTLIERS, "default": OUTLIERS[0]},
    ),
]
Unreadable: TypeAlias = Annotated[
    str,
    Meta(
        description="What becomes of what does not fit a format: left to a person, or emptied.",
        pattern=f"^({'|'.join(UNREADABLE)})$",
        extra_json_schema={"enum": UNREADABLE, "default": UNREADABLE[0]},
    ),
]

# What they find out.
Source: TypeAlias = Annotated[str, Meta(description="What the table was read from.")]
RowCount: TypeAlias = Annotated[int, Meta(description="How many rows its source has.")]
RowsLeft: TypeAlias = Annotated[int, Meta(description="How many rows the rules leave of it.")]
Profile: TypeAlias = Annotated[_Objects, Meta(description="What each column is.")]
Rounds: TypeAlias = Annotated[int, Meta(description="How many rounds have begun.")]
AnomalyCount: TypeAlias = Annotated[int, Meta(description="How many anomalies there are now.")]
AnomaliesFirst: TypeAlias = Annotated[
    int, Meta(description="How many anomalies there were before all rules.")
]
AnomaliesBefore: TypeAlias = Annotated[
    int, Meta(description="How many anomalies there were before the latest rules.")
]
Counts: TypeAlias = Annotated[
    list[int], Meta(description="How many anomalies each round left, in their order.")
]
ByKind: TypeAlias = Annotated[dict[str, int], Meta(description="How many there are of each kind.")]
ByKindFirst: TypeAlias = Annotated[
    dict[str, int], Meta(description="How many there were of each kind before all rules.")
]
ByColumn: TypeAlias = Annotated[
    dict[str, int], Meta(description="How many there are in each column.")
]
Anomalies: TypeAlias = Annotated[
    _Objects, Meta(description="Anomalies one by one: {row, column, kind, value, why}.")
]
Findings: TypeAlias = Annotated[
    Any,
    Meta(
        description="What rules are made from: {kind, column, count, why, facts} each.",
        extra_json_schema=_LIST,
    ),
]
KeyColumns: TypeAlias = Annotated[
    list[str], Meta(description="The columns that name rows: given, or what looks like it.")
]
GivenKey: TypeAlias = Annotated[list[str], Meta(description="The columns of key, if it was given.")]
NewRules: TypeAlias = Annotated[int, Meta(description="How many rules the latest round added.")]
Improved: TypeAlias = Annotated[
    bool, Meta(description="Whether the latest rules left fewer anomalies.")
]
StoppedBy: TypeAlias = Annotated[
    str | None, Meta(description="Why there is no other round; null while there should be one.")
]
Report: TypeAlias = Annotated[dict[str, Any], Meta(description="All rounds, summed up.")]
ReportMarkdown: TypeAlias = Annotated[str, Meta(description="The report, as Markdown.")]
CleanRows: TypeAlias = Annotated[
    _Objects | None,
    Meta(description="The rows with the rules applied; null when they are too large."),
]


class Config(Struct, frozen=True, kw_only=True):
    """What the config of a node may say; it wins over the state."""

    key: Key | UnsetType = UNSET
    threshold: Threshold | UnsetType = UNSET
    anomaly_threshold: OtherThreshold | UnsetType = UNSET
    max_anomalies: OtherThreshold | UnsetType = UNSET
    max_rounds: MaxRounds | UnsetType = UNSET
    fill: Fill | UnsetType = UNSET
    outliers: Outliers | UnsetType = UNSET
    unreadable: Unreadable | UnsetType = UNSET


class Table(TypedDict, total=False):
    """A table: a file or rows, and the rules that are applied to it."""

    path: Path
    rows: Rows
    data: Data
    rules: Rules
    key: Key


class ToProfile(Table, total=False):
    """A table, and how many rounds were over it."""

    rounds: Rounds


class Profiled(TypedDict):
    """What a table is."""

    source: Source
    row_count: RowCount
    profile: Profile
    rules: Rules
    key: GivenKey
    rounds: Rounds


class ToIdentify(Table, total=False):
    """A table, and whether it was looked at before."""

    anomalies_first: AnomaliesFirst


class Identified(TypedDict, total=False):
    """What is unusual in a table."""

    anomaly_count: AnomalyCount
    by_kind: ByKind
    by_column: ByColumn
    anomalies: Anomalies
    findings: Findings
    key: GivenKey
    key_columns: KeyColumns
    anomalies_first: AnomaliesFirst
    by_kind_first: ByKindFirst


class ToGenerate(TypedDict, total=False):
    """What was found, which rules there are, and what a person chose."""

    findings: Findings
    rules: Rules
    new_rules: NewRules
    key_columns: KeyColumns
    fill: Fill
    outliers: Outliers
    unreadable: Unreadable


class Generated(TypedDict):
    """The rules, old and new."""

    rules: Rules
    new_rules: NewRules


class ToApply(Table, total=False):
    """A table with its new rules, when it is good enough, and what the rounds before came to."""

    threshold: Threshold
    anomaly_threshold: OtherThreshold
    max_anomalies: OtherThreshold
    max_rounds: MaxRounds
    source: Source
    row_count: RowCount
    profile: Profile
    rounds: Rounds
    new_rules: NewRules
    anomaly_count: AnomalyCount
    anomalies_first: AnomaliesFirst
    by_kind_first: ByKindFirst
    counts: Counts


class Applied(TypedDict, total=False):
    """What a round came to."""

    anomaly_count: AnomalyCount
    by_kind: ByKind
    by_column: ByColumn
    anomalies: Anomalies
    anomalies_before: AnomaliesBefore
    improved: Improved
    counts: Counts
    rows_left: RowsLeft
    threshold: Threshold
    max_rounds: MaxRounds
    stopped_by: StoppedBy
    clean_rows: CleanRows
    report: Report
    report_markdown: ReportMarkdown


def given(config: Config) -> dict[str, Any]:
    """Return what a config says, without what it leaves to the state."""
    said: dict[str, Any] = msgspec.to_builtins(config)
    return said
