"""How it goes: health, metrics, logs and traces."""
