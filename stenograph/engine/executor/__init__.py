"""The executor: actors, which alone append to runs, start tools, and hear what becomes of them."""
