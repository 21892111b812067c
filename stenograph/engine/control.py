"""What people tell a run that exists: to stop, wait, go on, take a signal, or follow another graph."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from stenograph.engine.core.commands import Cancel, Pause, Resume, Retry, Signal
from stenograph.engine.core.events import RunLimits
from stenograph.engine.core.keying import check_seq
from stenograph.engine.core.migration import Migration
from stenograph.engine.core.views import RunView, view, viewed
from stenograph.engine.errors import RunFinished
from stenograph.engine.graphs.graph import Graph, Limits
from stenograph.engine.past import Past
from stenograph.engine.runs.flow import Flow
from stenograph.engine.runs.migrating import MigrateOptions, migrate
from stenograph.engine.runs.starts import Key, Seqs, checked, seqs_of
from stenograph.engine.values import canonical, outweighs
from stenograph.journal import AT_ONCE_BYTES, run_briefly


class Control(Past):
    """Commands to runs, each durable when its call returns; what ``Engine`` and its users tell."""

    _flow: Flow

    async def cancel(
        self,
        run_id: str,
        *,
        reason: str = "",
        if_seq: Seqs | None = None,
        actor: str = "engine",
    ) -> RunView:
        """Ask a run to stop, and return once that is durable; asking twice is as asking once.

        ``if_seq``: the last event of the run must be this one, or one of these, or nothing is done.
        Raises UnknownRun, PreconditionFailed, or RunFinished when it ended otherwise.
        """
        command = Cancel(
            actor=checked(str, actor), reason=checked(str, reason), if_seqs=seqs_of(if_seq)
        )
        run = await self._actors.load(run_id)
        if not run.ended:
            await self._actors.ask(run, command)
            run = await self._actors.load(run_id)
        elif run.status == "cancelled":
            check_seq(run_id, run.seq, command.if_seqs)
        if run.ended and run.status != "cancelled":
            raise RunFinished(run_id, run.status)
        return await self._view(run)

    async def signal(
        self,
        run_id: str,
        name: str,
        payload: Any = None,
        *,
        scope: str | None = None,
        saw: int | None = None,
        key: str | None = None,
        if_seq: Seqs | None = None,
        actor: str = "engine",
    ) -> RunView:
        """Give a run input, and return once that is durable.

        A node that waits for it (in ``scope``, if given) takes it; else it is kept until one does.
        ``saw``: the last event of the run that the giver had seen. Asking again with the same ``key``
        and the same of all else gives it nothing, and returns the run as it is (``replayed``).
        ``if_seq``: the last event of the run must be this one, or one of these, or nothing is done.
        Raises UnknownRun, RunFinished, UnknownSignal, SignalRefused when it fits no schema,
        TooManySignals, NotJson, KeyReused, TooManyKeys, PreconditionFailed, ValueError.
        """
        is_small = not outweighs(payload, AT_ONCE_BYTES)
        text, _ = await run_briefly(partial(canonical, payload, ""), at_once=is_small)
        command = Signal(
            name=checked(str, name),
            payload=text,
            actor=checked(str, actor),
            scope=checked(str | None, scope),
            saw=checked(int | None, saw),
            key=None if key is None else checked(Key, key),
            if_seqs=seqs_of(if_seq),
        )
        return viewed(*await self._actors.tell_once(run_id, command))

    async def pause(
        self,
        run_id: str,
        *,
        reason: str = "",
        if_seq: Seqs | None = None,
        actor: str = "engine",
    ) -> RunView:
        """Have a run begin nothing new; what is under way finishes first. Asking twice is as once.

        ``if_seq`` as for ``signal``. Raises UnknownRun, RunFinished or PreconditionFailed.
        """
        command = Pause(
            actor=checked(str, actor), reason=checked(str, reason), if_seqs=seqs_of(if_seq)
        )
        return view(await self._actors.tell(run_id, command))

    async def resume(
        self,
        run_id: str,
        *,
        limits: Limits | None = None,
        result: Mapping[str, Any] | None = None,
        scope: str | None = None,
        key: str | None = None,
        if_seq: Seqs | None = None,
        actor: str = "engine",
    ) -> RunView:
        """Let a paused or parked run go on, with other limits if given.

        ``result`` is for a run that is parked over a node's effects: they did happen, and this is
        what the node returned; without it the node is entered again. With ``scope`` it is for a run
        alone that is parked there (``RunView.parked``). ``key`` and ``if_seq`` as for ``signal``.
        Raises UnknownRun, NotHeld, RunTooLong, KeyReused, TooManyKeys, PreconditionFailed, or
        what a result may raise: NotJson, StateTooLarge, CannotReduce, SchemaViolated.
        """
        command = Resume(
            actor=checked(str, actor),
            limits=_limits(limits),
            result=result,
            scope=checked(str | None, scope),
            key=None if key is None else checked(Key, key),
            if_seqs=seqs_of(if_seq),
        )
        return viewed(*await self._actors.tell_once(run_id, command))

    async def retry(
        self,
        run_id: str,
        *,
        limits: Limits | None = None,
        key: str | None = None,
        if_seq: Seqs | None = None,
        actor: str = "engine",
    ) -> RunView:
        """Reopen a failed run where it failed; what had finished does not run again.

        ``key`` and ``if_seq`` as for ``signal``. Raises UnknownRun, RunTooLong, KeyReused, TooManyKeys,
        PreconditionFailed, or NotHeld when it has not failed.
        """
        command = Retry(
            actor=checked(str, actor),
            limits=_limits(limits),
            key=None if key is None else checked(Key, key),
            if_seqs=seqs_of(if_seq),
        )
        run, replayed = await self._actors.tell_once(run_id, command)
        if not (run.ended or replayed):
            self._flow.seat(run_id, run.turn)
        return viewed(run, replayed)

    async def migrate(
        self,
        run_id: str,
        graph: Graph | Mapping[str, Any] | str,
        *,
        dry_run: bool = False,
        key: str | None = None,
        if_seq: Seqs | None = None,
        actor: str = "engine",
    ) -> Migration:
        """Have an unfinished run go on in another version of its graph, or in another graph.

        What is under way goes on, and is left by the new edges. With ``dry_run`` nothing changes, and
        ``faults`` of the answer tell what does not fit; without, that raises MigrationRefused.
        ``key`` and ``if_seq`` as for ``signal``; a dry run needs no key, and remembers none. Raises
        UnknownRun, RunFinished, RunTooLong, UnknownGraph, GraphInvalid, KeyReused, TooManyKeys or
        PreconditionFailed as well.
        """
        options = MigrateOptions(
            actor=checked(str, actor),
            dry_run=dry_run,
            key=None if key is None else checked(Key, key),
            if_seqs=seqs_of(if_seq),
        )
        return await migrate(self._actors, self._graphs, self._histories, run_id, graph, options)


def _limits(limits: Limits | None) -> RunLimits | None:
    sound: Limits | None = checked(Limits | None, limits)
    return None if sound is None else RunLimits(sound.steps, sound.time_s)
