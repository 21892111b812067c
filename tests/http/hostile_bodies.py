"""Bodies that are JSON hardly, oddly, or not at all: generated, where a whole kind can be."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import cycle

from tests.http import hostile
from tests.http.attack import Attack, request

MIB = 1_048_576
SOUND = b'{"graph": "count", "input": {"to": 1}, "tags": {"a": "b\\u00e9"}, "limits": {"steps": 9}}'
POSTS = (
    *hostile.POSTS,
    "/runs/r/fork",
    "/runs/r/rerun",
    "/runs/r/check",
    "/runs/r/migrate",
    "/runs/r/erase",
    "/runs/import",
    "/api/runs",
)
NUMBERS = (
    "-0", "-0.0", "0e0", "1e-400", "1e308", "1e309", "-1e309", "1e99999999999999999999", "1E+2",
    "01", "-01", "+1", "1.", ".1", "1.e1", "1e", "1e+", "--1", "0x10", "0b1", "1_000", "1n", "Infinity",
    "-Infinity", "NaN", "-NaN", "nan", "9223372036854775807", "9223372036854775808",
    "-9223372036854775808", "-9223372036854775809", "18446744073709551616", "9" * 309, "9" * 4300,
    "9" * 4301, "9" * 5000, "-" + "9" * 5000, "0." + "0" * 5000 + "1", "1" + "0" * 400 + "e-400",
    "1e" + "9" * 5000, "2e-308", "5e-324", "1.7976931348623159e308", "\u0661", "1\u0662",
)  # fmt: skip
WORDS = (
    "nul", "nulll", "tru", "True", "TRUE", "None", "undefined", "false1", "not", "{}{}", "[] []",
    "{},", ",{}", "{,}", "[,]", "[1,]", '{"a"}', '{"a":}', '{"a" 1}', "{a:1}", "{'a':1}", '{1:2}',
    '{null:1}', '{"a":1,}', '{"a":1;"b":2}', "[1 2]", "/**/{}", "{}//x", "#x\n{}", "\ufeff{}", "{}\ufeff",
    "\u00a0{}", "\u2028{}", "\x0b{}", "\x0c{}", "{}\x00", "\x00{}", "\x1e{}", ")]}',\n{}", "%7B%7D",
    "graph=count", "<a/>", "---\na: 1", "a = 1", '"', '"\\', '"\\u', '"\\u0', '"\\x41"', "'a'", "`a`",
)  # fmt: skip
TYPES = (
    b"", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=a", b"multipart/form-data",
    b"text/plain", b"text/json", b"text/html", b"application/xml", b"application/octet-stream",
    b"application/jsonp", b"application/json5", b"application/x-msgpack", b"application/problem+json",
    b"application/vnd.api+json", b"application/json; charset=utf-16", b"application/json; charset=utf-7",
    b"application/json; charset=latin-1", b"application/json; charset=\xff", b"application/json;",
    b"application/json;;;", b"application/json; =", b"application/json; charset", b"application/json;charset=",
    b'application/json; charset="utf-8"', b'application/json; charset="utf-8', b"APPLICATION/JSON",
    b"application/json, text/plain", b"text/plain, application/json", b"application/json text/plain",
    b"application/json\x0bx", b"application / json", b"/", b"*/*", b"application/*", b"json", b"\xff\xfe",
    b"application/json; boundary=" + b"x" * 5000, b"application/json" + b"; a=b" * 5000,
    b"application/x-ndjson", b"application/gzip", b"\tapplication/json\t", b'"application/json"',
)  # fmt: skip


def texts() -> Iterator[bytes]:
    """Bodies of every kind of oddness."""
    yield from (SOUND[:end] for end in range(1, len(SOUND)))
    yield from (SOUND[:at] + b"\xff" + SOUND[at + 1 :] for at in range(0, len(SOUND), 2))
    for code in range(0x20):
        yield b'{"graph": "count", "input": {"to": 1, "a": "%c"}}' % code
        yield b'{"graph": "count", "input": {"to": 1, "\\u%04x": "\\u%04x"}}' % (code, code)
        yield b'%c{"graph": "count"%c}' % (code, code)
    for surrogate in (
        b"\\ud800",
        b"\\udfff",
        b"\\udc00\\ud800",
        b"\\ud83d",
        b"\\uD83Dx",
        b"\\ude00",
    ):
        yield b'{"graph": "count", "input": {"to": 1, "a": "%s"}}' % surrogate
        yield b'{"graph": "count", "input": {"to": 1, "%s": 1}}' % surrogate
        yield b'{"graph": "%s"}' % surrogate
        yield b'{"graph": "count", "id": "%s"}' % surrogate
        yield b'{"graph": "count", "tags": {"%s": "%s"}}' % (surrogate, surrogate)
        yield b'{"%s": 1}' % surrogate
    for raw in NOT_UTF8:
        yield b'{"graph": "count", "input": {"to": 1, "a": "%s"}}' % raw
        yield b'{"%s": 1}' % raw
        yield raw
    for name in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-7"):
        yield SOUND.decode().encode(name)
    for number in (each.encode() for each in NUMBERS):
        yield number
        yield b'{"graph": "count", "input": {"to": %s}}' % number
        yield b'{"graph": "count", "limits": {"steps": %s}}' % number
        yield b'{"graph": "count", "limits": {"time_s": %s}}' % number
        yield b'{"graph": "count", "delay_s": %s}' % number
        yield b'{"start": "a", "nodes": {"a": {"timeout_s": %s}}}' % number
        yield b'{"start": "a", "nodes": {"a": {"retry": {"attempts": %s}}}}' % number
        yield b'{"at": %s, "new_id": "x"}' % number
        yield b'{"sql": "select 1", "limit": %s, "time_s": %s}' % (number, number)
    yield from (each.encode() for each in WORDS)
    yield from _nested()
    yield from _twice()
    yield from _large()
    yield from hostile.RAW_BODIES
    yield from (json.dumps(each).encode() for each in hostile.JSON_BODIES)


NOT_UTF8 = (
    b"\xff", b"\xfe", b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc0\xaf", b"\xe0\x80\xaf",
    b"\xe0\x80\x80", b"\xf0\x80\x80\xaf", b"\xf8\x80\x80\x80\xaf", b"\xed\xa0\x80", b"\xed\xbf\xbf",
    b"\xed\xa0\xbd\xed\xb8\x80", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xc3", b"\xe2\x82",
    b"\xf0\x9f\x98", b"\xc3\x28", b"\xe2\x28\xa1", b"\x00\x80", b"\xef\xbf",
)  # fmt: skip


def _nested() -> Iterator[bytes]:
    for depth in (30, 31, 32, 33, 34, 63, 64, 65, 66, 200, 1000):
        yield b"[" * depth + b"]" * depth
        yield b'{"a":' * depth + b"1" + b"}" * depth
        yield (b'[{"a":' * depth)[: depth * 3] + b"1"
        yield b'{"graph": "count", "input": {"to": 1, "a": %s}}' % (b"[" * depth + b"]" * depth)
        yield b'{"graph": "count", "x": %s}' % (b"[" * depth + b"]" * depth)
        yield b'{"start": "a", "nodes": {"a": {"config": {"a": %s}}}}' % (
            b"[" * depth + b"]" * depth
        )
        yield b'{"payload": %s}' % (b'{"a":' * depth + b"1" + b"}" * depth)
        yield b'{"a": "' + b"[" * depth + b'"}'


def _twice() -> Iterator[bytes]:
    yield from (b'{"a":' * depth + b'{"b": 1, "b": 2}' + b"}" * depth for depth in range(0, 32, 3))
    yield b'{"a": 1, "\\u0061": 2}'
    yield b'{"graph": "count", "input": {"to": 1}, "input": {"to": 2}}'
    yield b'{"start": "a", "nodes": {"a": {}, "a": {}}}'
    yield b"[" + b",".join([b'{"":1,"":1}'] * 1000) + b"]"
    yield b"{" + b",".join(b'"%d":1' % (number % 5000) for number in range(10_000)) + b"}"


def _large() -> Iterator[bytes]:
    units = (
        b"[", b"]", b"{", b'{"a":', b'[{"', b'"', b"\\", b'"\\', b"\x00", b"\xff", b" ", b"9", b"-",
        b"[]", b"{}", b"[],", b"1,", b'"",', b"\xf0\x9f\x98\x80", b"\\u0000",
    )  # fmt: skip
    for unit in units:
        yield (unit * MIB)[:MIB]
        yield b'{"graph": "count", "input": {"to": 1, "a": ' + (unit * MIB)[: MIB - 100]
    for unit in (
        b"1,",
        b"[],",
        b"{},",
        b'{"a":1},',
        b'"",',
        b"1e5,",
        b"0.1,",
        b'"\\u00e9",',
        b"null,",
    ):
        yield b'{"graph": "count", "input": {"to": 1, "a": [%s0]}}' % (
            unit * (MIB // 2 // len(unit))
        )
    yield b'{"graph": "count", "input": {"to": 1, "a": "%s"}}' % (b"\\\\" * 500_000)
    yield b" " * MIB + SOUND
    yield SOUND + b" " * (MIB - len(SOUND))


def bodies() -> Iterator[Attack]:
    """Each body to one path after the other, and the smaller ones to where graphs and runs begin."""
    paths = cycle(POSTS)
    for text in texts():
        yield Attack("body", (request("POST", next(paths), text),))
        if len(text) < 100_000:
            yield Attack("body", (request("POST", "/runs", text),))
            yield Attack("body", (request("POST", "/graphs/validate", text),))


def types() -> Iterator[Attack]:
    """Sound bodies under other names, and in other wrappings."""
    for kind in TYPES:
        header = b"Content-Type: " + kind
        yield Attack("type", (request("POST", "/graphs/validate", SOUND, headers=[header]),))
        yield Attack("type", (request("POST", "/runs/import", SOUND, headers=[header]),))
    bomb = gzip.compress(b"[" * 50_000_000)
    several = [b"Content-Type: application/json", b"Content-Type: text/plain"]
    yield Attack("type", (request("POST", "/runs", SOUND, headers=several),))
    yield Attack("type", (request("POST", "/runs", SOUND, headers=several[::-1]),))
    yield Attack("type", (request("POST", "/runs", SOUND, headers=[]),))
    for coding in (b"gzip", b"deflate", b"br", b"zstd", b"identity", b"x", b"gzip, gzip", b"\xff"):
        for body in (bomb, SOUND):
            headers = [b"Content-Type: application/json", b"Content-Encoding: " + coding]
            yield Attack("type", (request("POST", "/runs", body, headers=headers),))
    for body in (bomb, bomb[: len(bomb) // 2], bomb[:10], b"\x1f\x8b", b"\x1f\x8b" + b"\xff" * 5000,
                 gzip.compress(b""), gzip.compress(SOUND), gzip.compress(b"\n" * 10_000_000),
                 gzip.compress(b"{}\n") * 2000):  # fmt: skip
        headers = [b"Content-Type: application/gzip"]
        yield Attack("type", (request("POST", "/runs/import", body, headers=headers),))
    for body in IMPORTS:
        headers = [b"Content-Type: application/x-ndjson"]
        yield Attack("type", (request("POST", "/runs/import", body, headers=headers),))


IMPORTS = (
    b"", b"\n", b"\n\n\n", b"{}", b"{}\n{}", b"[]", b"null", b"\xff", b"\x00", b"{", b'{"a":1}\n' * 5000,
    b"[" * 100_000, b'{"a":' * 10_000, b"x" * 3_000_000, b"9" * 5000, b'{"type": "run.created"}\n',
    b'{"format": "stenograph.run", "version": 1}\n', b'{"format": "stenograph.run", "version": 1e999}\n',
    b'{"steno": 1, "run": {"id": "../x"}}\n', b'\xef\xbb\xbf{}\n', b'{"a":1,"a":2}\n', b'"\\ud800"\n',
)  # fmt: skip
