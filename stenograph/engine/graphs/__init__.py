"""What a graph is, and how one is read: every fault at once."""
