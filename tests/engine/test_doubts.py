"""What goes wrong with a run whose history came in a file is told as that file's fault."""

from __future__ import annotations

import pytest

from stenograph.engine import ForkRefused, UnknownRun
from stenograph.engine.export.doubts import doubting
from stenograph.journal import Journal, MemoryJournal, NewRecord

NOTE = NewRecord("note", b"{}", "2026-11-20T22:00:00.000001Z")


async def doubted(journal: Journal, run_id: str, error: Exception) -> None:
    async with doubting(journal, run_id, ForkRefused):
        raise error


@pytest.mark.parametrize("labels", [{"origin": "r-1"}, {"tag:rerun_of": "r-1"}])
async def test_a_surprise_in_an_imported_run_is_a_refusal(labels: dict[str, str]) -> None:
    async with MemoryJournal() as journal:
        await journal.adopt("r-1", [NOTE], labels={"imported": "yes"})
        await journal.append("r-2", [NOTE], expected_seq=0, labels=labels)
        for run_id in ("r-1", "r-2"):
            with pytest.raises(ForkRefused, match="cannot have happened so"):
                await doubted(journal, run_id, KeyError("/a#1[0]/"))


async def test_a_surprise_in_a_run_of_our_own_stays_one() -> None:
    async with MemoryJournal() as journal:
        for run_id, other in (("r-1", "r-2"), ("r-2", "r-1")):
            labels = {"tag:rerun_of": other}
            await journal.append(run_id, [NOTE], expected_seq=0, labels=labels)
        with pytest.raises(KeyError):
            await doubted(journal, "r-1", KeyError("/a#1[0]/"))


async def test_what_is_expected_stays_what_it_is() -> None:
    async with MemoryJournal() as journal:
        await journal.adopt("r-1", [NOTE], labels={"imported": "yes"})
        with pytest.raises(UnknownRun):
            await doubted(journal, "r-1", UnknownRun("r-7"))
