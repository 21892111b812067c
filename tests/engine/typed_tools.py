"""Types for the state, and tools that take them: in a thread, on the loop, in a process."""

from __future__ import annotations

import dataclasses
from typing import Any, NotRequired, TypedDict

import pydantic
from msgspec import UNSET, Struct, UnsetType, field

from stenograph.engine import Context, Goto, predicate, tool


class Issue(Struct):
    line: int
    text: str = ""


class Review(Struct):
    """What the reviewing nodes know of the state."""

    issues: list[Issue]
    round: int = 0
    notes: list[str] = []
    verdict: str | None = None
    hint: str | UnsetType = UNSET


@dataclasses.dataclass
class DataIssue:
    line: int
    text: str = ""


@dataclasses.dataclass
class DataReview:
    issues: list[DataIssue]
    round: int = 0
    notes: list[str] = dataclasses.field(default_factory=list)
    verdict: str | None = None


class DictIssue(TypedDict):
    line: int
    text: NotRequired[str]


class DictReview(TypedDict):
    issues: list[DictIssue]
    round: NotRequired[int]
    notes: NotRequired[list[str]]
    verdict: NotRequired[str | None]


class ModelIssue(pydantic.BaseModel):
    line: int
    text: str = ""


class ModelReview(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    issues: list[ModelIssue]
    round: int = 0
    notes: list[str] = []
    verdict: str | None = None


class Settings(Struct, forbid_unknown_fields=True):
    """What the reviewing nodes can be told."""

    strict: bool
    words: set[str] = field(default_factory=set)


class Found(Struct):
    """What a review comes to."""

    issues: list[Issue]
    round: int


@tool
async def on_the_loop(state: Review, ctx: Context) -> None:
    state.issues.append(Issue(len(state.issues), ctx.node))
    state.round += 1


@tool
def in_a_thread(state: Review, config: Settings) -> Found:
    """Take what is typed, and return it."""
    state.verdict = "strict" if config.strict else "lax"
    return Found([Issue(7), *state.issues], state.round + 1)


@tool(process=True)
def in_a_process(state: Review, config: Settings) -> dict[str, Any]:
    state.notes.extend(sorted(config.words))
    return {"issues": [*state.issues, Issue(9)]}


def plain_in_a_process(state: DataReview) -> Goto:
    state.round += 1
    return Goto("$end", {"issues": [DataIssue(1)]})


@predicate
def is_clean(state: Review) -> bool:
    """Tell whether nothing is left to do."""
    return not state.issues
