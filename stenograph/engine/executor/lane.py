"""The lane of a run: its events on their way into the journal, in order, and what comes of that."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from msgspec import UNSET, Raw

from stenograph.engine.clock import Clock
from stenograph.engine.core.commands import Place
from stenograph.engine.core.decide import Decision
from stenograph.engine.core.edges import compile_graph
from stenograph.engine.core.events import (
    LogWritten,
    Payload,
    RunCreated,
    RunMigrated,
    decode,
    encode_payload,
)
from stenograph.engine.core.folding import evolve, take_in
from stenograph.engine.core.run import Run
from stenograph.engine.core.run_data import FORMAT
from stenograph.engine.core.scopes import ROOT
from stenograph.engine.core.standing import first_due
from stenograph.engine.stored.sizes import GIVEN, check_sizes
from stenograph.engine.stored.snapshots import Snapshots
from stenograph.engine.times import to_text
from stenograph.engine.tools.context import LogLine
from stenograph.journal import (
    APPEND_MAX_RECORDS,
    Journal,
    JournalBusy,
    JournalFull,
    NewRecord,
)

COMMIT_BYTES: Final = 512 * 1024
COMMIT_RECORDS: Final = APPEND_MAX_RECORDS - 500
"""Most log lines of one commit: what an append may hold, but for the decision that comes with them."""

Obstacle: TypeAlias = JournalBusy | JournalFull

BUSY_S: Final = 1.0
"""Another program that holds the file for less than about this long is no obstacle to anybody."""
STALL_LOOK_S: Final = 0.5
"""How long who may be refused waits for what is ahead of him, before he looks whether it stalls."""

AHEAD_MAX: Final = 32
"""How many decisions pure tools may be ahead of the journal."""
AHEAD_TOGETHER: Final = 16
"""How many go into one commit: half of all, so that the others are made while these are written."""
AHEAD_S: Final = 0.01
"""For how long what is ahead waits for others to be committed with, while nobody waits for it."""
AHEAD_RECORDS: Final = 16
AHEAD_BYTES: Final = 64 * 1024
"""The largest decision that goes ahead: so all that do fit into one append."""

Events: TypeAlias = list[tuple[str, Payload]]
"""Events on their way, each with the time at which it happened."""


class Lane:
    """Appends to a run and keeps it folded; only who owns the run may use its lane.

    ``run`` is what the journal holds; ``broken`` is called when what was to follow it cannot, and
    ``stalled`` again and again while the journal cannot write: the disk is full, or another
    program holds the file. An event that holds what somebody gave may have ``event_bytes``.
    """

    def __init__(
        self,
        run: Run,
        journal: Journal,
        clock: Clock,
        event_bytes: int,
        broken: Callable[[], None],
        stalled: Callable[[Obstacle], None],
    ) -> None:
        self.run = run
        self._event_bytes = event_bytes
        self._broken, self._stalled = broken, stalled
        self._ahead: deque[tuple[Decision, list[NewRecord]]] = deque()
        self._failure: BaseException | None = None
        self._stall: Obstacle | None = None
        """Why what is on its way waits, if it does."""
        self._catching_up: asyncio.Task[None] | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self._journal, self._clock = journal, clock
        self._snapshots = Snapshots(run, partial(journal.keep_snapshot, run.id, version=FORMAT))
        self._labels: dict[str, str] = {}
        self._was_running = False
        """Whether the labels are those of a run that is running, which are the same after each step."""
        self.has_secrets = False
        self.idle = asyncio.Event()
        """Set while nothing is on its way: what readers of the journal see, the run has taken in."""
        self.idle.set()

    async def write(
        self,
        said: Events,
        decision: Decision,
        secrets: Mapping[str, bytes] | None = None,
        *,
        is_patient: bool = True,
    ) -> None:
        """Write what was decided, and before it what was ``said``, in one commit.

        Then the run is what the decision says; that was made with as many events ahead of it.
        Raises WrongExpectedSeq when somebody else has appended to the run; AppendTooLarge;
        JournalBusy and JournalFull, unless it ``is_patient``.
        """
        beside: dict[str, Any] = {"secrets": secrets} if secrets else {}
        if self.has_secrets and decision.run.status in ("completed", "cancelled"):
            beside["forget_secrets"] = True  # a failed run keeps them: it may be retried
        labels = beside["labels"] = self._changed(decision)
        decided = _decided(decision)
        if decision.events[0].TYPE in GIVEN:
            check_sizes(decided, self._event_bytes)
        records = _records(said) + decided
        committed = partial(self.run.adopt, decision.run)
        await self._append(records, beside, committed, is_patient=is_patient)
        self._has_labels(labels, decision)
        said.clear()

    @property
    def head(self) -> Run:
        """The run as it will be once all is durable that was decided: a layer over ``run``, or that."""
        return self._ahead[-1][0].run if self._ahead else self.run

    @property
    def ahead(self) -> int:
        """How many decisions are not durable yet."""
        return len(self._ahead)

    def run_ahead(self, decision: Decision) -> bool:
        """Write what was decided of ``head`` without waiting; ``drain`` waits, and says what failed.

        Returns False, and writes nothing, where so many have gone ahead, or for one that is large.
        """
        if len(self._ahead) >= AHEAD_MAX or len(decision.events) > AHEAD_RECORDS:
            return False
        records = _decided(decision)
        if sum(len(each.data) for each in records) > AHEAD_BYTES:
            return False
        self._ahead.append((decision, records))
        self._commit_in_time()
        return True

    async def drain(self, *, is_patient: bool = True) -> None:
        """Return when nothing is ahead of the journal any more; raises what an append raises.

        Raises JournalBusy and JournalFull where that has to wait for it, unless it ``is_patient``.
        """
        timeout_s = None if is_patient else STALL_LOOK_S
        while self._ahead or self._catching_up is not None:
            ahead = {self._catching_up or self._commit_now()}
            await asyncio.wait(ahead, timeout=timeout_s)
            if self._stall and not is_patient:
                raise type(self._stall)(str(self._stall))
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Give up what is not durable."""
        self._stop_waiting()
        if self._catching_up is not None:
            self._catching_up.cancel()

    def _commit_in_time(self) -> None:
        """Commit what is ahead when that is worth it, or it has waited long enough."""
        if self._catching_up is not None or not self._ahead:
            return
        if len(self._ahead) >= AHEAD_TOGETHER:
            self._commit_now()
        elif self._waiting is None:
            self._waiting = asyncio.get_running_loop().call_later(AHEAD_S, self._commit_now)

    def _commit_now(self) -> asyncio.Task[None]:
        self._stop_waiting()
        self._catching_up = asyncio.get_running_loop().create_task(self._commit_ahead())
        return self._catching_up

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    async def _commit_ahead(self) -> None:
        try:
            count = len(self._ahead)
            records = [each for _, several in self._ahead for each in several]
            last = self._ahead[-1][0]
            labels = self._changed(last)
            await self._append(records, {"labels": labels}, partial(self._adopt, count))
            self._has_labels(labels, last)
        except BaseException as error:
            self._ahead.clear()
            self._failure = error
            self._broken()
        finally:
            self._catching_up = None
            self._commit_in_time()

    def _adopt(self, count: int) -> None:
        for _ in range(count):
            decision, _ = self._ahead.popleft()
            self.run.adopt(decision.run)
            if self._ahead:
                self._ahead[0][0].run.rebase(self.run)

    def _changed(self, decision: Decision) -> dict[str, str]:
        """Return the labels that are others when this is written: of a run that just goes on, none."""
        goes_on = self._was_running and decision.run.status == "running"
        if goes_on and not isinstance(decision.events[0], RunMigrated):
            return {}
        unset = "" if self.run.seq == 0 else None  # of one that is taken up nobody here knows them
        labels = self._labels_of(decision)
        return {k: v for k, v in labels.items() if self._labels.get(k, unset) != v}

    def _has_labels(self, changed: dict[str, str], decision: Decision) -> None:
        """Take in that labels were written."""
        self._labels |= changed
        self._was_running = decision.run.status == "running"

    async def write_said(self, said: Events, *, keep_last: bool = False) -> None:
        """Write what was said, in commits of a bounded size; ``keep_last``: but for the last of them.

        What was written is gone from ``said``, so that asking again writes nothing twice. Raises
        WrongExpectedSeq.
        """
        while said and not ((count := _fitting(said)) == len(said) and keep_last):
            some = said[:count]
            await self._append(_records(some), {}, partial(self._take_in, some))
            del said[:count]

    async def catch_up(self) -> None:
        """Read what somebody else has appended to the run."""
        while records := await self._journal.read(self.run.id, after=self.run.seq):
            for record in records:
                evolve(self.run, decode(record))
            self.run.growth.count(records)
        self._labels.clear()
        self._was_running = False

    async def _append(
        self,
        records: Sequence[NewRecord],
        beside: Mapping[str, Any],
        committed: Callable[[], None],
        *,
        is_patient: bool = True,
    ) -> None:
        """Append; while the journal cannot write, wait and try again, unless somebody asks for it.

        He is refused: at once on a full disk, and soon where another program holds the file.
        """
        run = self.run
        wait_s = 0.05
        self.idle.clear()
        try:
            while True:
                try:
                    await self._journal.append(run.id, records, expected_seq=run.seq, **beside)
                    break
                except (JournalBusy, JournalFull) as obstacle:
                    if isinstance(obstacle, JournalFull) or wait_s > BUSY_S:
                        if not is_patient:
                            raise
                        self._stall = obstacle
                        self._stalled(obstacle)
                self.idle.set()  # nothing is on its way while this waits
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, 2.0)
                self.idle.clear()
            committed()
            if self._snapshots.count(records):
                await self._snapshots.take_beside()
        finally:
            self._stall = None
            self.idle.set()

    def _take_in(self, said: Events) -> None:
        for at, payload in said:
            take_in(self.run, payload, self.run.seq + 1, at)

    def _labels_of(self, decision: Decision) -> dict[str, str]:
        """Return what the journal should keep beside the run, to list runs by.

        A run that has more to do at once is ``running`` until that is done, so that it is taken up
        again after a crash.
        """
        after = decision.run
        status = "running" if decision.is_partial and not after.ended else after.status
        labels = {"status": status, "due": "", "queued": "yes" if after.is_queued else ""}
        if status == "waiting":
            labels["due"] = first_due(after) or ""
        created = decision.events[0]
        if isinstance(created, RunMigrated):
            labels["graph"] = created.graph_id
        if isinstance(created, RunCreated):
            tags = {f"tag:{key}": value for key, value in created.tags.items()}
            labels |= {"kind": "run", "graph": created.graph_id, **tags}
            if created.origin is not None:
                labels["origin"] = created.origin.run_id
            if created.turn is not None:
                labels |= self._turn_of(created, decision)
        return labels

    def _turn_of(self, created: RunCreated, decision: Decision) -> dict[str, str]:
        """Return what the engine must know of a run's turn when it is opened again."""
        rules = compile_graph(bytes(created.graph)).graph.concurrency
        limit = None if rules is None else rules.limit
        position = decision.run.scopes[ROOT].position
        starts_at = None if position is None else position.due_at
        return {
            "turn": created.turn or "",
            "turn_limit": "" if limit is None else str(limit),
            "starts_at": starts_at or to_text(self._clock.now_us()),
        }


def log_events(place: Place, lines: Sequence[LogLine]) -> Events:
    """Return what an attempt has said as the events that say so."""
    return [
        (
            to_text(line.at_us),
            LogWritten(
                scope=place.scope,
                node=place.node,
                visit=place.visit,
                attempt=place.attempt,
                message=line.message,
                level=line.level,
                fields=Raw(line.fields) if line.fields else UNSET,
            ),
        )
        for line in lines
    ]


def _decided(decision: Decision) -> list[NewRecord]:
    at = decision.at
    return [NewRecord(each.TYPE, encode_payload(each), at) for each in decision.events]


def _records(events: Iterable[tuple[str, Payload]]) -> list[NewRecord]:
    return [NewRecord(payload.TYPE, encode_payload(payload), at) for at, payload in events]


def _fitting(events: Events) -> int:
    """Return how many of the events, from the first on, one commit may hold: one at least."""
    size = 0
    for count, (_, payload) in enumerate(events[:COMMIT_RECORDS]):
        size += len(encode_payload(payload))
        if size > COMMIT_BYTES:
            return max(1, count)
    return min(len(events), COMMIT_RECORDS)
