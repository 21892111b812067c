"""Printing events as they come: the wire's own bytes, or a row for people."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from stenograph.cli.output import Output
from stenograph.cli.places import ending
from stenograph.cli.resting import Parking
from stenograph.cli.rows import Row, Teller
from stenograph.cli.text import padded, width
from stenograph.cli.times import local, seconds_between

if TYPE_CHECKING:
    from stenograph.journal import Record

PLACE_WIDTH: Final = 15
NODE_WIDTH: Final = 10
NODE_WIDTH_MAX: Final = 32
TELLERS_MAX: Final = 64
"""How many runs of a whole journal are remembered, to say what a value was before."""


class RunPrinter:
    """Prints the events of one run; ``after`` is the seq of the last one printed.

    ``some``: others are left out, so that nobody knows what a value was before.
    """

    def __init__(
        self,
        output: Output,
        *,
        after: int = 0,
        created_at: str = "",
        state: Mapping[str, Any] | None = None,
        some: bool = False,
    ) -> None:
        self.output, self.after, self.some = output, after, some
        self.created_at = created_at
        self.last_type = ""
        self.parking = Parking()
        self._teller = Teller(state)
        self._width, self._most = NODE_WIDTH, node_width_max(output)

    def page(self, records: Sequence[Record]) -> None:
        """Print the next records."""
        from stenograph.http import StreamLost
        from stenograph.journal import envelope

        for after, record in enumerate(records, self.after):
            if record.seq != after + 1 and not self.some:
                raise StreamLost(self.after, f"after event {after} came {record.seq}")
        for record in records:
            self.parking.note(record)
        if self.output.tables:
            for record in records:
                self._row(record)
        else:
            self.output.records(map(envelope, records))
        self.after, self.last_type = records[-1].seq, records[-1].type

    def _row(self, record: Record) -> None:
        self.created_at = self.created_at or record.at
        teller = Teller() if self.some else self._teller
        row = teller.row(record.type, record.data)
        since = seconds_between(self.created_at, record.at)
        self._width = max(self._width, min(width(row.node), self._most))
        place = self.output.style(f"{record.seq:>5}  {since:>8.2f}", dim=True)
        self.output.line(f"{place}  {row_text(self.output, row, self._width, PLACE_WIDTH)}")


class JournalPrinter:
    """Prints the events of all runs; ``after`` is the offset of the last one printed.

    ``some``: as for one run.
    """

    def __init__(self, output: Output, *, after: int = 0, some: bool = False) -> None:
        self.output, self.after, self.some = output, after, some
        self.last_type = ""
        self._tellers: OrderedDict[str, Teller] = OrderedDict()
        self._width, self._most = NODE_WIDTH, node_width_max(output)

    def page(self, records: Sequence[Record]) -> None:
        """Print the next records."""
        from stenograph.http import StreamLost
        from stenograph.journal import envelope

        if records[0].offset <= self.after:
            raise StreamLost(self.after, f"next came event {records[0].offset}")
        if self.output.tables:
            for record in records:
                self._row(record)
        else:
            self.output.records(map(envelope, records))
        self.after, self.last_type = records[-1].offset, records[-1].type

    def _row(self, record: Record) -> None:
        row = self._teller(record.run_id).row(record.type, record.data)
        self._width = max(self._width, min(width(row.node), self._most))
        clock = local(record.at)[11:]
        place = self.output.style(f"{record.offset:>7}  {clock}", dim=True)
        place += f"  {padded(record.run_id, 18)} {record.seq:>5}"
        self.output.line(f"{place}  {row_text(self.output, row, self._width, width(place))}")

    def _teller(self, run_id: str) -> Teller:
        if self.some:
            return Teller()
        teller = self._tellers.setdefault(run_id, Teller())
        self._tellers.move_to_end(run_id)
        if len(self._tellers) > TELLERS_MAX:
            self._tellers.popitem(last=False)
        return teller


def node_width_max(output: Output) -> int:
    """Return how wide the column of nodes may become: on a terminal, up to a third of it."""
    return max(NODE_WIDTH, min(NODE_WIDTH_MAX, output.columns // 3 or NODE_WIDTH_MAX))


def row_text(output: Output, row: Row, node_width: int, place_width: int) -> str:
    """Return mark, node and phrase, to stand after the place; a failure stands out."""
    name = ending(row.node, node_width) if output.columns else row.node
    node = padded(name, node_width)
    phrase = output.hanging(row.phrase, place_width + width(node) + 7)
    colour = "red" if row.mark == "failed" else None
    return f"{output.sign(row.mark)}  {node}  {output.style(phrase, colour)}"
