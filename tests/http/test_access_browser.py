"""A real browser with a token: its fetch and its WebSocket, from a page of another site."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from stenograph.http import Settings
from stenograph.http.door.tokens import create_token
from tests.http.browser import browsing, need_browser
from tests.http.serving import ran, serving
from tests.http.tools import COUNT

FETCH = """
window.answered = null;
fetch("%s/runs", {headers: {Authorization: "Bearer %s", Prefer: "wait=1"}})
  .then(answer => { window.answered = answer.status; }, () => { window.answered = "refused"; });
"""
SOCKET = """
window.heard = []; window.left = null;
window.socket = new WebSocket("%s/ws/r?after=0", %s);
socket.onmessage = (event) => { heard.push(JSON.parse(event.data).type); };
socket.onclose = (event) => { left = [event.code, socket.protocol]; };
"""


async def test_a_page_of_a_site_that_is_named_asks_and_listens_with_its_token(
    tmp_path: Path,
) -> None:
    need_browser()
    (tmp_path / "profile").mkdir()
    path = tmp_path / "tokens"
    token = create_token(path, "page", ["read", "run"], now=datetime(2026, 11, 21, tzinfo=UTC))
    protocols = f'["stenograph", "bearer.{token}"]'
    async with serving() as site:
        named = Settings(tokens=str(path), origins=frozenset({site.url}))
        async with (
            serving(settings=named) as server,
            serving(settings=Settings(tokens=str(path))) as closed,
            browsing(tmp_path / "profile") as page,
        ):
            for each in (server, closed):
                each.http.headers["Authorization"] = f"Bearer {token}"
                await ran(each.http, COUNT, "r", to=1)
            await page.go(f"{site.url}/openapi.json")
            answered, ended = {}, {}
            for name, url, given in (
                ("named", server.url, token),
                ("no token", server.url, "nonsense"),
                ("not named", closed.url, token),
            ):
                await page.value(FETCH % (url, given))
                await page.until("answered !== null")
                answered[name] = await page.value("answered")
            for name, url, offered in (
                ("named", server.url, protocols),
                ("no token", server.url, '["stenograph"]'),
                ("not named", closed.url, protocols),
            ):
                await page.value(SOCKET % (url.replace("http", "ws"), offered))
                await page.until("left !== null")
                ended[name] = [*await page.value("left"), (await page.value("heard"))[-1:]]
    assert answered == {"named": 200, "no token": 401, "not named": "refused"}
    assert ended == {
        "named": [1000, "stenograph", ["status"]],
        "no token": [1006, "", []],
        "not named": [1006, "", []],
    }
