"""What the summary of a text is made of: sentences, what weighs most, and a model to ask."""
