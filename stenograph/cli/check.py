"""``steno check``: tell what is wrong with a graph file, without a server."""

from __future__ import annotations

import click

from stenograph.cli.failures import USAGE
from stenograph.cli.graph_files import fault_lines, read_graph
from stenograph.cli.output import Output, talk
from stenograph.cli.settings import output_options, settings
from stenograph.cli.text import count, printable
from stenograph.cli.tools import load_tools, tools_option


@click.command(short_help="Tell what is wrong with a graph file.")
@click.argument("graph", metavar="GRAPH")
@tools_option
@output_options
@click.pass_context
def check(context: click.Context, graph: str, modules: tuple[str, ...]) -> None:
    """Tell what is wrong with a graph file (- for stdin), by file and JSON pointer.

    The tools known here are those of installed packages and of --tools. Exit code 2 when the
    graph cannot run.
    """
    from stenograph.engine import GraphInvalid, Registry, parse_graph

    output = Output(settings())
    registry = Registry(load_tools(modules))
    data, faults = read_graph(graph)
    try:
        parsed = parse_graph(data, tools=registry.tools, predicates=registry.predicates)
        warnings, version = list(parsed.warnings), parsed.version
    except GraphInvalid as error:
        faults, warnings, version = faults + error.faults, error.warnings, ""
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
