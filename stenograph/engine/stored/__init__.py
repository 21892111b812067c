"""What the journal holds: graphs, folded runs, snapshots, and records as they come."""
