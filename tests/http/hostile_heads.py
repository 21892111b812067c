"""Heads of requests: lines, methods, targets, queries and headers that nobody should send."""

from __future__ import annotations

from collections.abc import Iterator

from tests.http import hostile
from tests.http.attack import Attack, request

HOST = b"Host: 127.0.0.1\r\n"
LINES = (
    b"", b"\r\n", b"\n", b"\r", b" ", b"GET", b"GET ", b"GET /", b"GET / ", b"GET / HTTP", b"GET / HTTP/",
    b"GET / HTTP/1", b"GET / HTTP/1.", b"GET / HTTP/0.9", b"GET / HTTP/1.0", b"GET / HTTP/1.2",
    b"GET / HTTP/2.0", b"GET / HTTP/9.9", b"GET / HTTP/11", b"GET / HTTP/1.1 x", b"GET  / HTTP/1.1",
    b"GET\t/ HTTP/1.1", b" GET / HTTP/1.1", b"GET / http/1.1", b"GET / HTTPS/1.1", b"GET HTTP/1.1",
    b"GET / / HTTP/1.1", b"G\x00T / HTTP/1.1", b"GET /\x00 HTTP/1.1", b"GET /\xff HTTP/1.1",
    b"GET /runs\r HTTP/1.1", b"GET /\x7f HTTP/1.1", b"GET * HTTP/1.1", b"GET ? HTTP/1.1", b"GET # HTTP/1.1",
    b"GET runs HTTP/1.1", b"GET http://127.0.0.1/runs HTTP/1.1", b"GET http://evil.example/runs HTTP/1.1",
    b"GET http:// HTTP/1.1", b"GET http://[ HTTP/1.1", b"GET http://[::1/ HTTP/1.1", b"GET //x@y/runs HTTP/1.1",
    b"GET ftp://x/ HTTP/1.1", b"GET file:///etc/passwd HTTP/1.1", b"GET javascript:1 HTTP/1.1",
    b"GET http://a:99999999/ HTTP/1.1", b"OPTIONS * HTTP/1.1", b"CONNECT evil.example:443 HTTP/1.1",
    b"CONNECT / HTTP/1.1", b"CONNECT 127.0.0.1:22 HTTP/1.1", b"TRACE / HTTP/1.1", b"TRACK / HTTP/1.1",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"get /runs HTTP/1.1", b"Get /runs HTTP/1.1", b"X /runs HTTP/1.1",
    b"M-SEARCH * HTTP/1.1", b"PROPFIND / HTTP/1.1", b"PUT /runs/r HTTP/1.1", b"PATCH /runs/r HTTP/1.1",
    b"DELETE /runs/r HTTP/1.1", b"HEAD /runs HTTP/1.1", b"HEAD /runs/nope HTTP/1.1", b"LOCK /runs HTTP/1.1",
    b"A" * 5000 + b" / HTTP/1.1", b"GET /" + b"a" * 60_000 + b" HTTP/1.1", b"GET /" + b"a" * 70_000 + b" HTTP/1.1",
    b"GET /" + b"%41" * 15_000 + b" HTTP/1.1", b"GET /" + b"a/" * 30_000 + b" HTTP/1.1",
    b"GET /runs?" + b"a=1&" * 15_000 + b" HTTP/1.1", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"SSH-2.0-OpenSSH_9", b"EHLO x", b"*1\r\n$4\r\nPING", b"\x00" * 300, b"\xff" * 300, b"{}", b"\x80\x00",
)  # fmt: skip
FRAMINGS = (
    b"Content-Length: -1", b"Content-Length: +2", b"Content-Length: 2, 2", b"Content-Length: 2, 3",
    b"Content-Length: 0x2", b"Content-Length: 2.0", b"Content-Length: ", b"Content-Length: x",
    b"Content-Length: \xc2\xb2", b"Content-Length: 2\r\nContent-Length: 2", b"Content-Length:2\r\nContent-Length: 9",
    b"Content-Length: 99999999999999999999", b"Content-Length: " + b"9" * 5000, b"Content-Length: 0002",
    b"Content-Length: 1048577", b"Content-Length: 1048576", b"Content-Length: 1_0", b"Content-Length: 10",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 2",
    b"Content-Length: 2\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: identity",
    b"Transfer-Encoding: xchunked", b"Transfer-Encoding : chunked", b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding: Chunked", b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    b"Transfer_Encoding: chunked", b"Expect: 100-continue", b"Expect: 200-ok", b"Expect: 100-continue\r\nContent-Length: 2",
    b"Expect: 100-continue\r\nContent-Length: 9999999", b"Connection: Content-Length\r\nContent-Length: 2",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk", b"Upgrade: websocket",
    b"Upgrade: websocket\r\nConnection: Upgrade", b"Upgrade: TLS/1.0\r\nConnection: Upgrade", b"TE: trailers",
)  # fmt: skip
CHUNKS = (
    b"2\r\n{}\r\n0\r\n\r\n", b"2;a=b\r\n{}\r\n0\r\n\r\n", b'2;a="\r\n{}\r\n0\r\n\r\n', b"0\r\n\r\n", b"0\r\nX-Evil: 1\r\n\r\n",
    b"2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n", b"-1\r\n{}\r\n", b"+2\r\n{}\r\n0\r\n\r\n", b"0x2\r\n{}\r\n0\r\n\r\n",
    b" 2\r\n{}\r\n0\r\n\r\n", b"2 \r\n{}\r\n0\r\n\r\n", b"ffffffffffffffff\r\n{}", b"f" * 5000 + b"\r\n", b"2\n{}\n0\n\n",
    b"2\r\n{}0\r\n\r\n", b"1\r\n{}\r\n0\r\n\r\n", b"3\r\n{}\r\n0\r\n\r\n", b"2;" + b"a" * 30_000 + b"\r\n{}\r\n0\r\n\r\n",
    b"2;" + b"a" * 100_000 + b"\r\n{}\r\n0\r\n\r\n", b"\r\n", b"zz\r\n", b"2\r\n\xff\xfe\r\n0\r\n\r\n", b"0000000002\r\n{}\r\n0\r\n\r\n",
    b"1\r\n \r\n" * 20_000 + b"2\r\n{}\r\n0\r\n\r\n", b"2\r\n{}\r\n0\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
    b"110000\r\n" + b" " * 0x110000 + b"\r\n0\r\n\r\n", b"2\r\n{}\r\n0\r\nno colon\r\n\r\n", b"\x00\r\n", b"",
)  # fmt: skip
FIELDS = (
    b"X", b": x", b" : x", b"X : y", b"X:", b"X: \x00", b"X: \x01", b"X: \x7f", b"X: \xff\xfe", b"X: a\rb", b"X: a\nb",
    b"X: a\r\n folded", b"X: a\r\n\tfolded\r\n\tagain", b"\xff: x", b"X\x00: y", b"X\xe9: y", b"(X): y", b"X Y: z", b'"X": y',
    b"X: " + b"y" * 60_000, b"X: " + b"y" * 70_000, b"X" * 60_000 + b": y", b"\r\n".join([b"X: y"] * 100),
    b"\r\n".join([b"X: y"] * 9000), b"\r\n".join(b"X-%d: y" % number for number in range(5000)),
    b"Host: 127.0.0.1", b"Host: evil.example", b"Host:", b"Connection: close, " + b"x," * 5000,
)  # fmt: skip
NAMES = (
    b"Authorization", b"Accept", b"Accept-Encoding", b"Accept-Language", b"Cookie", b"Expect", b"Forwarded",
    b"Idempotency-Key", b"If-Match", b"If-Modified-Since", b"If-None-Match", b"Last-Event-ID", b"Origin",
    b"Prefer", b"Range", b"Referer", b"Sec-WebSocket-Protocol", b"traceparent", b"tracestate", b"User-Agent",
    b"X-Forwarded-For", b"X-Forwarded-Host", b"X-HTTP-Method-Override", b"X-Request-Id", b"Access-Control-Request-Method",
)  # fmt: skip
VALUES = (
    b"", b" ", b",", b";", b"=", b"*", b'"', b'""', b'"*"', b"\xff", b"\xc3\xa9", b"\xe2\x82\xac", b"\t", b"a\tb", b"\\", b"'",
    b"%00", b"%0d%0aX-Evil: 1", b"\\r\\nX-Evil: 1", b"\xe5\x98\x8d\xe5\x98\x8aX-Evil: 1", b"null", b"undefined", b"-1", b"0", b"1e3",
    b"NaN", b"9" * 30, b"9" * 5000, b"a" * 5000, b'W/"', b'W/""', b'"a", "b"', b'"a",,', b'"' * 300, b'W/"x:1"', b'"0"', b'"-1"',
    b'"' + b"9" * 5000 + b'"', b",".join([b'"a"'] * 5000), b"wait=", b"wait=-1", b"wait=x", b"wait=" + b"9" * 400, b"wait=1e9",
    b'wait="1"', b"wait=0;wait=1", b"respond-async, wait=0", b"wait=0.5", b"text/event-stream", b"application/x-ndjson", b"text/csv",
    b"text/plain", b"application/json;q=x", b"*/*;q=-1", b"*/*;q=1e999", b"a/b;" * 3000, b"/", b"text/", b"bytes=0-", b"bytes=-1",
    b"bytes=" + b"0-1," * 3000, b"http://", b"http://[", b"http://[::1", b"null, null", b"file://", b"https://127.0.0.1@evil.example",
    b"http://127.0.0.1.evil.example", b"http://127.0.0.1:99999", b"http://127.0.0.1:x", b"HTTP://127.0.0.1", b"00-0-0-0",
    b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-00", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01",
    b"ff-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", b"00-" + b"G" * 32 + b"-" + b"b" * 16 + b"-01", b"gzip;q=0", b"gzip, " * 3000,
    b"Bearer", b"Bearer ", b"bearer  x", b"Bearer \xff", b"Bearer steno_", b"Bearer steno_aaaaaaaaaaaa_", b"Bearer " + b"a" * 30_000,
    b"Bearer steno_000000000000_" + b"A" * 43, b"Bearer steno_../../etc_x", b"Bearer a b", b"Basic YTpi", b"Basic \xff", b"Digest a=b",
    b"Bearer \xd9\xa1", b"Bearer x, Bearer y", b"Negotiate", b"stenograph, bearer.", b"bearer.\xff", b"bearer.a, bearer.b", b"a" * 200,
)  # fmt: skip
READS = (
    "/runs/r",
    "/runs/r/events",
    "/runs/r/state",
    "/runs",
    "/graphs/count",
    "/metrics",
    "/readyz",
)
PATHS = (
    "/runs/%", "/runs/%%", "/runs/%zz", "/runs/%u0041", "/runs/%c0%ae", "/runs/..;/x", "/./runs", "/../runs", "/runs/./r",
    "/runs/../../etc/passwd", "/runs/%2e%2e", "/runs/..%5c..%5cx", "/runs/r%00.json", "/runs/r/", "/runs/r//", "/runs//", "//",
    "/runs/r;jsessionid=1", "/runs/r%3fa=1", "/runs/r%23", "/RUNS", "/runs.json", "/.git/config", "/.env", "/admin", "/api",
    "/api/", "/api/api", "/docs/", "/docs/../x", "/docs/swagger-ui.css%00", "/openapi.json/x", "/ws/r", "/ws/execute/count",
    "/ws/", "/runs/r/signals/", "/runs/r/signals/%00", "/runs/r/signals/a/b/c", "/runs/r/signals/%2f%2f", "/runs/r/signals/..",
    "/runs/r/diff/", "/runs/r/diff/r", "/runs/r/diff/%ff", "/runs/r/diff/../r", "/graphs/count@", "/graphs/count@@", "/graphs/@",
    "/graphs/count@%ff", "/graphs/count@" + "a" * 5000, "/graphs/count/versions/x", "/tools/%00", "/tools/count", "/tools/..",
    "/runs/" + "a" * 128, "/runs/" + "a" * 129, "/runs/" + "%F0%9F%98%80" * 1000, "/runs/import", "/runs/graph%2fcount", "/runs/graph",
    "/runs/r/events/1", "/runs/r/why", "/runs/r/blame", "/runs/r/export", "/runs/r/verify", "/journal/verify", "/runs/r/rerun",
    "/runs/nope/export", "/runs/nope/verify", "/runs/nope/erase", "/favicon.ico", "/robots.txt", "/problems/not-found", "/%2fruns",
)  # fmt: skip
PARAMETERS = {
    "/runs": ("graph", "status", "tag", "origin", "limit", "cursor"),
    "/runs/r/state": ("at", "journal"),
    "/runs/r/events": (
        "after",
        "limit",
        "wait",
        "type",
        "node",
        "batch",
        "speed",
        "max_gap",
        "journal",
    ),
    "/journal": ("after", "limit", "wait", "type", "graph", "tag"),
    "/runs/r/why": ("seq",),
    "/runs/r/blame": ("path", "at", "within"),
    "/runs/r/diff/r": ("at", "other_at"),
    "/runs/r/visits": ("limit", "cursor"),
    "/graphs": ("limit", "cursor"),
    "/graph/state/r": ("at",),
    "/journal/verify": ("after", "token", "x"),
}
GIVEN = (
    "", "0", "1", "-1", "-0", "+1", "%2b1", "01", "1.0", "1e1", "0x1", "1_0", "%d9%a1", "NaN", "inf", "-inf", "1e999", "null", "true",
    "9223372036854775807", "9223372036854775808", "-9223372036854775809", "9" * 100, "9" * 4301, "%00", "%ff", "%ed%a0%80", "%F0%9F%98%80",
    "a" * 255, "a" * 256, "a" * 5000, "/", "//", "/a/b", "/~", "/~2", "/~0~1", "/-", "/0", "/seen/0", "/seen/-1", "/seen/9", "/" * 2000,
    "'", "%22", "';--", "*", "a:b", ":", "::", "a:", ":b", "%0d%0aX-Evil:1", "$end", "__proto__", "..", "%2e%2e%2f", "{}", "[]", "1,2", "1;2",
    "running", "RUNNING", "ended", "run.created", "run.*", "*.*", "(a+)+$", "%25", "%", "%2", "1%20", "%201", "0.0001", "1e-9", "86400",
)  # fmt: skip


def heads() -> Iterator[Attack]:
    """Lines, framings and headers as they stand, most of them over a connection that ends."""
    for line in LINES:
        yield Attack("line", (line + b"\r\n" + HOST + b"Connection: close\r\n\r\n",), ends=True)
    for framing in FRAMINGS:
        head = b"POST /graphs/validate HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
        for rest in (b"{}", b"2\r\n{}\r\n0\r\n\r\n", b""):
            yield Attack("framing", (head + framing + b"\r\n\r\n" + rest,), ends=True)
    for chunk in CHUNKS:
        head = b"POST /graphs/validate HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
        yield Attack("chunk", (head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk,), ends=True)
    for text in (*FIELDS, *(b"X: a%cb" % code for code in range(0x20)), *_names()):
        yield Attack("field", (request("GET", "/runs/r", headers=[text]),), ends=True)
    for name in NAMES:
        for number, value in enumerate(VALUES):
            path = READS[number % len(READS)]
            yield Attack("header", (request("GET", path, headers=[name + b": " + value]),))
    for text in hostile.TEXTS:
        yield Attack("line", (text,), ends=True)
    yield from _pipelines()


def _names() -> Iterator[bytes]:
    return (b"A%cB: x" % code for code in range(1, 256, 3))


def _pipelines() -> Iterator[Attack]:
    one = b"GET /runs/r HTTP/1.1\r\n" + HOST + b"\r\n"
    yield Attack("pipeline", (one * 50,), ends=True)
    yield Attack("pipeline", (one * 3 + b"\x00\r\n\r\n",), ends=True)
    yield Attack("pipeline", ((one + b"\r\n" * 50) * 5,), ends=True)
    smuggled = b"POST /runs HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(one) + one
    yield Attack("pipeline", (smuggled * 3,), ends=True)


def targets() -> Iterator[Attack]:
    """Paths and queries, percent by percent."""
    for code in range(256):
        yield Attack("path", (request("GET", f"/runs/%{code:02x}"),))
        yield Attack("query", (request("GET", f"/runs?graph=%{code:02x}&tag=a:%{code:02X}"),))
    for path in (*PATHS, *hostile.PATHS):
        for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
            yield Attack("path", (request(method, path.encode()),), ends=True)
    for path, names in PARAMETERS.items():
        for name in names:
            for given in GIVEN:
                yield Attack("query", (request("GET", f"{path}?{name}={given}"),))
        for query in hostile.QUERIES:
            yield Attack("query", (request("GET", f"{path}?{query}".encode()),))
