"""Types: what the tools of a review read of the state and of a config, and what they write.

A state is a dict: these say what its keys mean, for whoever lists the tools, and are checked before
a tool is called. What another tool has written is declared as loosely as it may be.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias, TypedDict

from msgspec import UNSET, Meta, Struct, UnsetType

THRESHOLD: Final = 90
PASSES: Final = 10
PASSES_MAX: Final = 20
OPEN_POINTS: Final = 3.0
"""What an issue costs that keeps a source from being approved, if nothing else is asked for."""

CODE_MAX: Final = 2 * 1024 * 1024
"""Most bytes of a source, in UTF-8."""

_Percent: TypeAlias = Annotated[int, Meta(ge=0, le=100)] | Annotated[float, Meta(ge=0, le=100)]
_Objects: TypeAlias = list[dict[str, Any]]

# What a review is given.
Code: TypeAlias = Annotated[
    str | None,
    Meta(
        description=f"The Python source, as text: at most {CODE_MAX:,} bytes of UTF-8. Without it, "
        "the file that path names is read."
    ),
]
Path: TypeAlias = Annotated[
    str,
    Meta(
        description="The name of the source, for its diff; without code, that of a file in the "
        "data folder."
    ),
]
Threshold: TypeAlias = Annotated[
    _Percent,
    Meta(
        description="The score that is good enough, 0 to 100.",
        extra_json_schema={"default": THRESHOLD},
    ),
]
MaxPasses: TypeAlias = Annotated[
    int,
    Meta(
        description="How many passes there may be.",
        ge=1,
        le=PASSES_MAX,
        extra_json_schema={"default": PASSES},
    ),
]
OpenPoints: TypeAlias = Annotated[
    _Percent,
    Meta(
        description="The points from which on an issue is open though it has no safe fix.",
        extra_json_schema={"default": OPEN_POINTS},
    ),
]
Approval: TypeAlias = Annotated[
    Any,
    Meta(
        description="The signal approval: {approved, by, reason}.",
        extra_json_schema={"type": "object"},
    ),
]

# What it finds out.
Functions: TypeAlias = Annotated[
    _Objects, Meta(description="The functions of the source, each with its name and line.")
]
Classes: TypeAlias = Annotated[
    _Objects, Meta(description="The classes of the source, each with its name and line.")
]
Imports: TypeAlias = Annotated[_Objects, Meta(description="What the source imports.")]
Counts: TypeAlias = Annotated[
    dict[str, Any], Meta(description="How many functions, classes and imports there are.")
]
Lines: TypeAlias = Annotated[
    dict[str, Any], Meta(description="How many lines there are, of each kind.")
]
SyntaxFault: TypeAlias = Annotated[
    dict[str, Any] | None,
    Meta(description="Why the source is no Python: {message, line, column}; else null."),
]
Score: TypeAlias = Annotated[
    int | float, Meta(description="The score of the latest pass, 0 to 100: 100 has no issue.")
]
Scores: TypeAlias = Annotated[
    list[int | float], Meta(description="The score of each pass so far, in their order.")
]
Passes: TypeAlias = Annotated[int, Meta(description="How many passes there were.")]
Scoring: TypeAlias = Annotated[
    dict[str, Any], Meta(description="How the score comes about: its lines, and points by group.")
]
IssueCount: TypeAlias = Annotated[int, Meta(description="How many issues the linter found.")]
FixableCount: TypeAlias = Annotated[int, Meta(description="How many of them have a safe fix.")]
Rules: TypeAlias = Annotated[
    dict[str, Any], Meta(description="What each rule of the linter found, by its code.")
]
Issues: TypeAlias = Annotated[
    _Objects, Meta(description="The issues one by one, the weightiest first.")
]
IssuesCut: TypeAlias = Annotated[
    bool, Meta(description="Whether there are more issues than the linter was let tell.")
]
Complexity: TypeAlias = Annotated[
    dict[str, Any], Meta(description="McCabe's complexity: its mean and max, the worst functions.")
]
Linter: TypeAlias = Annotated[str, Meta(description="The version of ruff that judged.")]
TargetVersion: TypeAlias = Annotated[
    str, Meta(description="The Python that the source is read for.")
]
Suggestions: TypeAlias = Annotated[
    _Objects, Meta(description="What to do about the source, the costliest first.")
]
Improved: TypeAlias = Annotated[
    bool, Meta(description="Whether code was changed, so that another pass may help.")
]
StoppedBy: TypeAlias = Annotated[
    str | None, Meta(description="Why there is no other pass; null while there may be one.")
]
Fixed: TypeAlias = Annotated[int, Meta(description="How many issues have been fixed so far.")]
Fixes: TypeAlias = Annotated[
    _Objects, Meta(description="What each pass applied: group, rules, fixed, diff.")
]
Report: TypeAlias = Annotated[dict[str, Any], Meta(description="The review, summed up.")]
IssuesOpen: TypeAlias = Annotated[
    int, Meta(description="How many issues keep the source from being approved.")
]
Open: TypeAlias = Annotated[
    dict[str, Any],
    Meta(description="What is open and why: {summary, open_points, safe, person, comments}."),
]
Approved: TypeAlias = Annotated[bool, Meta(description="Whether the source is approved.")]
Verdict: TypeAlias = Annotated[
    dict[str, Any],
    Meta(description="By whom it was decided and why, of which code, with what left open."),
]


class Config(Struct, frozen=True, kw_only=True):
    """What the config of a node may say; it wins over the state."""

    threshold: Threshold | UnsetType = UNSET
    max_passes: MaxPasses | UnsetType = UNSET
    open_points: OpenPoints | UnsetType = UNSET


class Source(TypedDict, total=False):
    """A Python source: its text, or a file."""

    code: Code
    path: Path


class Outlined(TypedDict, total=False):
    """What is in a source; of one that is no Python, why."""

    functions: Functions
    classes: Classes
    imports: Imports
    counts: Counts
    lines: Lines
    syntax_error: SyntaxFault


class ToMeasure(Source, total=False):
    """A source with its outline, and what earlier passes measured."""

    functions: Functions
    syntax_error: SyntaxFault
    scores: Scores
    scoring: Scoring
    linter: Linter


class Measured(TypedDict, total=False):
    """A pass: the issues of a source, and its score."""

    quality_score: Score
    scores: Scores
    passes: Passes
    scoring: Scoring
    issue_count: IssueCount
    fixable_count: FixableCount
    rules: Rules
    issues: Issues
    complexity: Complexity
    linter: Linter
    target_version: TargetVersion
    issues_cut: IssuesCut


class ToFix(Source, total=False):
    """A source that was measured, and what has been fixed before."""

    max_passes: MaxPasses
    syntax_error: SyntaxFault
    scores: Scores
    passes: Passes
    rules: Rules
    target_version: TargetVersion
    fixed: Fixed
    fixes: Fixes


class ToReport(TypedDict, total=False):
    """A review, as it ended."""

    path: Path
    threshold: Threshold
    syntax_error: SyntaxFault
    quality_score: Score
    scores: Scores
    issue_count: IssueCount
    rules: Rules
    complexity: Complexity
    linter: Linter
    suggestions: Suggestions
    stopped_by: StoppedBy
    fixed: Fixed
    fixes: Fixes


class ToImprove(ToFix, total=False):
    """A source that was measured, and when its score is good enough."""

    threshold: Threshold
    quality_score: Score
    issue_count: IssueCount
    complexity: Complexity
    linter: Linter


class Fix(TypedDict, total=False):
    """What fixing came to."""

    code: Code
    improved: Improved
    stopped_by: StoppedBy
    fixed: Fixed
    fixes: Fixes


class Suggested(Fix, total=False):
    """What there is to do, and what was done; the last node of a graph writes the report, too."""

    suggestions: Suggestions
    threshold: Threshold
    report: Report


class Reported(TypedDict):
    """The end of a review."""

    quality_score: Score
    report: Report


class ToReview(Source, total=False):
    """A source, what earlier passes measured of it, and what is open."""

    open_points: OpenPoints
    scores: Scores
    scoring: Scoring
    linter: Linter


class Reviewed(Outlined, Measured, total=False):
    """A source that was outlined and measured, and what is open in it."""

    suggestions: Suggestions
    issues_open: IssuesOpen
    review: Open


class ToDecide(Source, total=False):
    """A source that was reviewed, and what a person said."""

    approval: Approval
    quality_score: Score
    issue_count: IssueCount
    issues_open: IssuesOpen
    fixed: Fixed


class Decided(TypedDict):
    """What was decided."""

    approved: Approved
    verdict: Verdict
