"""The journal: an append-only log of records, knowing nothing of graphs or HTTP."""
