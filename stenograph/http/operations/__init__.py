"""What can be asked: a handler an operation, and what they share."""
