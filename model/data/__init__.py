"""Training data: where samples come from, how mixtures draw them, and how they become batches of tokens."""
