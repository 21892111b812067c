"""What the reviews of code are made of: measuring a source, judging it, mending it."""
