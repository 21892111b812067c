"""The conditions of edges: a small language that reads the state and can change nothing."""
