"""The state of a run: its values, how they change, and what a graph declares of them."""
