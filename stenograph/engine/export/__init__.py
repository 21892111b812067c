"""A run as one file: written, read, verified, and laid into a journal."""
