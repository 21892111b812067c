"""What a rerun made of its recording: which visits were answered from it, which were run anew, why."""

from __future__ import annotations

from collections import Counter
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from stenograph.engine.audit.diff import Parting, RunDiff
from stenograph.engine.core.events import Event, NodeAttemptFailed, NodeEntered, NodeExited, RerunOf
from stenograph.engine.core.folding import evolve
from stenograph.engine.core.folding_scopes import NOT_A_TRY
from stenograph.engine.core.run import Run, Status
from stenograph.engine.executor.recordings import Answers, Recorded, What

VISITS_MAX: Final = 1000
"""So many visits of one answer; of more first those that were run anew."""


class RerunVisit(Struct, frozen=True, kw_only=True):
    """An attempt of a rerun, by the event of its entry; ``why`` it was not answered, None: it was.

    It was, too, when it was cut off as it was then.
    """

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
    """A rerun beside what it was made from, the first ``rerun_of_seq`` events of ``rerun_of``.

    ``first`` is where they part, as in the ``diff``, of which the recorded run is the left side;
    ``same``: they do in nothing but time. What a rerun that is not ``done`` has still to come to is
    no difference.
    """

    run_id: str
    rerun_of: str
    rerun_of_seq: int
    status: Status
    done: bool
    same: bool
    reused: int
    executed: int
    why: dict[What, int]
    visits: tuple[RerunVisit, ...]
    visits_more: int
    first: Parting | None
    diff: RunDiff


class Reuse:
    """Takes in the events of a rerun, and looks each attempt up as it was looked up then.

    ``run`` is the rerun, folded.
    """

    def __init__(self, answers: Answers) -> None:
        self.run = Run()
        self._answers = answers
        self._visits: list[RerunVisit] = []
        self._cut_off: dict[str, int] = {}

    def note(self, event: Event) -> None:
        """Take in what has happened."""
        evolve(self.run, event)
        data = event.data
        if isinstance(data, NodeEntered) and data.tool is not None:
            self._entered(event.seq, data, data.tool)
        elif isinstance(data, NodeExited) or (
            isinstance(data, NodeAttemptFailed) and data.error.type not in NOT_A_TRY
        ):
            self._came_to_an_end(data.scope)

    def _entered(self, seq: int, data: NodeEntered, tool: str) -> None:
        found = self._answers.look(self.run, self.run.scopes[data.scope], data.tool_version)
        self._cut_off.pop(data.scope, None)
        if found == "cut-off":
            self._cut_off[data.scope] = len(self._visits)
        self._visits.append(
            RerunVisit(
                seq=seq,
                scope=data.scope,
                node=data.node,
                visit=data.visit,
                attempt=data.attempt,
                tool=tool,
                why=None if isinstance(found, Recorded) or found == "cut-off" else found,
            )
        )

    def _came_to_an_end(self, scope: str) -> None:
        """Note of an attempt that was cut off in the recording that it was not so this time."""
        at = self._cut_off.pop(scope, None)
        if at is not None:
            self._visits[at] = replace(self._visits[at], why="cut-off")

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


def report_of(run: Run, rerun: RerunOf, reused: Reused, diff: RunDiff) -> RerunReport:
    """Return the report of a rerun."""
    return RerunReport(
        run_id=run.id,
        rerun_of=rerun.run_id,
        rerun_of_seq=rerun.seq,
        status=run.status,
        done=run.ended,
        same=diff.same if run.ended else diff.first is None,
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
