"""Printing: what does not follow on what is printed is refused, never printed."""

from __future__ import annotations

import pytest

from stenograph.cli.output import Output
from stenograph.cli.printing import JournalPrinter, RunPrinter
from stenograph.cli.settings import Settings
from stenograph.http import StreamLost
from stenograph.journal import Record


def record(number: int) -> Record:
    return Record(
        offset=number, run_id="r", seq=number, at="", type="run.started", data=b"{}", hash=""
    )


@pytest.mark.parametrize(
    ("printer", "numbers", "why"),
    [
        (RunPrinter, [4, 6], "after event 4 came 6"),
        (RunPrinter, [3], "after event 3 came 3"),
        (JournalPrinter, [3, 4], "next came event 3"),
    ],
)
def test_an_event_out_of_order_is_refused(
    printer: type[RunPrinter | JournalPrinter],
    numbers: list[int],
    why: str,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    with pytest.raises(StreamLost, match=why) as caught:
        printer(Output(Settings()), after=3).page(list(map(record, numbers)))
    assert (caught.value.after, capsysbinary.readouterr().out) == (3, b"")
