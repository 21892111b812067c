"""``steno check``: tell what is wrong with a graph file, without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stenograph.cli.failures import USAGE
from stenograph.cli.graph_files import fault_lines, graph_within, read_graph
from stenograph.cli.output import Output, talk
from stenograph.cli.settings import output_options, settings
from stenograph.cli.text import count, printable
from stenograph.cli.tools import load_tools, tools_option

if TYPE_CHECKING:
    from stenograph.engine import Fault


@click.command(short_help="Tell what is wrong with a graph file.")
@click.argument("graph", metavar="GRAPH")
@tools_option
@output_options
@click.pass_context
def check(context: click.Context, graph: str, modules: tuple[str, ...]) -> None:
    """Tell what is wrong with a graph file (- for stdin), by file and JSON pointer.

    The tools known here are those of installed packages and of --tools; graphs that nodes run are
    known to a server alone. Exit code 2 when the graph cannot run.
    """
    from stenograph.engine import GraphInvalid, Registry, graph_refs, parse_graph

    output = Output(settings())
    registry = Registry(load_tools(modules))
    whole, faults = read_graph(graph)
    data, at = graph_within(whole)
    try:
        refs = graph_refs(data)
        parsed = parse_graph(
            data,
            tools=registry.tools,
            predicates=registry.predicates,
            graphs=[ref.partition("@")[0] for ref in refs],
        )
        found, version = [*parsed.warnings, *map(_untold, refs)], parsed.version
    except GraphInvalid as error:
        faults, found, version = faults + _moved(error.faults, at), error.warnings, ""
    warnings = _moved(found, at)
    for line in fault_lines(graph, faults) + fault_lines(graph, warnings, "warning: "):
        talk(line)
    if not output.tables:
        output.document(
            {
                "file": graph,
                "valid": not faults,
                "version": version if not faults else None,
                "errors": faults,
                "warnings": warnings,
            }
        )
    elif not faults:
        nodes = count(len(data["nodes"]), "node")
        output.line(f"{output.sign('done')} {printable(graph)}: {nodes}, version {version[:8]}")
    if faults:
        context.exit(USAGE)


def _moved(faults: list[Fault], at: str) -> list[Fault]:
    from stenograph.engine import Fault

    return [Fault(at + fault.pointer, fault.detail) for fault in faults]


def _untold(ref: str) -> Fault:
    """Return what a file cannot tell: whether there is a graph that a node names."""
    from stenograph.engine import Fault

    return Fault("", f"names the graph {ref!r}; whether there is one, only a server can tell")
