"""A real browser's EventSource resumes by itself: over cut connections and kills of the server."""

from __future__ import annotations

import random
from pathlib import Path

import httpx

from stenograph.journal import Record, open_journal_readonly
from tests.figures import Figure
from tests.http.browser import browsing, need_browser
from tests.http.cutting import cutting
from tests.http.test_chaos import GRAPH
from tests.http.test_kill import serving

CUTS = 2
SCRIPT = """
window.heard = []; window.ended = false; window.opened = 0;
window.source = new EventSource("/runs/a/events%s");
source.onopen = () => { opened += 1; };
source.addEventListener("log", (event) => {
  const told = JSON.parse(event.data);
  heard.push([told.seq, told.hash, Number(event.lastEventId)]);
});
source.addEventListener("status", (event) => { ended = JSON.parse(event.data).done; });
"""


async def test_a_browsers_event_source_resumes_by_itself_and_stops_at_the_end(
    tmp_path: Path, figure: Figure
) -> None:
    need_browser()
    chance = random.Random(7)
    (tmp_path / "profile").mkdir()
    async with (
        serving(tmp_path) as server,
        cutting(server.port, chance, cuts=0, bytes_between=40_000) as cutter,
        browsing(tmp_path / "profile") as page,
        httpx.AsyncClient(base_url=server.url) as http,
    ):
        await http.post("/graphs", json=GRAPH)
        await page.go(f"{cutter.url}/docs")  # a page of the server's own: its policy holds too
        state = {"n": 0, "seen": []}
        await http.post("/runs", json={"graph": "long", "id": "a", "state": state})
        await page.value(SCRIPT % "")
        await page.until("heard.length > 20")
        await server.kill()
        before = await page.value("heard.length")
        await server.start()
        cutter.cuts = CUTS
        await page.until(f"heard.length > {before}")
        await page.until("ended")
        await page.until("source.readyState === EventSource.CLOSED")
        heard, opened = await page.value("heard"), await page.value("opened")
        await page.value(SCRIPT % "?type=state.patched")
        await page.until("ended && source.readyState === EventSource.CLOSED")
        filtered = await page.value("heard")
    async with open_journal_readonly(server.db) as journal:
        stored: list[Record] = []
        while more := await journal.read("a", after=len(stored)):
            stored += more
    assert heard == [[each.seq, each.hash, each.seq] for each in stored]
    patched = [each for each in stored if each.type == "state.patched"]
    assert filtered == [[each.seq, each.hash, each.seq] for each in patched]
    assert (cutter.cuts, opened > CUTS + 1) == (0, True)
    figure(
        f"a browser's EventSource: opened {opened} times over {CUTS} cuts and a kill; "
        f"{len(heard):,} events heard, 0 missing, 0 twice, 0 out of order"
    )
