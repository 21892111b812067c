"""Graphs and states that are JSON, and meant badly: each is stored, run, forked or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.engine.test_expression_attacks import EVERYTHING
from tests.http.attack import Attack, request

Graph = dict[str, Any]
NAMES = (
    "", " ", "\u0000", "__proto__", "constructor", "$end", "$fail", "$start", "$ref", "a" * 5000, "a/b", "a~b", "a.b", "a b", "a#0", "#", "..",
    "../../etc", "%00", "\n", "\u202e", "\ud83d\ude00", "\u0301", "e\u0301", "\u00e9", "None", "null", "0", "-1", "__next_node__", "{}", "@",
    "start", "nodes", "self", "loop", "\u007f", "\u2028", "<script>", "';--", "x" * 256, "x" * 257,
)  # fmt: skip
NUMBERS: tuple[Any, ...] = (
    0,
    -1,
    1,
    0.5,
    1e-300,
    1e300,
    2**31,
    2**53,
    2**62,
    10**30,
    True,
    "1",
    None,
    [],
    {},
    "inf",
    "NaN",
)
SCHEMAS: tuple[Any, ...] = (
    True, False, None, 1, "x", [], {}, {"type": "x"}, {"type": []}, {"type": ["string", "string"]}, {"$ref": "#"},
    {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, {"$ref": "http://evil.example/s.json"},
    {"$ref": "file:///etc/passwd"}, {"$ref": "#/%00"}, {"$ref": "#/x"}, {"$ref": ""}, {"$ref": 1}, {"$id": "http://evil.example/"},
    {"$schema": "http://evil.example/meta"}, {"$schema": 1}, {"$dynamicRef": "#a"}, {"$anchor": "a", "$ref": "#a"},
    {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    {"pattern": "(a+)+$"}, {"pattern": "^(a|a)*$"}, {"pattern": "(" * 500}, {"pattern": "a{1,100000}"}, {"pattern": "(?=a)"},
    {"pattern": "(a)\\1"}, {"pattern": "((a{100}){100}){100}"}, {"pattern": "["}, {"pattern": "\\p{L}" * 500}, {"pattern": "\u0000"},
    {"pattern": "\ud83d\ude00*" * 100}, {"patternProperties": {"(a+)+$": {}, "[": {}}}, {"format": "regex"}, {"format": 1},
    {"enum": []}, {"enum": 1}, {"const": float("1e308")}, {"minimum": "1"}, {"multipleOf": 0}, {"multipleOf": -1}, {"multipleOf": 1e-320},
    {"minLength": -1}, {"maxLength": 10**30}, {"minItems": 2**63}, {"required": [1]}, {"required": "a"}, {"properties": []},
    {"properties": {"__proto__": {"type": "string"}}}, {"additionalProperties": 1}, {"items": [{}]}, {"prefixItems": {}}, {"contains": 1},
    {"if": {}, "then": {"$ref": "#"}}, {"not": {"$ref": "#"}}, {"not": {}}, {"uniqueItems": True}, {"unevaluatedProperties": {"$ref": "#"}},
    {"allOf": [{"allOf": [{"$ref": "#"}, {"$ref": "#"}]}] * 2}, {"allOf": [{}] * 5000}, {"oneOf": [{"type": "integer"}] * 2000},
    {"anyOf": [{"anyOf": [{"anyOf": [{"properties": {"a": {"$ref": "#"}}}] * 5}] * 5}] * 5},
    {"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "anyOf": [{"$ref": "#/properties/a"}] * 9},
    {"propertyNames": {"pattern": "(.*)*$"}}, {"dependentSchemas": {"a": {"$ref": "#"}}}, {"x" * 70_000: 1}, {"": {}},
    {"contentSchema": {"$ref": "http://evil.example"}}, {"description": "\ud83d\ude00" * 9000}, {"default": {"$ref": "#/x"}},
)  # fmt: skip


def places(condition: Any) -> Graph:
    """A graph with a condition wherever one may stand."""
    edges = [
        {"to": "a", "when": condition, "max": 2},
        {"to": "a", "until": condition, "max": 2},
        "b",
    ]
    inner = {"tool": "count", "next": [{"to": "b", "on": "error", "when": condition}, "$end"]}
    return {"start": "a", "nodes": {"a": {"next": edges}, "b": inner}}


def dialects(condition: Any) -> Iterator[Graph]:
    """The same in the shapes of other engines."""
    yield {
        "nodes": ["a", "b"],
        "edges": [{"from": "a", "to": "b", "condition": condition}, ["b", "a"]],
    }
    yield {
        "nodes": {"a": "count", "b": "count"},
        "edges": {"a": {"condition": condition, "true": "b", "false": "a"}},
    }
    yield {
        "start_node": "a",
        "nodes": [
            {"name": "a", "func": "count", "branches": [{"condition": condition, "to": "a"}]}
        ],
    }
    yield {
        "start": "a",
        "nodes": {"a": {"func": "count"}},
        "loops": [{"node": "a", "condition": condition, "max_iterations": 2}],
    }
    yield {"start": "a", "nodes": {"a": {"func": "count", "loop": {"until": condition, "max": 2}}}}


def graphs() -> Iterator[Graph]:
    """Graphs, one fault in each at least, or none where one is looked for."""
    for name in NAMES:
        yield {"start": name, "nodes": {name: {"next": name}}}
        yield {"id": name, "name": name, "start": "a", "nodes": {"a": {}}}
        yield {
            "start": "a",
            "nodes": {"a": {"tool": name, "graph": name, "next": {"to": name, "label": name}}},
        }
        yield {
            "start": "a",
            "nodes": {"a": {"graph": name, "in": {name: name}, "out": {name: name}}},
        }
        yield {
            "start": "a",
            "nodes": {"a": {"wait": {"signal": name, "into": name, "until": name}}},
        }
        yield {
            "start": "a",
            "nodes": {"a": {"map": name, "as": name, "join": name}},
            "state": {name: {"reducer": name}},
        }
        yield {"start": "a", name: 1, "nodes": {"a": {name: 1, "config": {name: name}}}}
        yield {"start": "a", "nodes": {"a": {"next": {"fork": [name, "a"], "join": name}}}}
        yield {
            "start": "a",
            "nodes": {"a": {"next": {"map": name, "to": "a", "join": name, "as": name}}},
        }
    for number in NUMBERS:
        yield {
            "start": "a",
            "nodes": {
                "a": {
                    "timeout_s": number,
                    "retry": {
                        "attempts": number,
                        "delay_s": number,
                        "factor": number,
                        "jitter": number,
                    },
                }
            },
        }
        yield {
            "start": "a",
            "nodes": {"a": {"next": {"to": "a", "max": number}}},
            "limits": {"steps": number, "time_s": number},
        }
        yield {
            "start": "a",
            "nodes": {"a": {"wait": {"for_s": number, "timeout_s": number, "until": number}}},
        }
        yield {
            "start": "a",
            "nodes": {
                "a": {
                    "next": {"map": "xs", "to": "a", "join": "b", "width": number, "limit": number}
                },
                "b": {},
            },
        }
        yield {
            "start": "a",
            "nodes": {"a": {}},
            "concurrency": {
                "limit": number,
                "key": number,
                "rate": {"per_s": number, "burst": number, "count": number},
            },
        }
        yield {
            "start": number,
            "nodes": number,
            "state": number,
            "limits": number,
            "id": number,
            "on_no_match": number,
            "concurrency": number,
        }
        yield {"start": "a", "nodes": {"a": number}}
        yield {"start": "a", "nodes": {"a": {"next": number}}}
        yield {"start": "a", "nodes": {"a": {"next": [{"to": number}]}}}
    for when in (
        "1000000000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "0000-00-00T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01",
        "+1",
        "-1",
    ):
        yield {"start": "a", "nodes": {"a": {"wait": {"until": when}}}}
    for schema in SCHEMAS:
        yield {"start": "a", "nodes": {"a": {}}, "state": {"k": {"schema": schema}}}
        yield {"start": "a", "nodes": {"a": {"wait": {"signal": "go", "schema": schema}}}}
    for text in EVERYTHING:
        yield places(text)
    for text in EVERYTHING[::5]:
        yield from dialects(text)
        yield places({"fn": text})
        yield places({"field": text, "operator": "==", "value": text})
    for odd in (
        None,
        1,
        True,
        [],
        {},
        [""],
        {"fn": 1},
        {"fn": "enough", "x": 1},
        {"field": "a"},
        {"field": "a", "operator": "**", "value": 1},
    ):
        yield places(odd)
        yield from dialects(odd)
    yield from _shapes()


def _shapes() -> Iterator[Graph]:
    yield {
        "start": "n0",
        "nodes": {f"n{number}": {"next": f"n{number + 1}"} for number in range(10_000)},
    }
    yield {
        "start": "n0",
        "nodes": {f"n{number}": {"next": f"n{(number + 1) % 999}"} for number in range(999)},
    }
    yield {"start": "n0", "nodes": {"n0": {"next": [{"to": "n0", "when": "n"}] * 101}}}
    yield {"start": "n0", "nodes": {"n0": {"next": [{"to": "n0", "when": "n"}] * 20_000}}}
    yield {"start": "a", "nodes": {"a": {"next": {"fork": ["a"] * 5000, "join": "a"}}}}
    yield {"start": "a", "nodes": {"a": {"next": {"fork": ["b", "b"], "join": "b"}}, "b": {}}}
    yield {"start": "a", "nodes": {"a": {"next": {"fork": ["b"], "join": "a"}}, "b": {"next": "a"}}}
    yield {"start": "a", "nodes": {"a": {"next": {"map": "xs", "to": "a", "join": "a"}}}}
    nest: Graph = {
        f"f{n}": {"next": {"fork": [f"f{n + 1}", f"g{n}"], "join": f"j{n}"}} for n in range(300)
    }
    nest |= (
        {f"{kind}{n}": {"next": f"j{n}"} for n in range(300) for kind in "g"}
        | {f"j{n}": {} for n in range(300)}
        | {"f300": {}}
    )
    yield {"start": "f0", "nodes": nest}
    yield {"id": "ouroboros", "start": "a", "nodes": {"a": {"graph": "ouroboros"}}}
    yield {"id": "tick", "start": "a", "nodes": {"a": {"graph": "tock"}}}
    yield {"id": "tock", "start": "a", "nodes": {"a": {"graph": "tick"}}}
    yield {"start": "a", "nodes": {"a": {"graph": {"start": "a", "nodes": {"a": {"graph": {}}}}}}}
    yield {"start": "a", "nodes": {"a": {"graph": "count@" + "f" * 64}, "b": {"graph": "count@zz"}}}
    yield {"nodes": [{"id": "a"}] * 5000, "edges": [["a", "a"]] * 5000}
    yield {
        "nodes": ["a", "a"],
        "edges": [{"source": "a", "target": "a"}, None, 1, "x", [], ["a"], ["a", "b", "c"]],
    }
    yield {
        "entry_point": "a",
        "start_node": "b",
        "start": "c",
        "nodes": ["a", "b", "c"],
        "edges": {},
    }
    yield {
        "nodes": {"a": {"type": "conditional", "func": 1}},
        "edges": {"a": {"a": {"a": "a"}}},
        "loops": 1,
    }
    yield {"start": "a", "nodes": {"a": {"tags": {"a": 1}}}, "tags": {"": ""}}
    yield {"start": "a", "nodes": {"a": {}}, "state": {f"k{number}": {} for number in range(5000)}}
    yield {
        "start": "a",
        "nodes": {"a": {}},
        "state": {f"k{number}": {"schema": {"type": "integer"}} for number in range(900)},
    }


STATES: tuple[Any, ...] = (
    *({name: 1, "to": 1} for name in NAMES),
    {"to": 1, **{f"k{number}": number for number in range(60_000)}},
    {"to": 1, "a": [[]] * 120_000},
    {"to": 1, "a": [[]] * 65_000},
    {"to": 1, "a": {f"k{number}": {} for number in range(60_000)}},
    {"to": 1, "a": "\ud83d\ude00" * 80_000},
    {"to": 1, "a": ["x" * 1000] * 1000},
    {"to": 1, "n": 2**63 - 1}, {"to": 2**63, "n": 1}, {"to": 1e308, "n": 1e308}, {"to": [], "n": {}}, {"to": None, "n": "x"},
    {"to": 1, "seen": 1}, {"to": 1, "seen": {"a": 1}}, {"to": 1, "seen": list(range(100_000))}, {"n": True, "to": False},
)  # fmt: skip
ASKED: tuple[tuple[str, Any], ...] = (
    *(("/runs", {"graph": "count", "input": {"to": 1}, "id": name}) for name in NAMES),
    *(("/runs", {"graph": name, "input": {"to": 1}}) for name in NAMES),
    *(("/runs", {"graph": "count", "input": {"to": 1}, "tags": {name: name}}) for name in NAMES),
    *(("/runs", {"graph": "count", "input": {"to": 1}, "delay_s": number}) for number in NUMBERS),
    *(("/runs", {"graph": "count", "input": {"to": 1}, "limits": {"steps": number, "time_s": number}}) for number in NUMBERS),
    *((f"/runs/r/{verb}", {"at": number}) for number in NUMBERS for verb in ("fork", "rerun", "check")),
    *(("/runs/r/fork", {"at": 1, "scope": name, "new_id": name}) for name in NAMES),
    *(("/runs/r/fork", {"at": 1, "state": {name: name}, "signals": {name: name}}) for name in NAMES),
    *(("/runs/r/fork", {"at": 1, "patch": [{"op": op, "path": path, "from": path, "value": 1}]})
      for op in ("add", "remove", "replace", "move", "copy", "test", "x", "")
      for path in ("", "/", "/n", "/seen/0", "/seen/-", "/seen/9", "/~", "n", "/" * 500, "/\u0000")),
    *(("/runs/r/migrate", {"graph": name, "nodes": {name: name}}) for name in NAMES),
    *(("/runs/r/rerun", {"from": name, "tools": {name: name}, "only": [name]}) for name in NAMES),
    *(("/sql", {"sql": text}) for text in (
        "", ";", "select 1; select 2", "drop table events", "attach '/etc/passwd' as x", "pragma journal_mode=delete", "select load_extension('x')",
        "with recursive a(n) as (select 1 union all select n+1 from a) select max(n) from a", "select randomblob(1000000000)", "select zeroblob(2000000000)",
        "select printf('%.*c', 2000000000, 'x')", "select readfile('/etc/passwd')", "vacuum into '/tmp/x'", "select * from sqlite_master", "select x'ff'",
        "select 1e999, -1e999", "select '\u0000'", "select " + "(" * 2000 + "1" + ")" * 2000, "select " + ",".join(["1"] * 3000), "begin", "explain select 1",
        "select * from events a, events b, events c, events d", "select ?", "select :a", "-- x", "/*", "select 'a' like '" + "%a" * 500 + "'", "\u202eselect 1",
    )),
)  # fmt: skip


def attacks() -> Iterator[Attack]:
    """Each graph is judged; some are run as well; states and other questions are asked."""
    for number, graph in enumerate(graphs()):
        yield Attack("graph", (_asked("/graphs/validate", graph),))
        if number % 4 == 0:
            body = {
                "graph": graph,
                "input": {"n": 1, "xs": [1]},
                "limits": {"steps": 20, "time_s": 5},
            }
            yield Attack("graph", (_asked("/runs", body),))
    for state in STATES:
        yield Attack("state", (_asked("/graph/run", {"graph_id": "count", "state": state}),))
        yield Attack("state", (_asked("/runs/w/signals/go", {"payload": state}),))
    for path, body in ASKED:
        yield Attack("asked", (_asked(path, body),))


def _asked(path: str, body: Any) -> bytes:
    headers = (b"Content-Type: application/json", b"Prefer: wait=0")
    return request("POST", path, json.dumps(body).encode(), headers=headers)
