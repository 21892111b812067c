"""Events on their way to whoever follows: filtered, framed, played back, and let go when too slow."""
