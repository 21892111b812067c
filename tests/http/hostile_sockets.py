"""Handshakes and frames that no WebSocket library would send, and connections that take their time."""

from __future__ import annotations

from collections.abc import Iterator

from tests.http.attack import Attack, request
from tests.http.hostile_bodies import NOT_UTF8, SOUND

MASK = b"\x11\x22\x33\x44"
KEY = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
VERSION = b"Sec-WebSocket-Version: 13"
UPGRADE = (b"Upgrade: websocket", b"Connection: Upgrade")


def shaking(path: str, *headers: bytes) -> bytes:
    """A handshake; without ``headers`` a sound one."""
    lines = [b"GET %s HTTP/1.1" % path.encode(), b"Host: 127.0.0.1"]
    lines += [*UPGRADE, *(headers or (KEY, VERSION))]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def frame(
    opcode: int, data: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True
) -> bytes:
    """One frame as a client sends it, if ``masked``."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size = len(data)
    mask = 0x80 if masked else 0
    if size < 126:
        head = bytes([first, mask | size])
    elif size < 65536:
        head = bytes([first, mask | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, mask | 127]) + size.to_bytes(8, "big")
    if not masked:
        return head + data
    return head + MASK + bytes(each ^ MASK[number % 4] for number, each in enumerate(data))


CLOSES = tuple(frame(8, code.to_bytes(2, "big") + b"why") for code in
               (0, 1, 999, 1000, 1001, 1004, 1005, 1006, 1007, 1011, 1014, 1015, 1016, 2999, 3000, 4999, 5000, 65535))  # fmt: skip
STREAMS: tuple[bytes, ...] = (
    *CLOSES, frame(8, b"\x03"), frame(8, b"\x03\xe8\xff\xfe"), frame(8, b"x" * 200), frame(8) + frame(1, b"{}"), frame(8) * 500,
    *(frame(1, raw) for raw in NOT_UTF8), *(frame(1, raw, fin=False) + frame(0, b"{}") for raw in NOT_UTF8),
    *(frame(2, raw) for raw in NOT_UTF8), frame(1, b"\xf0\x9f", fin=False) + frame(0, b"\x98\x80"),
    *(frame(opcode, b"{}") for opcode in (0, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15)), *(frame(1, b"{}", rsv=rsv) for rsv in range(1, 8)),
    frame(1, b"{}", masked=False), frame(0, b"{}", fin=False), frame(1, b"{", fin=False) + frame(1, b"}"), frame(1, b"{", fin=False) * 2,
    frame(1, b"", fin=False) + frame(0, b"", fin=False) * 5000, frame(1, b"{", fin=False) + frame(0, b" ", fin=False) * 5000 + frame(0, b"}"),
    frame(1, b"[" * 60_000, fin=False) * 1 + frame(0, b"[" * 60_000, fin=False) * 20, frame(9, b"x" * 126), frame(9, b"x", fin=False),
    frame(10, b"x" * 70_000), frame(9, b"x" * 125) * 2000, frame(10) * 2000, frame(9) * 3000 + frame(1, b"{}"), frame(1, b"{}") * 3000,
    frame(2, b"") * 3000, b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff", b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x81\xff" + (2**32).to_bytes(8, "big"),
    b"\x81\xfe\x00\x05" + MASK, b"\x81\xff" + (5).to_bytes(8, "big") + MASK + b"xxxxx", b"\x81", b"\x81\x80", b"\x81\xfe", b"\x88", b"\xff" * 300, b"\x00" * 300,
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", frame(1, b"{" * 70_000), frame(1, b"x" * 1_100_000), frame(1, b'{"to": 1, "a": "%s"}' % (b"x" * 1_000_000)),
    frame(1, SOUND), frame(1, b""), frame(2, b""), frame(1, b"null"), frame(1, b"[]"), frame(1, b"1e999"), frame(1, b'{"to": 1, "a": %s}' % (b"9" * 5000)),
    frame(1, b'{"to": "\\ud800"}'), frame(1, b'{"\\ud800": 1}'), frame(1, b'{"to": 1, "to": 2}'), frame(1, b"[" * 900), frame(1, b'{"a":' * 40 + b"1" + b"}" * 40),
    frame(1, b'{"to": 1, "a": [%s0]}' % (b"[]," * 20_000)), frame(1, b'{"initial_state": {"to": 1}, "x": 1}'), frame(1, b'{"graph_id": "x", "state": {}}'),
)  # fmt: skip
PLACES = ("/ws/w", "/ws/execute/count", "/ws/logs", "/ws/nope", "/ws/logs/w", "/graph/stream/w")
HANDSHAKES: tuple[tuple[bytes, ...], ...] = (
    (VERSION,), (KEY,), (KEY, b"Sec-WebSocket-Version: 12"), (KEY, b"Sec-WebSocket-Version: x"), (KEY, b"Sec-WebSocket-Version: 13, 8"),
    (KEY, VERSION, VERSION), (KEY, KEY, VERSION), (b"Sec-WebSocket-Key: x", VERSION), (b"Sec-WebSocket-Key: \xff", VERSION), (b"Sec-WebSocket-Key:", VERSION),
    (b"Sec-WebSocket-Key: " + b"A" * 5000, VERSION), (KEY, VERSION, b"Content-Length: 5"), (KEY, VERSION, b"Transfer-Encoding: chunked"),
    *((KEY, VERSION, b"Sec-WebSocket-Extensions: " + each) for each in (
        b"permessage-deflate", b"permessage-deflate; client_max_window_bits=99", b"permessage-deflate; x", b";;;", b"x" * 5000, b"\xff", b"a, b, c;d=e",
    )),
    *((KEY, VERSION, b"Sec-WebSocket-Protocol: " + each) for each in (
        b"stenograph", b"", b",", b"stenograph, stenograph", b"STENOGRAPH", b"bearer.", b"bearer.x", b"bearer.\xff", b"bearer.x, bearer.y", b"stenograph, bearer.x",
        b"a b", b"x" * 5000, b"a," * 3000, b'"stenograph"', b"\x00", b"stenograph\r\nX-Evil: 1",
    )),
    *((KEY, VERSION, b"Origin: " + each) for each in (
        b"null", b"", b"http://evil.example", b"http://127.0.0.1.evil.example", b"http://[", b"\xff", b"http://127.0.0.1:1", b"file://", b"ws://127.0.0.1",
    )),
    (KEY, VERSION, b"Origin: http://127.0.0.1", b"Origin: http://evil.example"), (KEY, VERSION, b"Host: evil.example"),
)  # fmt: skip
QUERIES = (
    "after=-1", "after=x", "after=" + "9" * 5000, "after=%d9%a1", "batch=2", "speed=0", "speed=-1", "speed=nan", "speed=1e999", "max_gap=-1", "type=", "type=x",
    "node=%ff", "node=%00", "journal=x", "graph=x", "x=1", "after=1&after=2", "%", "&&&", "token=x", "access_token=x", "type=run.*&" * 100,
)  # fmt: skip


def sockets() -> Iterator[Attack]:
    """Handshakes of every kind, and then frames where they are waited for, and where they are not."""
    for number, headers in enumerate(HANDSHAKES):
        data = shaking(PLACES[number % 3], *headers)
        yield Attack("handshake", (data, frame(8)), pause_s=0.02)
    many = (KEY, VERSION, *(b"X-%d: y" % number for number in range(300)))
    yield Attack("handshake", (shaking("/ws/w", *many),), pause_s=0.02)
    yield Attack(
        "handshake", (shaking("/ws/w", KEY, VERSION, b"X: " + b"y" * 20_000),), pause_s=0.02
    )
    yield Attack("handshake", (shaking("/ws/" + "w" * 20_000, KEY, VERSION),), pause_s=0.02)
    for query in QUERIES:
        for place in PLACES[:3]:
            yield Attack("handshake", (shaking(f"{place}?{query}"), frame(8)), pause_s=0.02)
    for number, data in enumerate(STREAMS):
        for place in ("/ws/execute/count", PLACES[number % len(PLACES)]):
            yield Attack("frames", (shaking(place), data, frame(8)), pause_s=0.02)
    yield Attack("frames", (shaking("/ws/w") + frame(1, b"early"), frame(8)), pause_s=0.02)
    for place in PLACES:
        yield Attack("frames", (shaking(place),), pause_s=0.02, ends=True)
        yield Attack("frames", (shaking(place), b"\x81\xfe"), pause_s=0.02, resets=True)


def slow() -> Iterator[Attack]:
    """Connections that say little, late, or nothing; for a server with a second of patience."""
    head = b"POST /runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    sized = head + b"Content-Length: %d\r\n\r\n" % len(SOUND)
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
    asked = request("GET", "/journal")
    for data in (
        b"",
        b"G",
        b"GET /runs",
        b"GET /runs HTTP/1.1\r\n",
        head,
        sized,
        sized + SOUND[:-1],
        chunked,
        chunked + b"5\r\n{",
    ):
        yield Attack("slow", (data,), is_patient=True)
        yield Attack("slow", (data,), ends=True, is_patient=True)
        yield Attack("slow", (data,), resets=True)
    for data in (asked, sized + SOUND, chunked + b"2\r\n{}\r\n0\r\n\r\n", shaking("/ws/w")):
        yield Attack("slow", tuple(data[at : at + 1] for at in range(len(data))), pause_s=0.01)
        yield Attack(
            "slow",
            tuple(data[at : at + 7] for at in range(0, len(data), 7)),
            pause_s=0.2,
            is_patient=True,
        )
        yield Attack("slow", (data,), resets=True)
    yield Attack(
        "slow", (sized, *(SOUND[at : at + 1] for at in range(20))), pause_s=0.1, is_patient=True
    )
    yield Attack("slow", (shaking("/ws/execute/count"),), pause_s=0.3)
    yield Attack("slow", (asked * 30,), resets=True)
