"""The pure core: a run is a fold of its events, and what follows from a command is a function."""
