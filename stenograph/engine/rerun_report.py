"""What a rerun made of its recording: which visits were answered from it, which were run anew, why."""

from __future__ import annotations

from collections import Counter
from typing import Final

from msgspec import Struct

from stenograph.engine.diff import Parting, RunDiff
from stenograph.engine.events import Event, NodeEntered
from stenograph.engine.folding import evolve
from stenograph.engine.recordings import Answers, Recorded, What
from stenograph.engine.run import Run

VISITS_MAX: Final = 1000
"""So many visits of one answer; of more first those that were run anew."""


class RerunVisit(Struct, frozen=True, kw_only=True):
    """An attempt of a rerun, by the event of its entry; ``why`` it was not answered, None: it was."""

    seq: int
    scope: str
    node: str
    visit: int
    attempt: int
    tool: str
    why: What | None


class Reused(Struct, frozen=True, kw_only=True):
    """How many visits of tools were answered, and how many run anew; ``why``: for what, how often."""

    reused: int
    executed: int
    why: dict[What, int]
    visits: tuple[RerunVisit, ...]
    visits_more: int


class RerunReport(Struct, frozen=True, kw_only=True):
    """A rerun beside what it was made from, ``rerun_of``.

    ``first`` is where they part, as in the ``diff``, of which the recorded run is the left side.
    """

    run_id: str
    rerun_of: str
    reused: int
    executed: int
    why: dict[What, int]
    visits: tuple[RerunVisit, ...]
    visits_more: int
    first: Parting | None
    diff: RunDiff


class Reuse:
    """Takes in the events of a rerun, and looks each attempt up as it was looked up then."""

    def __init__(self, answers: Answers) -> None:
        self._answers, self._run = answers, Run()
        self._visits: list[RerunVisit] = []

    def note(self, event: Event) -> None:
        """Take in what has happened."""
        evolve(self._run, event)
        data = event.data
        if not isinstance(data, NodeEntered) or data.tool is None:
            return
        found = self._answers.look(self._run.scopes[data.scope], data.tool_version)
        self._visits.append(
            RerunVisit(
                seq=event.seq,
                scope=data.scope,
                node=data.node,
                visit=data.visit,
                attempt=data.attempt,
                tool=data.tool,
                why=None if isinstance(found, Recorded) else found,
            )
        )

    def told(self) -> Reused:
        """Return what was noted."""
        visits = self._visits
        why = Counter(each.why for each in visits if each.why is not None)
        shown = sorted(sorted(visits, key=lambda each: each.why is None)[:VISITS_MAX], key=_seq)
        return Reused(
            reused=len(visits) - why.total(),
            executed=why.total(),
            why=dict(why),
            visits=tuple(shown),
            visits_more=len(visits) - len(shown),
        )


def report_of(run_id: str, rerun_of: str, reused: Reused, diff: RunDiff) -> RerunReport:
    """Return the report of a rerun."""
    return RerunReport(
        run_id=run_id,
        rerun_of=rerun_of,
        reused=reused.reused,
        executed=reused.executed,
        why=reused.why,
        visits=reused.visits,
        visits_more=reused.visits_more,
        first=diff.first,
        diff=diff,
    )


def _seq(visit: RerunVisit) -> int:
    return visit.seq
