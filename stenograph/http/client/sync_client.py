"""The client for code without an event loop: each call of ``Client``, waited for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import WRAPPER_ASSIGNMENTS, wraps
from inspect import signature
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

from stenograph.http.client.client import Client
from stenograph.http.client.following import URL
from stenograph.http.client.loop_thread import LoopThread, refuse_in_an_event_loop

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

# A traceback names the method where it is, not the one behind it.
TOLD: Final = sorted({*WRAPPER_ASSIGNMENTS} - {"__module__", "__qualname__"})


def blocking(
    method: Callable[Concatenate[Client, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[SyncClient, P], R]:
    """Return a method of the client as one that waits for its result."""

    @wraps(method, assigned=TOLD)
    def call(client: SyncClient, /, *args: P.args, **options: P.kwargs) -> R:
        return client.thread.run(lambda: method(client.client, *args, **options))

    return call


def iterating(
    method: Callable[Concatenate[Client, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[SyncClient, P], Generator[T, None, None]]:
    """Return a method of the client as one whose iterator waits for each item."""

    @wraps(method, assigned=TOLD)
    def call(client: SyncClient, /, *args: P.args, **options: P.kwargs) -> Generator[T, None, None]:
        return client.thread.each(lambda: method(client.client, *args, **options))

    call.__dict__["__signature__"] = signature(method).replace(return_annotation=Generator)
    return call


class SyncClient:
    """Runs graphs on a server and tells of them; a context manager, which threads may share.

    It is ``Client`` in an event loop of its own: the same calls, answers and errors. Each call
    returns when it is done, and Ctrl-C breaks it off. ``close``, from any thread, breaks off what is
    under way: who waits for it gets ClientClosed, and so does every later call. ``on_lost`` is
    called in the loop's thread. Code that runs in an event loop is refused: it has ``Client``.
    """

    def __init__(
        self,
        url: str = URL,
        *,
        token: str | None = None,
        reconnect: bool = True,
        on_lost: Callable[[int], None] | None = None,
    ) -> None:
        self.client = Client(url, token=token, reconnect=reconnect, on_lost=on_lost)
        self._thread: LoopThread | None = None

    @property
    def url(self) -> str:
        """Where the server is."""
        return self.client.url

    @property
    def thread(self) -> LoopThread:
        """The event loop; raises RuntimeError when the client was not entered."""
        if self._thread is None:
            raise RuntimeError("SyncClient is not open: use it in `with st.SyncClient(url) as …`")
        return self._thread

    def __enter__(self) -> Self:
        """Begin; nothing is asked of the server yet."""
        refuse_in_an_event_loop()
        if self._thread is not None:
            raise RuntimeError("SyncClient is opened once: make another one")
        self._thread = LoopThread(self.client, "stenograph-client")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections; what runs on the server goes on."""
        self.close()

    def close(self) -> None:
        """Break off what is under way and close the connections; what runs on the server goes on."""
        self.thread.close()

    create_graph = blocking(Client.create_graph)
    validate_graph = blocking(Client.validate_graph)
    graph = blocking(Client.graph)
    graphs = blocking(Client.graphs)
    graph_versions = blocking(Client.graph_versions)
    tools = blocking(Client.tools)

    start = blocking(Client.start)
    run = blocking(Client.run)
    wait = blocking(Client.wait)
    get = blocking(Client.get)
    state = blocking(Client.state)
    visits = blocking(Client.visits)
    runs = blocking(Client.runs)
    why = blocking(Client.why)
    blame = blocking(Client.blame)
    diff = blocking(Client.diff)

    cancel = blocking(Client.cancel)
    signal = blocking(Client.signal)
    pause = blocking(Client.pause)
    resume = blocking(Client.resume)
    retry = blocking(Client.retry)
    erase = blocking(Client.erase)
    verify = blocking(Client.verify)
    fork = blocking(Client.fork)
    export = iterating(Client.export)
    import_run = blocking(Client.import_run)
    migrate = blocking(Client.migrate)
    rerun = blocking(Client.rerun)
    rerun_report = blocking(Client.rerun_report)
    check_run = blocking(Client.check_run)

    sql = blocking(Client.sql)

    tail = iterating(Client.tail)
    follow = iterating(Client.follow)
    follow_all = iterating(Client.follow_all)
    read = blocking(Client.read)
    read_all = blocking(Client.read_all)
