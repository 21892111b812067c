"""Clients in Python, of a server that is elsewhere."""
