"""What an operation answers beside its own status and type, for the description of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from litestar.openapi import ResponseSpec
from litestar.openapi.spec import (
    Link,
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    RequestBody,
    Schema,
)

from stenograph.http.shapes.wire import GZIP_TYPE, NDJSON_TYPE, SSE_TYPE


def also(status: int, shape: Any, description: str) -> dict[int, ResponseSpec]:
    """Return one more answer of an operation; ``shape`` None: it has no body."""
    return {status: ResponseSpec(shape, generate_examples=False, description=description)}


NOT_MODIFIED: Final = also(304, None, "What you hold still holds")
NOTHING_MORE: Final = also(204, None, "The run has ended, and you have all of it: do not ask again")


class Described(Operation):
    """An operation of which the framework cannot tell all; ``types`` are those beside the first.

    ``links`` say what can be asked next, with something out of the answer. No dataclass of its own:
    to make one takes a millisecond at each start.
    """

    types: ClassVar[tuple[str, ...]] = ()
    links: ClassVar[Mapping[str, Link]] = {}
    needs_body: ClassVar[bool] = True

    def __init__(self, **told: Any) -> None:
        super().__init__(**told)
        for status, answer in (self.responses or {}).items():
            if isinstance(answer, OpenAPIResponse) and status.startswith("2") and answer.content:
                more = {each: OpenAPIMediaType(schema=Schema()) for each in self.types}
                answer.content = {**answer.content, **more}
                answer.links = {**self.links} or None
        if isinstance(self.request_body, RequestBody):
            self.request_body = replace(self.request_body, required=self.needs_body)


class Exported(Described):
    """A file that may be compressed."""

    types: ClassVar[tuple[str, ...]] = (GZIP_TYPE,)


class Events(Described):
    """Events as a page, line by line, or as a browser's event stream."""

    types: ClassVar[tuple[str, ...]] = (NDJSON_TYPE, SSE_TYPE)


class OptionalBody(Described):
    """An operation whose body may be left out."""

    needs_body: ClassVar[bool] = False


class StoresGraph(Described):
    """A graph is stored, and can be read and run."""

    links: ClassVar[Mapping[str, Link]] = {
        "get_graph": Link(
            operation_id="get_graph", parameters={"graph_id": "$response.body#/graph_id"}
        ),
        "start_run": Link(
            operation_id="start_run", request_body={"graph": "$response.body#/graph_id"}
        ),
    }


class BeginsRun(Described):
    """A run is begun, and can be read, told something, and forked."""

    links: ClassVar[Mapping[str, Link]] = {
        name: Link(operation_id=name, parameters={"run_id": "$response.body#/id"})
        for name in (
            *("get_run", "get_state", "state", "list_visits", "run_events"),
            *("pause_run", "resume_run", "retry_run", "cancel_run", "rerun_run", "check_run"),
            *("verify_run", "export_run", "erase_run"),
        )
    } | {
        "fork_run": Link(
            operation_id="fork_run",
            parameters={"run_id": "$response.body#/id"},
            request_body={"at": 1},
        )
    }


class RerunsRun(BeginsRun):
    """A run is begun, for which no body is needed."""

    needs_body: ClassVar[bool] = False
