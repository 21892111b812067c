"""Graphs in the shapes of other engines: what they become. Only the parser comes in here."""

from stenograph.engine.graphs.dialects.translation import Translation, translate

__all__ = ("Translation", "translate")
