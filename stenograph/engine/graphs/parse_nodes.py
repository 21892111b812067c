"""Reading a node: the one thing that it does, what belongs to that, and its edges."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from stenograph.engine.errors import NotJson
from stenograph.engine.graphs.graph import TIMEOUT_S, Node, Wait
from stenograph.engine.graphs.parse_edges import Known, read_edges
from stenograph.engine.graphs.parse_state import check_key, check_path, check_time, read_schema
from stenograph.engine.graphs.reading import Reader, kind_of
from stenograph.engine.tools.tools import Tool
from stenograph.engine.values import canonical, clip, is_utf8, pointer

REF_PATTERN: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._:-]{0,127})(@[0-9a-f]{1,64})?")
"""A stored graph: its id, and maybe how the version that is meant begins."""
_NODE_NAME: Final = re.compile(r"[^\x00-\x1f\x7f$][^\x00-\x1f\x7f]{0,127}")
Work: TypeAlias = Literal["tool", "graph", "wait"]


def read_node(reader: Reader, name: Any, data: Any, known: Known) -> dict[str, Any]:
    """Return the fields of a node that are sound."""
    path = f"/nodes{pointer(name)}"
    if not (isinstance(name, str) and _NODE_NAME.fullmatch(name) and is_utf8(name)):
        detail = "is no name for a node: 1 to 128 characters, no control ones, no $ first"
        reader.fault(path, detail)
    skip = {"next", "tool", "graph", "wait", "config"}
    fields = reader.fields(Node, data, path, skip=skip)
    given = data if isinstance(data, dict) else {}
    if "config" in given:
        fields["config"] = _config(reader, given["config"], f"{path}/config")
    work: list[Work] = [each for each in _WORK if given.get(each) is not None]
    for each in work:
        fields[each] = _READ[each](reader, given[each], f"{path}/{each}", known)
    if len(work) > 1:
        reader.fault(path, f"has {' and '.join(work)}; a node does one thing, so split it")
    else:
        _belonging(reader, fields, path, work[0] if work else None)
        _typed_config(reader, fields, path, known)
    _inputs(reader, fields, path)
    if fields.get("graph") is None and fields.get("timeout_s") == TIMEOUT_S:
        del fields["timeout_s"]  # what a tool has anyway: spelled or not, it is one graph
    fields["next"] = read_edges(reader, given.get("next"), f"{path}/next", known)
    return fields


def _config(reader: Reader, data: Any, path: str) -> Any:
    if not isinstance(data, dict):
        reader.fault(path, f"is an object, not {kind_of(data)}")
        return {}
    try:
        return canonical(data, path)[1]
    except NotJson as error:
        reader.fault(error.path, error.reason)


def _tool(reader: Reader, data: Any, path: str, known: Known) -> Any:
    reader.known(data, known.tools, path, "tool")
    return data


def _typed_config(reader: Reader, fields: dict[str, Any], path: str, known: Known) -> None:
    """Note a fault where the config does not fit the type that the tool declares for it."""
    name, config = fields.get("tool"), fields.get("config", {})
    if not (isinstance(known.tools, Mapping) and isinstance(name, str) and config is not None):
        return
    tool = known.tools.get(name)
    if isinstance(tool, Tool) and (fault := tool.types.config_fault(config)):
        reader.fault(f"{path}/config{fault.pointer}", fault.detail)


def _graph(reader: Reader, data: Any, path: str, known: Known) -> Any:
    ref = REF_PATTERN.fullmatch(data) if isinstance(data, str) else None
    if ref is None:
        is_text = isinstance(data, str)
        what = clip(repr(data)) if is_text else kind_of(data)
        reader.fault(path, f"is the id of a graph, or id@version, not {what}")
    elif data in known.missing and ref[1] in {*known.graphs, known.own_id}:
        reader.fault(path, f"there is no version {ref[2][1:]} of the graph {ref[1]!r}")
    elif ref[1] != known.own_id:
        reader.known(ref[1], known.graphs, path, "graph")
    return data


def _wait(reader: Reader, data: Any, path: str, known: Known) -> dict[str, Any]:
    fields = reader.fields(Wait, data, path, skip={"schema"})
    if not isinstance(data, dict):
        return fields
    if "schema" in data:
        fields["schema"] = read_schema(reader, data["schema"], f"{path}/schema")
    if sum(data.get(each) is not None for each in ("signal", "for_s", "at")) != 1:
        reader.fault(path, "waits for exactly one of signal, for_s and at")
    elif data.get("signal") is None:
        for each in ("schema", "timeout_s"):
            if data.get(each) is not None:
                reader.fault(f"{path}/{each}", "is for a signal; this waits for a time")
    if fields.get("signal") is not None:
        check_key(reader, fields["signal"], f"{path}/signal")
    if fields.get("at") is not None:
        check_time(reader, fields["at"], f"{path}/at", secrets=known.secrets)
    return fields


def _belonging(reader: Reader, fields: dict[str, Any], path: str, work: Work | None) -> None:
    """Note a fault for each field that has no meaning beside what the node does."""
    if work != "graph":
        for each in ("in", "out"):
            if fields.get(each) is not None:
                reader.fault(f"{path}/{each}", "is for a node with a graph; this one has none")
    if work in ("graph", "wait"):
        for each in ("config", "effects"):
            if fields.get(each):
                reader.fault(f"{path}/{each}", f"is for a tool; this node has a {work}")
    if work == "wait":
        if fields.get("retry") is not None:
            reader.fault(f"{path}/retry", "is for what can fail; this node waits")
        if fields.get("timeout_s") is not None:
            detail = "is for a tool or a graph; a wait has its own, beside its signal"
            reader.fault(f"{path}/timeout_s", detail)


def _inputs(reader: Reader, fields: dict[str, Any], path: str) -> None:
    for key, source in (fields.get("in") or {}).items():
        check_path(reader, source, f"{path}/in{pointer(key)}")


_WORK: Final[tuple[Work, ...]] = ("tool", "graph", "wait")
_READ: Final = {"tool": _tool, "graph": _graph, "wait": _wait}
