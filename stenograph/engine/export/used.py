"""What a run used: its graphs and tools, each in the versions that its events tell of."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from stenograph.engine.core.events import NodeEntered, RunCreated, RunMigrated, UnknownEvent
from stenograph.journal import Record


class GraphUsed(Struct, frozen=True):
    """A graph that the run is or was of, or that one of its nodes runs."""

    graph_id: str
    version: str


class ToolUsed(Struct, frozen=True):
    """A tool that was called, in a version that was."""

    name: str
    version: str | None


class Used:
    """Collects what a run used, event by event: ``note`` each of them."""

    def __init__(self) -> None:
        self._graphs: set[tuple[str, str]] = set()
        self._tools: set[tuple[str, str | None]] = set()

    @property
    def graphs(self) -> list[GraphUsed]:
        """The graphs so far, sorted."""
        return [GraphUsed(*each) for each in sorted(self._graphs)]

    @property
    def tools(self) -> list[ToolUsed]:
        """The tools so far, sorted."""
        found = sorted(self._tools, key=lambda each: (each[0], each[1] or ""))
        return [ToolUsed(*each) for each in found]

    def note(self, record: Record) -> None:
        """Take in the next event; raises UnknownEvent for one that tells of no such thing."""
        try:
            if record.type in (RunCreated.TYPE, RunMigrated.TYPE):
                run = _OF_GRAPHS.decode(record.data)
                self._graphs.add((run.graph_id, run.version))
                self._graphs |= {(each.graph_id, each.version) for each in run.graphs.values()}
            elif record.type == NodeEntered.TYPE:
                entered = _ENTERED.decode(record.data)
                if entered.tool is not None:
                    self._tools.add((entered.tool, entered.tool_version))
        except msgspec.MsgspecError as error:
            where = f"{record.run_id} seq {record.seq}"
            raise UnknownEvent(f"{where}: cannot read a {record.type}: {error}") from None


class _Pinned(Struct):
    graph_id: str
    version: str


class _OfGraphs(Struct):
    graph_id: str
    version: str
    graphs: dict[str, _Pinned] = {}


class _Entered(Struct):
    tool: str | None = None
    tool_version: str | None = None


_OF_GRAPHS: Final = msgspec.json.Decoder(_OfGraphs)
_ENTERED: Final = msgspec.json.Decoder(_Entered)
