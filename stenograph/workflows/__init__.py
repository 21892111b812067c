"""Sample graphs with their tools; they use the public API alone, as a user's own code would."""
