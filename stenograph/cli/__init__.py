"""The command line, ``steno``: a thin layer over the library and the server."""

from stenograph.cli.program import main

__all__ = ("main",)
