"""The functions that nodes call: what they are, what they are given, what comes back."""
