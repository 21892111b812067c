"""The engine: graphs, events, the pure core, the executor. Knows the journal's protocol only."""

from stenograph.engine.clock import Clock, SystemClock, Timer
from stenograph.engine.context import Context
from stenograph.engine.engine import Engine
from stenograph.engine.errors import (
    EngineClosed,
    EngineError,
    Fault,
    GraphInvalid,
    NotJson,
    RunExists,
    RunFinished,
    SeqNotReached,
    StateTooLarge,
    ToolRefused,
    UnknownGraph,
    UnknownRun,
)
from stenograph.engine.events import (
    TERMINAL,
    ErrorInfo,
    Event,
    StatePatched,
    UnknownEvent,
    decode,
)
from stenograph.engine.graph import END, FAIL, Edge, Graph, Limits, Node, Retry, as_data
from stenograph.engine.graphs import StoredGraph
from stenograph.engine.parse import ParsedGraph, duplicate_keys, parse_graph
from stenograph.engine.run import Run, fold
from stenograph.engine.tools import Goto, Predicate, Registry, Source, Tool, predicate, tool
from stenograph.engine.values import canonical, nested_deeper
from stenograph.engine.views import RunView, StateAt, Visit, view, visits

__all__ = (
    "END",
    "FAIL",
    "TERMINAL",
    "Clock",
    "Context",
    "Edge",
    "Engine",
    "EngineClosed",
    "EngineError",
    "ErrorInfo",
    "Event",
    "Fault",
    "Goto",
    "Graph",
    "GraphInvalid",
    "Limits",
    "Node",
    "NotJson",
    "ParsedGraph",
    "Predicate",
    "Registry",
    "Retry",
    "Run",
    "RunExists",
    "RunFinished",
    "RunView",
    "SeqNotReached",
    "Source",
    "StateAt",
    "StatePatched",
    "StateTooLarge",
    "StoredGraph",
    "SystemClock",
    "Timer",
    "Tool",
    "ToolRefused",
    "UnknownEvent",
    "UnknownGraph",
    "UnknownRun",
    "Visit",
    "as_data",
    "canonical",
    "decode",
    "duplicate_keys",
    "fold",
    "nested_deeper",
    "parse_graph",
    "predicate",
    "tool",
    "view",
    "visits",
)
