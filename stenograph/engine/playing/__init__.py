"""A recorded run as a test: played again by the pure core alone."""
