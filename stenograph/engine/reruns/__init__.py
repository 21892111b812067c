"""Runs made again from their recordings, and tools checked against them."""
